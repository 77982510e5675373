"""Replaces tasks that ended, after the restart policy's delay and within its attempts."""

import asyncio
from dataclasses import dataclass, field

from simulator import specs
from simulator.clock import NANOSECONDS, Clock, now
from simulator.objects import Service, Task, TaskState
from simulator.store import Change, Store
from simulator.tasks import Slot, again, restart_condition

OLD_TASK_LIMIT_SECONDS = 60.0


@dataclass(slots=True)
class History:
    """The restarts of one slot under one version of the spec."""

    spec_version: int
    total: int = 0
    moments: list[int] = field(default_factory=list)


@dataclass(slots=True)
class DelayedStart:
    """A new task that may run once its delay is over and the old task has stopped."""

    task_id: str
    old_task_id: str | None
    started: asyncio.Future[None]
    delay_over: bool = False
    old_stopped: bool = True
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    restart_wanted: bool = False


class Restarts:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._delayed: dict[str, DelayedStart] = {}
        self._by_old_task: dict[str, DelayedStart] = {}
        self._history: dict[str, dict[tuple[int, str], History]] = {}
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        record = change.record
        if isinstance(record, Service) and change.action == "remove":
            self._history.pop(record.id, None)
        elif isinstance(record, Task):
            self._task_changed(change, record)

    def _task_changed(self, change: Change, task: Task) -> None:
        gone = change.action == "remove"
        waiting = self._by_old_task.get(task.id)
        if waiting is not None and (gone or task.state > TaskState.RUNNING):
            self._old_task_stopped(waiting)
        delayed = self._delayed.get(task.id)
        if delayed is not None and (gone or task.desired > TaskState.COMPLETE):
            self._finish(delayed)

    def restart(self, service: Service, task: Task) -> None:
        """Shut the task down and, if its policy says so, put another in its place."""
        delayed = self._delayed.get(task.id)
        if delayed is not None:
            delayed.restart_wanted = True
            return
        self._store.update(task, desired=TaskState.SHUTDOWN)
        if not self.should_restart(task):
            return
        replacement = again(service, task)
        replacement.desired = TaskState.READY
        node = self._store.nodes.get(task.node_id)
        drained = node is not None and node.availability == "drain"
        down = node is not None and node.state == "down"
        delay = 0.0 if drained else _delay(task)
        self._store.create(replacement)
        self._record(replacement)
        stopped = down or task.state > TaskState.RUNNING
        self.delay_start(None if stopped else task, replacement, delay)

    def delay_start(self, old: Task | None, new: Task, delay: float) -> asyncio.Future[None]:
        """Let `new` run after the delay, and after `old` has stopped, if one is given."""
        started = asyncio.get_running_loop().create_future()
        entry = DelayedStart(new.id, old.id if old else None, started)
        self._delayed[new.id] = entry
        if old is not None:
            entry.old_stopped = False
            self._by_old_task[old.id] = entry
            limit = delay + OLD_TASK_LIMIT_SECONDS
            give_up = self._clock.call_later(limit, lambda: self._old_task_stopped(entry))
            entry.timers.append(give_up)
        entry.timers.append(self._clock.call_later(delay, lambda: self._delay_is_over(entry)))
        return started

    def _delay_is_over(self, entry: DelayedStart) -> None:
        entry.delay_over = True
        self._start_if_due(entry)

    def _old_task_stopped(self, entry: DelayedStart) -> None:
        entry.old_stopped = True
        self._start_if_due(entry)

    def _start_if_due(self, entry: DelayedStart) -> None:
        if not (entry.delay_over and entry.old_stopped) or entry.started.done():
            return
        task = self._store.tasks.get(entry.task_id)
        if task is not None and task.desired < TaskState.RUNNING:
            self._store.update(task, desired=_goal(task))
        self._finish(entry)

    def _finish(self, entry: DelayedStart) -> None:
        self._delayed.pop(entry.task_id, None)
        if entry.old_task_id is not None:
            self._by_old_task.pop(entry.old_task_id, None)
        for timer in entry.timers:
            timer.cancel()
        if not entry.started.done():
            entry.started.set_result(None)
        if entry.restart_wanted:
            self._restart_after_delay(entry.task_id)

    def _restart_after_delay(self, task_id: str) -> None:
        task = self._store.tasks.get(task_id)
        service = self._store.services.get(task.service_id) if task else None
        if task is not None and service is not None and task.desired <= TaskState.COMPLETE:
            self.restart(service, task)

    def should_restart(self, task: Task) -> bool:
        condition = restart_condition(task.spec)
        if condition == "none" or (condition == "on-failure" and task.state == TaskState.COMPLETE):
            return False
        attempts = int(specs.restart_policy(task.spec).get("MaxAttempts") or 0)
        return attempts == 0 or self._attempts_used(task) < attempts

    def _attempts_used(self, task: Task) -> int:
        history = self._history.get(task.service_id, {}).get(task.place)
        if history is None or history.spec_version != task.spec_version:
            return 0
        window = specs.restart_policy(task.spec).get("Window") or 0
        if not window:
            return history.total
        start = task.status.timestamp - window
        history.moments = [moment for moment in history.moments if moment >= start]
        return len(history.moments)

    def _record(self, replacement: Task) -> None:
        if not specs.restart_policy(replacement.spec).get("MaxAttempts"):
            return
        slots = self._history.setdefault(replacement.service_id, {})
        key = replacement.place
        history = slots.get(key)
        if history is None or history.spec_version != replacement.spec_version:
            history = slots[key] = History(replacement.spec_version)
        history.total += 1
        history.moments.append(now())

    def updatable(self, slot: Slot, rolling_back: bool) -> Slot:
        """The tasks of a slot that an update should replace: those meant to run, or else the
        last one if it ended for good (so that an outdated one is still brought up to date)."""
        active = [task for task in slot if task.desired <= TaskState.RUNNING]
        if active or rolling_back:
            return active
        newest = max(slot, key=lambda task: task.status.timestamp)
        return [] if self.should_restart(newest) else [newest]


def _goal(task: Task) -> TaskState:
    return TaskState.RUNNING if task.job_iteration is None else TaskState.COMPLETE


def _delay(task: Task) -> float:
    nanoseconds = specs.restart_policy(task.spec).get("Delay")
    if nanoseconds is None:
        return specs.DEFAULT_RESTART_DELAY
    return float(nanoseconds) / NANOSECONDS
