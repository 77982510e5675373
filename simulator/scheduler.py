"""Gives waiting tasks a node, or says why none will do."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from simulator import constraints, specs
from simulator.clock import Clock, now
from simulator.objects import Node, Record, Spec, Task, TaskState, TaskStatus
from simulator.store import Change, Store

# Managers gather what changes for a moment before they schedule.
GATHERING_SECONDS = 0.05


@dataclass(slots=True)
class Usage:
    """What the tasks on a node have taken of it."""

    tasks: int = 0
    nano_cpus: int = 0
    memory_bytes: int = 0
    by_service: Counter[str] = field(default_factory=Counter)
    host_ports: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, task: Task, sign: int) -> None:
        cpus, memory = _reservations(task.spec)
        self.tasks += sign
        self.nano_cpus += sign * cpus
        self.memory_bytes += sign * memory
        self.by_service[task.service_id] += sign
        for port in _host_ports(task.endpoint_spec):
            self.host_ports[port] += sign


class Scheduler:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, Task] = {}
        self._usage: dict[str, Usage] = defaultdict(Usage)
        self._timer: asyncio.TimerHandle | None = None
        store.subscribe(self.handle)

    def adopt(self, task: Task) -> None:
        """Count a task that was placed before this scheduler began."""
        self._usage[task.node_id].add(task, 1)

    def fitting(self, task: Task) -> list[Node]:
        """The nodes that would take the task."""
        check = Check(task, self._usage)
        return [node for node in self._store.nodes if check.passes(node)]

    def handle(self, change: Change) -> None:
        if isinstance(change.record, Task):
            self._task_changed(change, change.record)
        elif isinstance(change.record, Node) and self._waiting:
            self._wake()

    def _task_changed(self, change: Change, task: Task) -> None:
        was, is_ = _occupies(change.before), change.action != "remove" and _occupies(task)
        if was and not is_:
            self._usage[task.node_id].add(task, -1)
            if self._waiting:
                self._wake()
        if change.action == "remove" or task.desired == TaskState.REMOVE:
            self._waiting.pop(task.id, None)
        elif task.state == TaskState.PENDING and not task.status.error:
            self._waiting[task.id] = task
            self._wake()
        elif task.id in self._waiting and task.desired == TaskState.SHUTDOWN:
            self._wake()

    def _wake(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(GATHERING_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        groups: dict[tuple[str, int, str], list[Task]] = defaultdict(list)
        for task in self._waiting.values():
            groups[task.service_id, task.spec_version, task.node_id].append(task)
        with self._store.batch():
            for group in groups.values():
                self._schedule(group)

    def _schedule(self, group: list[Task]) -> None:
        first = group[0]
        if first.node_id:
            preassigned = self._store.nodes.get(first.node_id)
            nodes = [preassigned] if preassigned else []
        else:
            nodes = list(self._store.nodes)
        check = Check(first, self._usage)
        fitting = [node for node in nodes if check.passes(node)]
        for task in group:
            node = self._best(check, fitting)
            if node is None:
                self._refuse(task, check.explanation())
            else:
                self._assign(task, node)

    def _best(self, check: "Check", fitting: list[Node]) -> Node | None:
        """The node with the fewest tasks of the service, then with the fewest of all."""
        while fitting:
            node = min(fitting, key=lambda n: self._load(check.task.service_id, n))
            if check.passes(node):
                return node
            fitting.remove(node)
        return None

    def _load(self, service_id: str, node: Node) -> tuple[int, int]:
        usage = self._usage[node.id]
        return usage.by_service[service_id], usage.tasks

    def _assign(self, task: Task, node: Node) -> None:
        message = "scheduler assigned task to node"
        if task.node_id:
            message = "scheduler confirmed task can run on preassigned node"
        del self._waiting[task.id]
        self._usage[node.id].add(task, 1)
        status = TaskStatus(TaskState.ASSIGNED, message, now())
        self._store.update(task, node_id=node.id, status=status)

    def _refuse(self, task: Task, reasons: str) -> None:
        """Say why it waits; or, if nobody wants it any more, let it be over."""
        if task.desired == TaskState.SHUTDOWN:
            del self._waiting[task.id]
            status = TaskStatus(TaskState.SHUTDOWN, task.status.message, now())
            self._store.update(task, status=status)
            return
        error = f"no suitable node ({reasons})" if reasons else "no suitable node"
        if task.status.error != error:
            status = TaskStatus(TaskState.PENDING, task.status.message, now(), error=error)
            self._store.update(task, status=status)


class Check:
    """Whether a node will do for a task; counts, per reason, the nodes that will not."""

    def __init__(self, task: Task, usage: dict[str, Usage]) -> None:
        self.task = task
        self._usage = usage
        self._constraints = constraints.parse(specs.constraints(task.spec))
        self._reservations = _reservations(task.spec)
        self._wants_generic = _wants_generic(task.spec)
        self._ports = _host_ports(task.endpoint_spec)
        placement = task.spec.get("Placement") or {}
        self._max_replicas = int(placement.get("MaxReplicas") or 0)
        self._refused: dict[str, set[str]] = defaultdict(set)

    def passes(self, node: Node) -> bool:
        reason = self._reason_against(node)
        if reason:
            self._refused[reason].add(node.id)
        return reason is None

    def _reason_against(self, node: Node) -> str | None:
        usage = self._usage[node.id]
        if node.state != "ready" or node.availability != "active":
            return "{} not available for new tasks"
        cpus, memory = self._reservations
        if self._wants_generic:
            return "insufficient resources on {}"
        if (
            cpus > node.nano_cpus - usage.nano_cpus
            or memory > node.memory_bytes - usage.memory_bytes
        ):
            return "insufficient resources on {}"
        if not constraints.allows(self._constraints, node):
            return "scheduling constraints not satisfied on {}"
        if any(usage.host_ports[port] for port in self._ports):
            return "host-mode port already in use on {}"
        if self._max_replicas and usage.by_service[self.task.service_id] >= self._max_replicas:
            return "max replicas per node limit exceed"
        return None

    def explanation(self) -> str:
        ranked = sorted(self._refused.items(), key=lambda item: -len(item[1]))
        return "; ".join(reason.format(_nodes(len(refused))) for reason, refused in ranked)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _occupies(record: Record | None) -> bool:
    """Whether a task holds a place on its node (a waiting one, even if preassigned, does not)."""
    if not isinstance(record, Task) or not record.node_id:
        return False
    return TaskState.ASSIGNED <= record.state <= TaskState.RUNNING


def _reservations(template: Spec) -> tuple[int, int]:
    reserved = (template.get("Resources") or {}).get("Reservations") or {}
    return int(reserved.get("NanoCPUs") or 0), int(reserved.get("MemoryBytes") or 0)


def _wants_generic(template: Spec) -> bool:
    """Reserves GPUs and the like, which no simulated node has."""
    reserved = (template.get("Resources") or {}).get("Reservations") or {}
    return bool(reserved.get("GenericResources"))


def _host_ports(endpoint_spec: Spec | None) -> list[tuple[str, int]]:
    ports = (endpoint_spec or {}).get("Ports") or []
    return [
        (port.get("Protocol", "tcp"), int(port["PublishedPort"]))
        for port in ports
        if port.get("PublishMode") == "host" and port.get("PublishedPort")
    ]
