"""Rolling updates: one at a time per service, slot after slot, watched for failures.

An update belongs to the spec it was started for. A later write to the service cancels it; what it
had begun stays begun, as with the real managers.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator import constraints, specs
from simulator.clock import Clock, now
from simulator.objects import Service, Spec, Task, TaskState, UpdateStatus
from simulator.restarts import Restarts
from simulator.store import Change, Store
from simulator.tasks import Slot, again

IN_PROGRESS = ("updating", "rollback_started")
PAUSED = ("paused", "rollback_paused")


@dataclass(frozen=True, slots=True)
class Plan:
    """An update_config or rollback_config with its defaults, in seconds."""

    parallelism: int
    delay: float
    monitor: float
    max_failure_ratio: float
    failure_action: str
    order: str

    @classmethod
    def of(cls, service: Service) -> "Plan":
        name = "RollbackConfig" if _rolling_back(service) else "UpdateConfig"
        config: Spec = service.spec.get(name) or specs.UPDATE_DEFAULTS
        return cls(
            parallelism=int(config.get("Parallelism") or 0),
            delay=specs.seconds(config.get("Delay"), 0.0),
            monitor=specs.seconds(config.get("Monitor"), specs.DEFAULT_MONITOR),
            max_failure_ratio=float(config.get("MaxFailureRatio") or 0),
            failure_action=str(config.get("FailureAction") or "pause"),
            order=str(config.get("Order") or "stop-first"),
        )


class Updates:
    """The updates under way, by service."""

    def __init__(self, store: Store, clock: Clock, restarts: Restarts) -> None:
        self._store = store
        self._clock = clock
        self._restarts = restarts
        self._active: dict[str, Update] = {}
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        record = change.record
        if isinstance(record, Service) and change.action == "remove":
            self.cancel(record.id)
        elif isinstance(record, Task) and record.service_id in self._active:
            self._active[record.service_id].task_changed(record)

    def start(self, service: Service, slots: list[Slot]) -> None:
        """Bring the slots up to the service's spec; nothing if that is already under way."""
        running = self._active.get(service.id)
        if running is not None:
            if running.spec == service.spec:
                return
            self.cancel(service.id)
        if service.update_status is None and not slots:
            return
        update = Update(self._store, self._clock, self._restarts, service, self.is_outdated)
        dirty = update.dirty(slots)
        if dirty or service.update_status is not None:
            self._active[service.id] = update
            update.begin(dirty, lambda: self._ended(service.id, update))

    def is_outdated(self, service: Service, task: Task) -> bool:
        """Whether an update would replace the task. It would not for placement alone, if the
        task's node satisfies that."""
        if not specs.is_outdated(service, task):
            return False
        if not specs.only_placement_differs(service, task):
            return True
        node = self._store.nodes.get(task.node_id)
        wanted = constraints.parse(specs.constraints(service.spec["TaskTemplate"]))
        return node is None or not constraints.allows(wanted, node)

    def cancel(self, service_id: str) -> None:
        update = self._active.pop(service_id, None)
        if update is not None:
            update.cancel()

    def _ended(self, service_id: str, update: "Update") -> None:
        if self._active.get(service_id) is update:
            del self._active[service_id]


class Update:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        restarts: Restarts,
        service: Service,
        is_outdated: Callable[[Service, Task], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._restarts = restarts
        self._service = service
        self._is_outdated = is_outdated
        self.spec = service.spec
        self._plan = Plan.of(service)
        self._slots = 0
        self._started_tasks: dict[str, int | None] = {}
        self._failed: set[str] = set()
        self._coming_up: dict[str, asyncio.Future[None]] = {}
        self._halted = asyncio.Event()
        self._run: asyncio.Task[None] | None = None

    def dirty(self, slots: list[Slot]) -> list[Slot]:
        return [
            slot for slot in slots if len(slot) > 1 or self._is_outdated(self._service, slot[0])
        ]

    def begin(self, dirty: list[Slot], ended: Callable[[], None]) -> None:
        self._run = asyncio.get_running_loop().create_task(self._carry_out(dirty))
        self._run.add_done_callback(lambda _: ended())

    def cancel(self) -> None:
        self._halted.set()
        if self._run is not None:
            self._run.cancel()

    async def _carry_out(self, dirty: list[Slot]) -> None:
        status = self._service.update_status
        if status is not None and status.state in PAUSED:
            return
        if not dirty:
            if status is not None and status.state in IN_PROGRESS:
                self._complete()
            return
        if status is None:
            self._set_status(UpdateStatus("updating", "update in progress", now()))
        self._slots = len(dirty)
        random.shuffle(dirty)
        await self._work_through(dirty)
        if not self._halted.is_set():
            await self._monitor()
        if not self._halted.is_set():
            self._complete()

    async def _work_through(self, dirty: list[Slot]) -> None:
        queue = iter(dirty)
        workers = self._plan.parallelism or len(dirty)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(dirty))):
                group.create_task(self._worker(queue))

    async def _monitor(self) -> None:
        """Wait for failures once more before the update counts as complete."""
        halted = asyncio.create_task(self._halted.wait())
        sleep = asyncio.create_task(self._clock.sleep(self._plan.monitor))
        try:
            await asyncio.wait((halted, sleep), return_when=asyncio.FIRST_COMPLETED)
        finally:
            halted.cancel()
            sleep.cancel()

    async def _worker(self, queue: Iterator[Slot]) -> None:
        for slot in queue:
            await self._update_slot(slot)
            if self._plan.delay:
                await self._clock.sleep(self._plan.delay)
            if self._halted.is_set():
                return

    async def _update_slot(self, slot: Slot) -> None:
        fresh = [
            t
            for t in slot
            if t.desired <= TaskState.RUNNING and not self._is_outdated(self._service, t)
        ]
        if fresh:
            await self._use(max(fresh, key=lambda task: task.desired), slot)
            return
        task = again(self._service, slot[0])
        task.desired = TaskState.READY
        self._started_tasks[task.id] = None
        self._coming_up[task.id] = asyncio.get_running_loop().create_future()
        if self._plan.order == "start-first":
            self._store.create(task)
            await self._restarts.delay_start(None, task, 0)
            await self._coming_up[task.id]
            if task.state == TaskState.RUNNING:
                self._remove(slot)
        else:
            old = self._remove(slot)
            self._store.create(task)
            await self._restarts.delay_start(old, task, 0)
            await self._coming_up[task.id]

    async def _use(self, task: Task, slot: Slot) -> None:
        """A task with the new spec is there already: keep it, remove the others."""
        old = self._remove([other for other in slot if other is not task])
        if task.desired < TaskState.RUNNING:
            await self._restarts.delay_start(old, task, 0)

    def _remove(self, slot: Slot) -> Task | None:
        removed = None
        with self._store.batch():
            for task in slot:
                if task.desired <= TaskState.RUNNING and task.id in self._store.tasks.by_id:
                    self._store.update(task, desired=TaskState.SHUTDOWN)
                    removed = task
        return removed if removed is not None and removed.state <= TaskState.RUNNING else None

    def task_changed(self, task: Task) -> None:
        coming_up = self._coming_up.get(task.id)
        ended = task.state > TaskState.RUNNING or task.id not in self._store.tasks.by_id
        arrived = task.state >= TaskState.RUNNING or ended
        if arrived and coming_up is not None and not coming_up.done():
            self._started_tasks[task.id] = now()
            coming_up.set_result(None)
        if ended:
            self._judge_failure(task)

    def _judge_failure(self, task: Task) -> None:
        """Pause or roll back if too many of this update's own tasks ended within `monitor`."""
        if self._halted.is_set() or task.id in self._failed or task.id not in self._started_tasks:
            return
        started = self._started_tasks[task.id]
        if started is not None and self._clock.elapsed_since(started) > self._plan.monitor:
            return
        self._failed.add(task.id)
        too_many = len(self._failed) / self._slots > self._plan.max_failure_ratio
        if too_many and self._plan.failure_action != "continue":
            self._halt(task)

    def _halt(self, task: Task) -> None:
        self._halted.set()
        reason = f"due to failure or early termination of task {task.id}"
        back = _rolling_back(self._service)
        paused = "rollback_paused" if back else "paused"
        if self._plan.failure_action != "rollback":
            self._set_state(paused, f"update paused {reason}")
        elif back:  # never roll a rollback back
            self._set_state(paused, f"rollback paused {reason}")
        else:
            self._roll_back(f"update rolled back {reason}")

    def _roll_back(self, message: str) -> None:
        service, status = self._service, self._service.update_status
        if status is None or service.previous_spec is None:
            return
        self._store.update(
            service,
            spec=service.previous_spec,
            spec_version=service.previous_spec_version,
            previous_spec=None,
            previous_spec_version=0,
            update_status=UpdateStatus("rollback_started", message, status.started),
        )

    def _complete(self) -> None:
        back = _rolling_back(self._service)
        state, message = (
            ("rollback_completed", "rollback completed")
            if back
            else ("completed", "update completed")
        )
        status = self._service.update_status
        if status is not None:
            self._set_status(UpdateStatus(state, message, status.started, now()))

    def _set_state(self, state: str, message: str) -> None:
        status = self._service.update_status
        # Without a status the service was written meanwhile: this update is no longer its own.
        if status is not None:
            self._set_status(UpdateStatus(state, message, status.started, status.completed))

    def _set_status(self, status: UpdateStatus) -> None:
        self._store.update(self._service, update_status=status)


def _rolling_back(service: Service) -> bool:
    return service.update_status is not None and service.update_status.state == "rollback_started"
