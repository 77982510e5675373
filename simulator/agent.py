"""What the nodes do: pull, start, watch and stop the containers of the tasks given to them."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from simulator.clock import Clock, now
from simulator.identifiers import container_id
from simulator.images import Behaviour, behaviour
from simulator.objects import Node, Task, TaskState, TaskStatus
from simulator.specs import SECOND
from simulator.store import Change, Store

ACCEPT = (0.02, 0.08)
PULL = (0.2, 0.9)
PREPARE = (0.05, 0.12)
START = (0.1, 0.3)
STOP = (0.15, 0.6)
FIRST_CHECK_LIMIT = 3.0


class ContainerEvents(Protocol):
    def container(self, action: str, task: Task, attributes: dict[str, str]) -> None:
        """Tell that a container was created, started, stopped, ..."""


class Agents:
    """All nodes' agents. A task has at most one step under way."""

    def __init__(self, store: Store, clock: Clock, events: ContainerEvents) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._steps: dict[str, asyncio.TimerHandle] = {}
        self._stopping: set[str] = set()
        self._images: dict[str, set[str]] = defaultdict(set)
        self._random = random.Random()
        store.subscribe(self.handle)

    def handle(self, change: Change) -> None:
        record = change.record
        if isinstance(record, Task) and record.node_id:
            if change.action == "remove":
                self._forget(record)
                self._events.container("destroy", record, {})
            else:
                self._consider(record)
        elif isinstance(record, Node) and isinstance(change.before, Node):
            self._node_changed(record, change.before)

    def adopt(self, task: Task) -> None:
        """Take over a running task of a population that exists from the start."""
        self._images[task.node_id].add(task.image)
        self._after_start(task)

    def fail(self, task: Task, message: str, exit_code: int = 1) -> None:
        """End a task's container as if it had failed by itself."""
        self._forget(task)
        self._ended(task, TaskState.FAILED, message, exit_code)

    def _node_changed(self, node: Node, before: Node) -> None:
        if node.state == before.state:
            return
        for task in self._store.node_tasks(node.id):
            self._forget(task)
            if node.state != "down":
                self._resume(task)

    def _resume(self, task: Task) -> None:
        if task.state == TaskState.RUNNING and task.desired <= TaskState.COMPLETE:
            self._after_start(task)
        else:
            self._consider(task)

    def _consider(self, task: Task) -> None:
        node = self._store.nodes.get(task.node_id)
        if node is None or node.state == "down" or task.state > TaskState.RUNNING:
            self._forget(task)
        elif task.desired > TaskState.COMPLETE:
            if task.id not in self._stopping:
                self._stop(task)
        elif task.id not in self._steps and task.state >= TaskState.ASSIGNED:
            self._advance(task)

    def _advance(self, task: Task) -> None:
        if task.state in (TaskState.ASSIGNED, TaskState.ACCEPTED):
            self._later(task, ACCEPT, lambda: self._accept(task))
        elif task.state == TaskState.PREPARING:
            self._later(task, self._preparation(task), lambda: self._prepared(task))
        elif task.state == TaskState.READY and task.desired >= TaskState.RUNNING:
            self._later(task, PREPARE, lambda: self._starting(task))
        elif task.state == TaskState.STARTING:
            self._later(task, self._start_time(task), lambda: self._started(task))

    def _later(self, task: Task, span: tuple[float, float], step: Callable[[], None]) -> None:
        def run() -> None:
            self._steps.pop(task.id, None)
            step()

        delay = self._random.uniform(*span)
        self._steps[task.id] = self._clock.call_later(delay, run)

    def _accept(self, task: Task) -> None:
        self._status(task, TaskState.PREPARING, "preparing")

    def _preparation(self, task: Task) -> tuple[float, float]:
        return PREPARE if task.image in self._images[task.node_id] else PULL

    def _prepared(self, task: Task) -> None:
        if not behaviour(task.spec).available:
            self._rejected(task, f"No such image: {task.image}")
            return
        self._images[task.node_id].add(task.image)
        self._status(task, TaskState.READY, "prepared")

    def _rejected(self, task: Task, error: str) -> None:
        status = TaskStatus(
            TaskState.REJECTED, task.status.message, now(), error=error, container_id=""
        )
        self._store.update(task, status=status)

    def _starting(self, task: Task) -> None:
        self._status(task, TaskState.STARTING, "starting", container=container_id())
        self._events.container("create", task, {})
        self._events.container("start", task, {})

    def _start_time(self, task: Task) -> tuple[float, float]:
        check = task.spec["ContainerSpec"].get("Healthcheck") or {}
        if not check.get("Test") or check["Test"][:1] == ["NONE"]:
            return START
        first = min((check.get("Interval") or 30 * SECOND) / SECOND, FIRST_CHECK_LIMIT)
        return first, first + START[1]

    def _started(self, task: Task) -> None:
        if behaviour(task.spec).unhealthy:
            self._events.container("health_status: unhealthy", task, {})
            self._exit(task, behaviour(task.spec))
            return
        self._store.update(
            task,
            started=now(),
            status=TaskStatus(
                TaskState.RUNNING,
                "started",
                now(),
                container_id=task.status.container_id,
                pid=self._random.randrange(300, 4_000_000),
            ),
        )
        self._after_start(task)

    def _after_start(self, task: Task) -> None:
        does = behaviour(task.spec)
        if does.exits_after is not None:
            span = (does.exits_after, does.exits_after)
            self._later(task, span, lambda: self._exit(task, does))

    def _exit(self, task: Task, does: Behaviour) -> None:
        if does.exit_code == 0:
            self._ended(task, TaskState.COMPLETE, "", 0)
        else:
            self._ended(task, TaskState.FAILED, does.error, does.exit_code)

    def _stop(self, task: Task) -> None:
        self._forget(task)
        self._stopping.add(task.id)
        self._later(task, STOP, lambda: self._ended(task, TaskState.SHUTDOWN, "", 0))

    def _ended(self, task: Task, state: TaskState, error: str, exit_code: int) -> None:
        messages = {TaskState.SHUTDOWN: "shutdown", TaskState.COMPLETE: "finished"}
        self._forget(task)
        status = TaskStatus(
            state,
            messages.get(state, task.status.message),
            now(),
            error=error,
            container_id=task.status.container_id,
            exit_code=exit_code,
        )
        self._store.update(task, status=status)
        self._tell_end(task, stopped=state == TaskState.SHUTDOWN)

    def _tell_end(self, task: Task, stopped: bool) -> None:
        if stopped:
            self._events.container("kill", task, {"signal": "15"})
        self._events.container("die", task, {"exitCode": str(task.status.exit_code)})
        if stopped:
            self._events.container("stop", task, {})

    def _status(
        self, task: Task, state: TaskState, message: str, container: str | None = None
    ) -> None:
        self._store.update(task, status=TaskStatus(state, message, now(), container_id=container))

    def _forget(self, task: Task) -> None:
        self._stopping.discard(task.id)
        step = self._steps.pop(task.id, None)
        if step is not None:
            step.cancel()
