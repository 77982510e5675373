"""Forgets tasks: those removed on purpose once they have stopped, and history beyond the limit."""

from simulator.objects import Task, TaskState
from simulator.store import Change, Store


class Reaper:
    def __init__(self, store: Store, history_limit: int) -> None:
        self._store = store
        self._history_limit = history_limit
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        task = change.record
        if not isinstance(task, Task) or change.action == "remove":
            return
        if task.id not in self._store.tasks.by_id:
            return
        if change.action == "create":
            self._trim(task)
        elif task.desired == TaskState.REMOVE and _ended(task):
            self._store.remove(task)

    def _trim(self, newest: Task) -> None:
        """Keep the slot's newest tasks; what still runs is never forgotten."""
        slot = self._store.siblings(newest)
        surplus = len(slot) - self._history_limit
        old = sorted((task for task in slot if _ended(task)), key=lambda t: t.status.timestamp)
        for task in old[: max(surplus, 0)]:
            self._store.remove(task)


def _ended(task: Task) -> bool:
    return task.state > TaskState.RUNNING or (
        task.state < TaskState.ASSIGNED and task.desired > TaskState.RUNNING
    )
