"""The managers' store: objects, one global index of writes, indexes by service and by node.

Every write takes the next index as the object's version, as a write to the raft log does, and is
told to the subscribers in order, soon after and never from inside the write.
"""

import asyncio
import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from simulator.clock import now
from simulator.objects import Config, Network, Node, Record, Secret, Service, Task

R = TypeVar("R", bound=Record)
K = TypeVar("K")
# A long queue is worked off in slices, so that requests are answered in between.
SLICE = 500


@dataclass(slots=True, frozen=True)
class Change:
    """A write. `record` is the live object and may have moved on since; `before` and `after` are
    shallow copies of that moment (no `before` of a creation, no `after` of tasks: too many)."""

    action: str  # create, update, remove
    record: Record
    before: Record | None
    after: Record | None = None


class Table(Generic[R]):
    """Objects of one kind by id, and by name where they have one."""

    def __init__(self) -> None:
        self.by_id: dict[str, R] = {}

    def get(self, identifier: str) -> R | None:
        return self.by_id.get(identifier)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self.by_id.values()))

    def __len__(self) -> int:
        return len(self.by_id)


class Store:
    def __init__(self) -> None:
        self.index = 10
        self.services: Table[Service] = Table()
        self.tasks: Table[Task] = Table()
        self.nodes: Table[Node] = Table()
        self.networks: Table[Network] = Table()
        self.secrets: Table[Secret] = Table()
        self.configs: Table[Config] = Table()
        self.tasks_by_service: dict[str, dict[str, Task]] = defaultdict(dict)
        self.tasks_by_node: dict[str, dict[str, Task]] = defaultdict(dict)
        self.tasks_by_place: dict[tuple[str, int, str], dict[str, Task]] = defaultdict(dict)
        self._tables: dict[type[Record], Table[Record]] = {
            Service: self.services,  # type: ignore[dict-item]
            Task: self.tasks,  # type: ignore[dict-item]
            Node: self.nodes,  # type: ignore[dict-item]
            Network: self.networks,  # type: ignore[dict-item]
            Secret: self.secrets,  # type: ignore[dict-item]
            Config: self.configs,  # type: ignore[dict-item]
        }
        self._subscribers: list[Callable[[Change], None]] = []
        self._changes: deque[Change] = deque()
        self._draining = False
        self._in_batch = False

    def subscribe(self, subscriber: Callable[[Change], None]) -> None:
        self._subscribers.append(subscriber)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Writes inside share one index, as those of one transaction do."""
        self.index += 1
        self._in_batch = True
        try:
            yield
        finally:
            self._in_batch = False

    def create(self, record: R) -> R:
        record.created = record.created or now()
        self._put(record)
        self._stamp(record, None)
        self._tell(Change("create", record, None, _snapshot(record)))
        return record

    def load(self, record: R) -> R:
        """Add an object without telling anyone: for a population that exists from the start."""
        record.created = record.created or now()
        self._put(record)
        self._stamp(record, record.created)
        return record

    def update(self, record: Record, **fields: object) -> None:
        before = copy.copy(record)
        for name, value in fields.items():
            setattr(record, name, value)
        if isinstance(record, Task) and isinstance(before, Task):
            self._move(record, before.node_id)
        self._stamp(record, None)
        self._tell(Change("update", record, before, _snapshot(record)))

    def remove(self, record: Record) -> None:
        del self._tables[type(record)].by_id[record.id]
        if isinstance(record, Task):
            self._unindex(record)
        if not self._in_batch:
            self.index += 1
        self._tell(Change("remove", record, copy.copy(record)))

    def service_tasks(self, service_id: str) -> list[Task]:
        return list(self.tasks_by_service.get(service_id, {}).values())

    def node_tasks(self, node_id: str) -> list[Task]:
        return list(self.tasks_by_node.get(node_id, {}).values())

    def siblings(self, task: Task) -> list[Task]:
        """The task and its predecessors in the same slot, or on the same node if global."""
        return list(self.tasks_by_place.get((task.service_id, *task.place), {}).values())

    def _put(self, record: Record) -> None:
        self._tables[type(record)].by_id[record.id] = record
        if isinstance(record, Task):
            self.tasks_by_service[record.service_id][record.id] = record
            self.tasks_by_node[record.node_id][record.id] = record
            self.tasks_by_place[(record.service_id, *record.place)][record.id] = record

    def _unindex(self, task: Task) -> None:
        self.tasks_by_node[task.node_id].pop(task.id, None)
        _discard(self.tasks_by_service, task.service_id, task.id)
        _discard(self.tasks_by_place, (task.service_id, *task.place), task.id)

    def _move(self, task: Task, old_node: str) -> None:
        if task.node_id != old_node:
            self.tasks_by_node[old_node].pop(task.id, None)
            self.tasks_by_node[task.node_id][task.id] = task

    def _stamp(self, record: Record, moment: int | None) -> None:
        if not self._in_batch:
            self.index += 1
        record.version = self.index
        record.updated = moment or now()
        record.rendered = None

    def _tell(self, change: Change) -> None:
        self._changes.append(change)
        if not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        try:
            for _ in range(min(SLICE, len(self._changes))):
                change = self._changes.popleft()
                for subscriber in self._subscribers:
                    subscriber(change)
        finally:
            self._draining = bool(self._changes)
            if self._draining:
                asyncio.get_running_loop().call_soon(self._drain)


def _discard(index: dict[K, dict[str, Task]], key: K, task_id: str) -> None:
    """Drop a task from an index, and the entry with its last task."""
    index[key].pop(task_id, None)
    if not index[key]:
        del index[key]


def _snapshot(record: Record) -> Record | None:
    return None if isinstance(record, Task) else copy.copy(record)
