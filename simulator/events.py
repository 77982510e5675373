"""The engine's events: Swarm objects cluster-wide, containers of this one node.

Like the real engine it says nothing about tasks, and replays the last 256 events only.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from simulator.clock import NANOSECONDS, now
from simulator.objects import Config, Network, Node, Record, Secret, Service, Task
from simulator.store import Change, Store

REPLAYED = 256
# A listener that reads too slowly loses events; it is never told.
LISTENER_BACKLOG = 1024

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    kind: str
    action: str
    actor: str
    attributes: Attributes
    scope: str
    moment: int

    def render(self) -> bytes:
        actor = {"ID": self.actor, "Attributes": dict(sorted(self.attributes.items()))}
        body: dict[str, Any] = {"Type": self.kind, "Action": self.action, "Actor": actor}
        body |= {
            "scope": self.scope,
            "time": self.moment // NANOSECONDS,
            "timeNano": self.moment,
        }
        if self.kind == "container":
            image = self.attributes["image"]
            body = {"status": self.action, "id": self.actor, "from": image, **body}
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"


class Listener:
    """One reader of the stream."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(LISTENER_BACKLOG)

    def tell(self, event: Event) -> None:
        if not self._queue.full():
            self._queue.put_nowait(event)

    async def next(self) -> Event:
        return await self._queue.get()


class Events:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Event] = deque(maxlen=REPLAYED)
        self._listeners: set[Listener] = set()
        self._to_drop = 0
        self.local_node_id = ""
        store.subscribe(self.handle)

    def listen(self) -> Listener:
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def recent(self) -> Iterable[Event]:
        return list(self._recent)

    def drop(self, count: int) -> None:
        """Lose the next events, as an engine does to a listener that stalls."""
        self._to_drop = count

    def emit(self, event: Event) -> None:
        if self._to_drop > 0:
            self._to_drop -= 1
            return
        self._recent.append(event)
        for listener in self._listeners:
            listener.tell(event)

    def handle(self, change: Change) -> None:
        record = change.after or change.record
        kind = _KINDS.get(type(record))
        if kind is None:
            return
        attributes = {"name": _name(record)}
        if change.action == "update" and change.before is not None:
            attributes |= _differences(change.before, record)
        # The moment of the write, which a client may have seen before the event.
        moment = now() if change.action == "remove" else record.updated
        self.emit(Event(kind, change.action, record.id, attributes, "swarm", moment))

    def container(self, action: str, task: Task, attributes: Attributes) -> None:
        """A container event, if the container is on the node that this API speaks for."""
        if task.node_id != self.local_node_id or not task.status.container_id:
            return
        service = self._store.services.get(task.service_id)
        service_name = service.name if service else ""
        name = f"{service_name}.{task.slot or task.node_id}.{task.id}"
        everything = {
            "com.docker.swarm.node.id": task.node_id,
            "com.docker.swarm.service.id": task.service_id,
            "com.docker.swarm.service.name": service_name,
            "com.docker.swarm.task": "",
            "com.docker.swarm.task.id": task.id,
            "com.docker.swarm.task.name": name,
            "image": task.image,
            "name": name,
            **attributes,
        }
        container = task.status.container_id
        self.emit(Event("container", action, container, everything, "local", now()))


_KINDS: dict[type[Record], str] = {
    Service: "service",
    Node: "node",
    Network: "network",
    Secret: "secret",
    Config: "config",
}


def _name(record: Record) -> str:
    if isinstance(record, Node):
        return str(record.spec.get("Name") or record.hostname)
    if isinstance(record, Service | Network | Secret | Config):
        return record.name
    return ""


def _differences(before: Record, after: Record) -> Attributes:
    if isinstance(before, Service) and isinstance(after, Service):
        return _service_differences(before, after)
    if isinstance(before, Node) and isinstance(after, Node):
        pairs = {
            "availability": (before.availability, after.availability),
            "role": (before.role, after.role),
            "state": (before.state, after.state),
            "leader": (str(before.leader).lower(), str(after.leader).lower()),
            "reachability": (before.reachability, after.reachability),
        }
        return _pairs(pairs)
    return {}


def _service_differences(before: Service, after: Service) -> Attributes:
    pairs = {
        "image": (_image(before), _image(after)),
        "updatestate": (_update_state(before), _update_state(after)),
    }
    if before.mode == after.mode == "Replicated":
        pairs["replicas"] = (str(before.replicas), str(after.replicas))
    return _pairs(pairs)


def _pairs(pairs: dict[str, tuple[str, str]]) -> Attributes:
    attributes: Attributes = {}
    for name, (old, new) in pairs.items():
        if old != new:
            attributes |= {f"{name}.old": old, f"{name}.new": new}
    return {name: value for name, value in attributes.items() if value}


def _image(service: Service) -> str:
    return str((service.spec["TaskTemplate"].get("ContainerSpec") or {}).get("Image", ""))


def _update_state(service: Service) -> str:
    return service.update_status.state if service.update_status else ""
