"""The panel beside the lab, asked as a script would ask it."""

from typing import Any

import requests

from lab.panel import CLUSTER, Panel
from lab.waiting import Timeout, wait_until

TIMEOUT = 20.0
PATIENCE = 120.0  # seconds, for what takes Swarm half a minute on an idle machine
ENDED = ("succeeded", "failed", "rolled_back", "cancelled", "interrupted")
Json = dict[str, Any]


class Api:
    def __init__(self, panel: Panel) -> None:
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {panel.issue_token()}"
        self._root = f"{panel.url}/api/v1"

    def get(self, path: str) -> Json:
        answer = self._session.get(self._root + path, timeout=TIMEOUT)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def cluster(self) -> Json:
        return self.get(f"/clusters/{CLUSTER}")

    def nodes(self) -> dict[str, Json]:
        """By host name."""
        return {node["hostname"]: node for node in self.cluster()["members"]}

    def led(self) -> list[tuple[str, str]]:
        """Who led before and after each change of leader of the last hour, the newest first."""
        told = self.get(f"/clusters/{CLUSTER}/timeline?kind=leader")["items"]
        return [(event["before"], event["name"]) for event in told]

    def service(self, name: str) -> Json:
        return self.get(f"/clusters/{CLUSTER}/services/{name}")

    def incomplete(self) -> list[str]:
        """The services that do not run as many tasks as they should."""
        services = self.get(f"/clusters/{CLUSTER}/services")["items"]
        counts = {service["name"]: service["replicas"] for service in services}
        return [
            f"{name} {tasks['running']}/{tasks['desired']}"
            for name, tasks in counts.items()
            if tasks["running"] != tasks["desired"]
        ]

    def until_complete(self, seconds: float) -> None:
        """Raises Timeout with the services that still are not."""
        try:
            wait_until(lambda: not self.incomplete(), "every task of the stack runs", seconds)
        except Timeout as timeout:
            raise Timeout(f"{timeout}: {', '.join(self.incomplete())}") from timeout

    def knows(self, name: str) -> bool:
        path = f"{self._root}/clusters/{CLUSTER}/services/{name}"
        return self._session.get(path, timeout=TIMEOUT).status_code == 200

    def running_on(self, name: str) -> list[str]:
        """The nodes of the tasks that the panel counts as running."""
        tasks = self.service(name)["tasks"]
        return sorted(
            task["node"] for task in tasks if task["state"] == task["desired_state"] == "running"
        )

    def do(self, name: str, action: str, **body: object) -> str:
        """Ask for an operation; answers its id."""
        path = f"{self._root}/clusters/{CLUSTER}/services/{name}/{action}"
        answer = self._session.post(path, json=body, timeout=TIMEOUT)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def end_of(self, operation: str) -> Json:
        """The operation once it has ended."""

        def ended() -> bool:
            return self.get(f"/operations/{operation}")["state"] in ENDED

        wait_until(ended, f"operation {operation} ends", PATIENCE)
        return self.get(f"/operations/{operation}")

    def until_succeeded(self, operation: str) -> None:
        ended = self.end_of(operation)
        assert ended["state"] == "succeeded", ended["error"]
