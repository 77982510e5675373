"""What the contract tests say to an engine: raw requests, and waiting for what comes of them."""

import copy
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docker

from tests.engines import wait_for, wait_until

Spec = dict[str, Any]
Task = dict[str, Any]
SECOND = 1_000_000_000
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


def unique(name: str) -> str:
    return f"{name}-{os.getpid()}-{next(_numbers)}"


def service_spec(image: str = "lab/web:1", replicas: int = 1, **parts: Any) -> Spec:
    """A small spec; `parts` replace top-level fields, those of `task` go into TaskTemplate and
    those of `container` into its ContainerSpec."""
    container = {"Image": image} | parts.pop("container", {})
    template = {"ContainerSpec": container} | parts.pop("task", {})
    spec = {"Name": unique("service"), "TaskTemplate": template}
    return spec | {"Mode": {"Replicated": {"Replicas": replicas}}} | parts


def crash_after(seconds: float, code: int = 3) -> dict[str, list[str]]:
    """The environment by which `lab/crash:1` ends when and how it should."""
    return {"Env": [f"LAB_CRASH_AFTER={seconds}", f"LAB_EXIT_CODE={code}"]}


def images(tasks: list[Task]) -> Counter[str]:
    return Counter(task["Spec"]["ContainerSpec"]["Image"] for task in tasks)


def image_of(service: Spec) -> str:
    return str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def quick_update(**fields: Any) -> Spec:
    return {"Parallelism": 1, "Monitor": SECOND // 2, "FailureAction": "pause"} | fields


class SwarmApi:
    def __init__(self, url: str) -> None:
        self.url = url
        self.docker = docker.APIClient(url, version="auto", timeout=30)

    @property
    def modern(self) -> bool:
        """Whether the engine is one of those (25 and newer) that say some things otherwise."""
        return tuple(map(int, self.docker.api_version.split("."))) >= (1, 44)

    def close(self) -> None:
        self.docker.close()

    # Raw requests

    def request(self, method: str, path: str, body: object = None, **query: Any) -> Answer:
        """`filters` may be a dictionary; a version in the path is left as it is."""
        if isinstance(query.get("filters"), dict):
            query["filters"] = json.dumps(query["filters"])
        response = self.docker.request(
            method, self.docker.base_url + path, params=query, json=body, timeout=30
        )
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return Answer(response.status_code, response.json() if is_json else response.text)

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, **query)

    def post(self, path: str, body: object = None, **query: Any) -> Answer:
        return self.request("POST", path, body, **query)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    # Services

    def create(self, spec: Spec | None = None, /, **parts: Any) -> str:
        """Create a service and answer its id."""
        answer = self.post("/services/create", spec or service_spec(**parts))
        assert answer.status == 201, answer.body
        return str(answer.body["ID"])

    def start(self, spec: Spec | None = None, /, **parts: Any) -> str:
        """Create a service and wait until all its tasks run."""
        service_id = self.create(spec, **parts)
        self.converge(service_id)
        return service_id

    def settle(self, service_id: str) -> Spec:
        """Wait for the write by which managers give a service its addresses."""
        wait_until(
            lambda: "VirtualIPs" in self.service(service_id)["Endpoint"],
            f"service {service_id} has its addresses",
        )
        return self.service(service_id)

    def service(self, service_id: str) -> Spec:
        answer = self.get(f"/services/{service_id}")
        assert answer.status == 200, answer.body
        return dict(answer.body)

    def listed(self, service_id: str) -> Spec:
        """The service as the list with status shows it."""
        return dict(self.get("/services", status="true", filters={"id": [service_id]}).body[0])

    def replace(self, service: Spec, spec: Spec, **query: Any) -> Answer:
        """Write a spec at the version at which the service was read."""
        version = query.pop("version", service["Version"]["Index"])
        return self.post(f"/services/{service['ID']}/update", spec, version=version, **query)

    def change(self, service_id: str, patch: Callable[[Spec], None], **query: Any) -> Spec:
        """Read, patch the spec, write; answers the service as it was read.

        A rollout moves the version on its own, also between the reading and the writing.
        """
        for _ in range(20):
            service = self.service(service_id)
            spec = copy.deepcopy(service["Spec"])
            patch(spec)
            answer = self.replace(service, spec, **query)
            if "out of sequence" not in str(answer.body):
                break
        assert answer.status == 200, answer.body
        return service

    def set_image(self, service_id: str, image: str) -> None:
        def patch(spec: Spec) -> None:
            spec["TaskTemplate"]["ContainerSpec"]["Image"] = image

        self.change(service_id, patch)

    def scale(self, service_id: str, replicas: int) -> None:
        self.change(service_id, lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas))

    def remove_services(self) -> None:
        """Remove every service; its tasks end in their own time."""
        for service in self.get("/services").body:
            self.delete(f"/services/{service['ID']}")

    def forget_tasks(self) -> None:
        """Wait until no task is left. (A real engine forgets to remove those of a job.)"""
        wait_until(
            lambda: all("JobIteration" in task for task in self.get("/tasks").body),
            "no tasks are left",
            60,
        )

    # Tasks

    def tasks(self, service_id: str, **filters: list[str]) -> list[Task]:
        answer = self.get("/tasks", filters={"service": [service_id], **filters})
        assert answer.status == 200, answer.body
        return list(answer.body)

    def states(self, service_id: str) -> list[tuple[str, str]]:
        """The desired and the observed state of each task."""
        return [(task["DesiredState"], task["Status"]["State"]) for task in self.tasks(service_id)]

    def running(self, service_id: str) -> list[Task]:
        return [
            task
            for task in self.tasks(service_id, **{"desired-state": ["running"]})
            if task["Status"]["State"] == "running"
        ]

    def converge(self, service_id: str, seconds: float = 60) -> None:
        def converged() -> bool:
            status = self.listed(service_id)["ServiceStatus"]
            live = self.running(service_id)
            return bool(status["RunningTasks"] == status["DesiredTasks"] == len(live))

        wait_until(converged, f"service {service_id} runs all its tasks", seconds)

    def task_in(self, service_id: str, state: str, seconds: float = 30) -> Task:
        """Wait for a task of the service in the state."""
        return wait_for(
            lambda: next(
                (task for task in self.tasks(service_id) if task["Status"]["State"] == state), None
            ),
            f"a task of {service_id} in state {state}",
            seconds,
        )

    # Updates

    def update_state(self, service_id: str) -> str | None:
        state = self.service(service_id).get("UpdateStatus", {}).get("State")
        return str(state) if state else None

    def wait_update(self, service_id: str, state: str, seconds: float = 60) -> Spec:
        """Wait for an update state; answers the service."""
        wait_until(lambda: self.update_state(service_id) == state, f"update state {state}", seconds)
        return self.service(service_id)

    # Events

    def events_since(self, moment: float, **filters: list[str]) -> list[Spec]:
        """What was told since a time; the stream ends by itself."""
        response = self.docker.get(
            f"{self.docker.base_url}/events",
            params={"since": f"{moment:.9f}", "until": f"{time.time():.9f}"}
            | ({"filters": json.dumps(filters)} if filters else {}),
            timeout=30,
        )
        return [json.loads(line) for line in response.text.splitlines()]

    def node(self) -> Spec:
        """The only node."""
        return dict(self.get("/nodes").body[0])

    def change_node(self, **fields: Any) -> Answer:
        node = self.node()
        path = f"/nodes/{node['ID']}/update"
        return self.post(path, node["Spec"] | fields, version=node["Version"]["Index"])
