"""Keeps the tasks of replicated and global services as their specs ask."""

from collections import Counter, defaultdict

from simulator import constraints, specs
from simulator.clock import Clock, now
from simulator.jobs import Jobs
from simulator.objects import Node, Service, Task, TaskState, TaskStatus
from simulator.restarts import Restarts
from simulator.store import Change, Store
from simulator.tasks import Slot, by_slot, new_task, remove_tasks
from simulator.updater import Updates

# A real engine takes any number and drowns in it; this one makes so many tasks at a time.
MOST_TASKS = 20_000


class Orchestrator:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._restarts = Restarts(store, clock)
        self.updates = Updates(store, clock, self._restarts)
        self._jobs = Jobs(store, self._restarts)
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        record = change.record
        if isinstance(record, Service):
            self._service_changed(change, record)
        elif isinstance(record, Task):
            self._task_changed(change, record)
        elif isinstance(record, Node):
            self._node_changed(change, record)

    def _service_changed(self, change: Change, service: Service) -> None:
        if change.action == "remove":
            remove_tasks(self._store, self._store.service_tasks(service.id))
        elif service.id not in self._store.services.by_id:
            return
        elif service.mode == "Replicated":
            self._reconcile_replicated(service)
        elif service.mode == "Global":
            self._reconcile_global(service)
        else:
            self._jobs.reconcile(service)

    def _task_changed(self, change: Change, task: Task) -> None:
        if task.desired > TaskState.COMPLETE or change.action == "remove":
            return
        service = self._store.services.get(task.service_id)
        if service is None:
            remove_tasks(self._store, [task])
        elif service.is_job:
            self._jobs.task_changed(service, task)
        elif self._must_move(task):
            self._restarts.restart(service, task)

    def _must_move(self, task: Task) -> bool:
        if task.state > TaskState.RUNNING:
            return True
        node = self._store.nodes.get(task.node_id) if task.node_id and not task.by_node else None
        return node is not None and node.invalid

    # Replicated services

    def _reconcile_replicated(self, service: Service) -> None:
        slots = by_slot(self._store.service_tasks(service.id))
        back = service.update_status is not None and (
            service.update_status.state == "rollback_started"
        )
        live = {key: self._restarts.updatable(slot, back) for key, slot in slots.items()}
        live = {key: slot for key, slot in live.items() if slot}
        dead = [task for key, slot in slots.items() if key not in live for task in slot]
        kept = self._preferred(list(live.values()))
        surplus = [task for slot in kept[service.replicas :] for task in slot]
        self.updates.start(service, kept[: service.replicas])
        remove_tasks(self._store, dead + surplus)
        self._add_tasks(service, {key[0] for key in live}, service.replicas - len(kept))

    def _add_tasks(self, service: Service, used: set[int], count: int) -> None:
        slot = 0
        with self._store.batch():
            for _ in range(min(count, MOST_TASKS)):
                slot += 1
                while slot in used:
                    slot += 1
                self._store.create(new_task(service, slot))

    def _preferred(self, slots: list[Slot]) -> list[Slot]:
        """Running slots first, and of those one per node before a node's second, and so on: the
        end of the list is what scaling down removes."""
        slots.sort(key=lambda slot: (not _runs(slot), slot[0].slot))
        per_node: Counter[str] = Counter()
        ranks: dict[int, int] = {}
        for slot in slots:
            if len(slot) == 1 and slot[0].node_id:
                per_node[slot[0].node_id] += 1
                ranks[id(slot)] = per_node[slot[0].node_id]
        return sorted(slots, key=lambda slot: ranks.get(id(slot), 1_000_000))

    # Global services

    def _reconcile_global(self, service: Service) -> None:
        by_node: dict[str, Slot] = defaultdict(list)
        for task in self._store.service_tasks(service.id):
            by_node[task.node_id].append(task)
        outdated: list[Slot] = []
        for node in self._store.nodes:
            slot = by_node.pop(node.id, [])
            live = self._restarts.updatable(slot, rolling_back=False) if slot else []
            if node.invalid or not _wants(service, node):
                self._shut_down(live)
            elif live:
                outdated.append(live)
            elif node.availability == "active":
                self._store.create(new_task(service, 0, node.id))
        for slot in by_node.values():
            self._shut_down(slot)
        self.updates.start(service, outdated)

    def _shut_down(self, tasks: list[Task]) -> None:
        for task in tasks:
            if task.desired <= TaskState.RUNNING:
                self._store.update(task, desired=TaskState.SHUTDOWN)

    # Nodes

    def _node_changed(self, change: Change, node: Node) -> None:
        gone = change.action == "remove" or node.invalid
        for task in self._store.node_tasks(node.id):
            if task.desired <= TaskState.RUNNING:
                self._node_lost(task) if gone else self._enforce_constraints(task, node)
        if not gone:
            for service in self._store.services:
                if service.mode == "Global":
                    self._reconcile_global(service)
                elif service.mode == "GlobalJob":
                    self._jobs.reconcile(service)

    def _node_lost(self, task: Task) -> None:
        service = self._store.services.get(task.service_id)
        if not task.by_node and service is not None and not service.is_job:
            self._restarts.restart(service, task)
        else:
            self._store.update(task, desired=TaskState.SHUTDOWN)

    def _enforce_constraints(self, task: Task, node: Node) -> None:
        wanted = constraints.parse(specs.constraints(task.spec))
        if constraints.allows(wanted, node) or not _placed(task):
            return
        status = TaskStatus(
            TaskState.REJECTED,
            "task rejected by constraint enforcer",
            now(),
            error="assigned node no longer meets constraints",
            container_id=task.status.container_id,
            pid=task.status.pid,
        )
        self._store.update(task, status=status)


def _runs(slot: Slot) -> bool:
    return any(task.state == TaskState.RUNNING for task in slot)


def _placed(task: Task) -> bool:
    return TaskState.ASSIGNED <= task.state <= TaskState.RUNNING


def _wants(service: Service, node: Node) -> bool:
    wanted = constraints.parse(specs.constraints(service.spec["TaskTemplate"]))
    return constraints.allows(wanted, node)
