"""The bare Engine API: the baselines, and the hand that changes services beside the panel."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from tests.engines.simulated import UnixConnection

API = "/v1.41"


def socket_of(url: str) -> Path:
    return Path(url.removeprefix("unix://"))


class Refused(Exception):
    """The engine answered with an error; the message is its own."""


class RawSwarm:
    """One kept connection to the engine; answers come as bytes or parsed."""

    def __init__(self, socket: Path) -> None:
        self._connection = UnixConnection(socket)

    def __enter__(self) -> "RawSwarm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def read(self, path: str, **parameters: str) -> bytes:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._request("GET", f"{path}{query}")

    def get(self, path: str, **parameters: str) -> Any:
        return json.loads(self.read(path, **parameters))

    def create(self, spec: dict[str, Any]) -> str:
        return str(json.loads(self._request("POST", "/services/create", spec))["ID"])

    def update(self, service_id: str, version: int, spec: dict[str, Any]) -> None:
        self._request("POST", f"/services/{service_id}/update?version={version}", spec)

    def _request(self, method: str, path: str, body: Any = None) -> bytes:
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if text else {}
        self._connection.request(method, f"{API}{path}", body=text, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {content.decode(errors='replace')}")
        return content


def without_tasks(name: str) -> dict[str, Any]:
    """A service that wants no task: a change of it costs the machine no container."""
    return {
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {"Image": "lab/web:1"}},
        "Mode": {"Replicated": {"Replicas": 0}},
    }


def change_image(swarm: RawSwarm, service_id: str, image: str) -> None:
    service = swarm.get(f"/services/{service_id}")
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = image
    swarm.update(service_id, service["Version"]["Index"], service["Spec"])
