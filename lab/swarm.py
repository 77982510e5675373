"""A Swarm as its nodes' engines show it: what runs where, and how to ask it something."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

import docker
import docker.errors
import requests

API_VERSION = "1.41"
TIMEOUT = 8
SERVICE = "com.docker.swarm.service.name"


class Address(NamedTuple):
    """Where a node's engine answers, and the node itself."""

    url: str
    ip: str


Nodes = Mapping[str, Address]  # by host name
Task = dict[str, Any]


class NotAnswering(Exception):
    """Something that was asked did not answer as it should; the message is the reason."""


def client(url: str, timeout: float = TIMEOUT) -> docker.APIClient:
    return docker.APIClient(url, version=API_VERSION, timeout=timeout)


def manager(nodes: Nodes) -> str:
    """The URL of the first manager that answers."""
    reasons = []
    for name, address in nodes.items():
        try:
            with client(address.url) as api:
                if api.info()["Swarm"]["ControlAvailable"]:
                    return address.url
        except (docker.errors.DockerException, requests.RequestException) as error:
            reasons.append(f"{name}: {error}")
    raise NotAnswering(f"no manager answers ({'; '.join(reasons) or 'there are only workers'})")


class Swarm:
    """One stack, seen now; everything that is asked for is read anew."""

    def __init__(self, nodes: Nodes, stack: str) -> None:
        self._nodes, self._stack = nodes, stack

    def services(self) -> list[dict[str, Any]]:
        stack = {"label": f"com.docker.stack.namespace={self._stack}"}
        with client(manager(self._nodes)) as api:
            services: list[dict[str, Any]] = api.services(filters=stack, status=True)
        return services

    def running(self, service: str | None = None) -> list[Task]:
        """Tasks that run, on nodes that are ready: those of a lost node still say that they run."""
        filters = {"label": f"com.docker.stack.namespace={self._stack}", "desired-state": "running"}
        if service:
            filters["service"] = f"{self._stack}_{service}"
        with client(manager(self._nodes)) as api:
            nodes = {node["ID"]: node for node in api.nodes()}
            tasks = api.tasks(filters=filters)
        for task in tasks:
            task["Node"] = nodes.get(task.get("NodeID", ""))
        return [task for task in tasks if task["Status"]["State"] == "running" and _ready(task)]

    def addresses(self, service: str) -> list[str]:
        """Of the nodes that the service runs on."""
        names = {_host_name(task) for task in self.running(service)}
        if not names:
            raise NotAnswering(f"no task of {service} is running")
        return sorted(self._nodes[name].ip for name in names)

    def run(self, service: str, script: str) -> str:
        """What a shell script says inside one of the service's containers."""
        for task in self.running(service):
            container = task["Status"]["ContainerStatus"]["ContainerID"]
            with client(self._nodes[_host_name(task)].url) as api:
                execution = api.exec_create(container, ["sh", "-c", script])["Id"]
                said = api.exec_start(execution).decode(errors="replace").strip()
                code = api.exec_inspect(execution)["ExitCode"]
            if code != 0:
                raise NotAnswering(f"{service}: {said[-200:] or f'exit code {code}'}")
            return str(said)
        raise NotAnswering(f"no task of {service} is running")

    def last_words(self, service: str, lines: int = 5) -> list[str]:
        """Errors of the service's tasks, then the end of its log."""
        name = f"{self._stack}_{service}"
        with client(manager(self._nodes)) as api:
            tasks = sorted(api.tasks(filters={"service": name}), key=lambda task: task["CreatedAt"])
            log = api.service_logs(name, stdout=True, stderr=True, tail=lines, is_tty=False)
            log_lines = b"".join(log).decode(errors="replace").splitlines()
        return [*(_state(task) for task in tasks[-3:]), *log_lines[-lines:]]


def get(url: str, timeout: float = TIMEOUT, method: str = "GET") -> Any:
    """JSON if the answer is JSON, text otherwise."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own http addresses
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            body = response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace")
        raise NotAnswering(f"{url}: {error.code} {said}") from error
    except OSError as error:
        raise NotAnswering(f"{url}: {error}") from error
    try:
        return json.loads(body)
    except ValueError:
        return body


def _ready(task: Task) -> bool:
    return bool(task["Node"]) and task["Node"]["Status"]["State"] == "ready"


def _host_name(task: Task) -> str:
    return str(task["Node"]["Description"]["Hostname"])


def _state(task: Task) -> str:
    status = task["Status"]
    return f"task {task['ID'][:12]} {status['State']}: {status.get('Err') or status['Message']}"
