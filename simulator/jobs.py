"""Jobs: services whose tasks end. Each run of a job is an iteration; an update begins the next."""

from simulator import constraints, specs
from simulator.objects import Service, Task, TaskState
from simulator.restarts import Restarts
from simulator.store import Store
from simulator.tasks import new_task, remove_tasks


class Jobs:
    def __init__(self, store: Store, restarts: Restarts) -> None:
        self._store = store
        self._restarts = restarts

    def reconcile(self, service: Service) -> None:
        tasks = self._store.service_tasks(service.id)
        current = [task for task in tasks if task.job_iteration == service.job_iteration]
        stale = [task for task in tasks if task not in current and _is_active(task)]
        remove_tasks(self._store, stale)
        if service.mode == "ReplicatedJob":
            self._fill_slots(service, current)
        else:
            self._fill_nodes(service, current)

    def task_changed(self, service: Service, task: Task) -> None:
        if task.job_iteration != service.job_iteration or task.state <= TaskState.RUNNING:
            return
        if task.state == TaskState.COMPLETE:
            self.reconcile(service)
        else:
            self._restarts.restart(service, task)

    def _fill_slots(self, service: Service, current: list[Task]) -> None:
        """Start as many as may run at once, of those that are still to be done. A slot whose
        restarts are used up counts as done with."""
        mode = service.spec["Mode"]["ReplicatedJob"]
        begun = {task.slot for task in current}
        active = {task.slot for task in current if _is_active(task)}
        missing = int(mode["TotalCompletions"]) - len(begun)
        room = int(mode["MaxConcurrent"]) - len(active)
        with self._store.batch():
            for slot in range(len(begun), len(begun) + min(missing, room)):
                self._store.create(new_task(service, slot))

    def _fill_nodes(self, service: Service, current: list[Task]) -> None:
        begun = {task.node_id for task in current}
        wanted = constraints.parse(specs.constraints(service.spec["TaskTemplate"]))
        for node in self._store.nodes:
            usable = not node.invalid and node.availability == "active"
            if usable and node.id not in begun and constraints.allows(wanted, node):
                self._store.create(new_task(service, 0, node.id))


def _is_active(task: Task) -> bool:
    return task.desired <= TaskState.COMPLETE and task.state < TaskState.COMPLETE
