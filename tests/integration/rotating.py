"""Secrets and configs by way of the panel, services that mount them, and engines that fail."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from access.authorize import Actor
from access.policy import Role
from clusters.changes import NewObject
from clusters.models import MODELS, Config, Operation, Secret, Service
from clusters.operations import making, rotations
from clusters.ports import Engine, Noun
from tests.contract.swarm_api import unique
from tests.engines import wait_until
from tests.integration.panel import BRISK, Panel, user

Found = Secret | Config
FILE = "/run/secrets/password"
SERVES = ["/bin/sleep", "2147483647"]
# Ends when the mounted file says so, whichever version it is.
SERVES_UNLESS_BAD = ["/bin/sh", "-c", f"grep -q bad {FILE} && exit 3; exec sleep 2147483647"]
_numbers = itertools.count(1)
START_FIRST = {**BRISK, "Order": "start-first"}
# Long enough for a task to start and to fail on a busy machine.
PAUSES = {**BRISK, "Monitor": 5 * 10**9}


@contextmanager
def keeper(panel: Panel) -> Iterator[Panel]:
    """The panel, used by somebody who may write secrets and configs and has just proved it."""
    panel.actor = Actor(user("sam", Role.ADMIN), "browser", "192.0.2.1", time.time())
    yield panel
    panel.swarm.remove_services()
    for noun in MODELS:
        for found in panel.swarm.get(f"/{noun}s").body:
            panel.swarm.delete(f"/{noun}s/{found['ID']}")


def make(panel: Panel, noun: Noun = "secret", data: bytes = b"first", **of: Any) -> Found:
    """Create one by way of the panel, and let the watcher see it."""
    keep = of.pop("keep", False)
    new = NewObject(name=unique("password"), **of)
    making.create(panel.actor, panel.cluster, noun, new, data, engine=panel.engine, keep=keep)
    return find(panel, noun, new.name)


def find(panel: Panel, noun: Noun, name: str) -> Found:
    """The row, as of now."""
    panel.look()
    rows = MODELS[noun]._default_manager.select_related("cluster")
    return rows.get(cluster=panel.cluster, name=name)


def mounted(found: Found) -> dict[str, Any]:
    """The container's fields of a service that mounts it, for a user and a mode of its own."""
    title = found.noun.title()
    name = "password" if found.noun == "secret" else FILE
    file = {"Name": name, "UID": "33", "GID": "44", "Mode": 0o440}
    return {
        f"{title}s": [{"File": file, f"{title}ID": found.engine_id, f"{title}Name": found.name}]
    }


def consume(
    panel: Panel, found: Found, command: list[str] = SERVES_UNLESS_BAD, **parts: Any
) -> Service:
    """A service that mounts it, all of whose tasks run. Their names are in the order of calls."""
    container = {"Command": command, "Init": True, **mounted(found)}
    return panel.start(container=container, Name=f"consumer-{next(_numbers):05}", **parts)


def rotate(panel: Panel, found: Found, data: bytes = b"second", **options: Any) -> Operation:
    engine: Engine = options.pop("engine", panel.engine)
    wake = panel.woken.append
    return rotations.request(panel.actor, found, data, engine=engine, wake=wake, **options)


def values(panel: Panel, service_id: str) -> set[bytes]:
    """What the mounted file says in every running container of the service."""
    docker, found = panel.swarm.docker, set()
    for task in panel.swarm.running(service_id):
        container = task["Status"]["ContainerStatus"]["ContainerID"]
        run = docker.exec_create(container, ["cat", FILE])
        found.add(docker.exec_start(run["Id"]))
    return found


def until_mounted(panel: Panel, service_id: str, value: bytes) -> None:
    """Every container has the value; a moment after its start one may not answer yet."""
    wait_until(lambda: values(panel, service_id) == {value}, f"{value!r} in {service_id}", 20)


def names(panel: Panel, noun: Noun = "secret") -> set[str]:
    return {found["Spec"]["Name"] for found in panel.swarm.get(f"/{noun}s").body}


class Died(BaseException):
    """A worker's process is gone in the middle of a call."""


class Mortal:
    """An engine whose caller dies once: at the n-th call of a method, before or after it."""

    def __init__(self, engine: Engine, method: str, number: int, *, after: bool) -> None:
        self._engine, self._method, self._number, self._after = engine, method, number, after
        self.sent: list[tuple[str, Any]] = []  # every write that reached the engine
        self.died = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)
        return self._counted(name, call) if name in ("update_service", "remove") else call

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if name == self._method:
                self._number -= 1
            fatal = name == self._method and self._number == 0
            if fatal and not self._after:
                self.died = True
                raise Died
            answer = call(*arguments)
            self.sent.append((name, arguments[0] if name == "update_service" else arguments[1]))
            if fatal:
                self.died = True
                raise Died
            return answer

        return counted
