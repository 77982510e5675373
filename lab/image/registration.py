"""Registers a service with Consul over HTTP, and again when Consul was away."""

import http.client
import json
import os
import socket
import threading
import time
from typing import Any

from lab.image.web import log

RETRY_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 20.0
TIMEOUT = 2.0
TROUBLE = (OSError, http.client.HTTPException)


class Registration:
    def __init__(self, name: str, port: int) -> None:
        self._agents = os.environ.get("CONSUL_HTTP_ADDR", "").replace(",", " ").split()
        self._name, self._port = name, port
        self._id = f"{name}-{socket.gethostname()}"
        self._used: set[str] = set()

    def start(self) -> None:
        if self._agents:
            threading.Thread(target=self._keep, daemon=True).start()

    def end(self) -> None:
        """From every agent that was told; one that is away forgets it by its failing check."""
        for agent in self._used:
            try:
                _ask(agent, "PUT", f"/v1/agent/service/deregister/{self._id}")
            except TROUBLE as error:
                log("not deregistered", agent=agent, error=str(error))

    def _keep(self) -> None:
        turn = sum(self._id.encode())  # not all with the same agent
        while True:
            agent = self._agents[turn % len(self._agents)]
            try:
                self._register(agent)
            except TROUBLE as error:
                log("not registered", agent=agent, error=str(error))
                turn += 1
                time.sleep(RETRY_SECONDS)
            else:
                time.sleep(LOOK_AGAIN_SECONDS)

    def _register(self, agent: str) -> None:
        if _ask(agent, "GET", f"/v1/agent/service/{self._id}") == 200:
            return
        status = _ask(agent, "PUT", "/v1/agent/service/register", self._service(agent))
        if status != 200:
            raise OSError(f"Consul answered {status}")
        self._used.add(agent)
        log("registered", agent=agent, service=self._id)

    def _service(self, agent: str) -> dict[str, Any]:
        address = _own_address(agent)
        check = {
            "HTTP": f"http://{address}:{self._port}/health",
            "Interval": "10s",
            "Timeout": "3s",
            "DeregisterCriticalServiceAfter": "1m",
        }
        version = os.environ.get("VERSION", "dev")
        return {
            "ID": self._id,
            "Name": self._name,
            "Address": address,
            "Port": self._port,
            "Tags": [f"version={version}"],
            "Meta": {"version": version},
            "Check": check,
        }


def _own_address(agent: str) -> str:
    """Of the several networks that a container is on, the address by which Consul reaches it."""
    host, _, port = agent.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))
        return str(probe.getsockname()[0])


def _ask(agent: str, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    connection = http.client.HTTPConnection(agent, timeout=TIMEOUT)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        return connection.getresponse().status
    finally:
        connection.close()
