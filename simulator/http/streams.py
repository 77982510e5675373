"""/events and the logs of services and tasks: answers that go on."""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from simulator.clock import NANOSECONDS, now, rfc3339
from simulator.cluster import Swarm
from simulator.events import Event
from simulator.http.errors import ApiError
from simulator.http.requests import Filters, filters_of, find_service, flag, manager, swarm_of
from simulator.http.tasks import find_task
from simulator.logs import STDERR, STDOUT, Line
from simulator.objects import Spec, Task

# A follower looks for new lines this often; the lines carry their own, exact times.
FOLLOW_SECONDS = 0.1
SYSTEM_ERROR = 3


async def events(request: web.Request) -> web.StreamResponse:
    swarm = swarm_of(request)
    filters = filters_of(request, None)
    since, until = _moment(request, "since"), _moment(request, "until")
    response = await _begin(request, "application/json")
    listener = swarm.events.listen()
    try:
        if since is not None or until is not None:
            for event in swarm.events.recent():
                if (since or 0) <= event.moment <= (until or event.moment):
                    await _send_event(response, event, filters)
        with suppress(TimeoutError):  # `until` is reached: the stream ends
            while until is None or now() < until:
                left = None if until is None else (until - now()) / NANOSECONDS
                event = await asyncio.wait_for(listener.next(), left)
                await _send_event(response, event, filters)
    finally:
        swarm.events.leave(listener)
    return response


async def _send_event(response: web.StreamResponse, event: Event, filters: Filters) -> None:
    if _wanted(event, filters):
        await response.write(event.render())


def _wanted(event: Event, filters: Filters) -> bool:
    return all(_passes(event, name, values) for name, values in filters.items())


def _passes(event: Event, name: str, values: list[str]) -> bool:
    plain = {"type": event.kind, "event": event.action.partition(":")[0], "scope": event.scope}
    if name in plain:
        return plain[name] in values
    actor = (event.actor, event.attributes.get("name"))
    return event.kind == name and any(value in actor for value in values)


def _moment(request: web.Request, name: str) -> int | None:
    """A time in seconds, with or without a fraction, as nanoseconds."""
    text = request.query.get(name)
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    try:
        return int(seconds) * NANOSECONDS + int(f"{fraction:0<9.9}" or 0)
    except ValueError as error:
        raise ApiError(500, f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


async def service_logs(request: web.Request) -> web.StreamResponse:
    swarm = manager(request)
    service = find_service(swarm, request.match_info["id"])
    terminal = _has_terminal(service.spec["TaskTemplate"])

    def scheduled() -> list[Task]:
        return [task for task in swarm.store.service_tasks(service.id) if task.node_id]

    return await _logs(request, swarm, terminal, scheduled)


async def task_logs(request: web.Request) -> web.StreamResponse:
    swarm = manager(request)
    task = find_task(swarm, request.match_info["id"])
    return await _logs(request, swarm, _has_terminal(task.spec), lambda: [task])


def _has_terminal(template: Spec) -> bool:
    return bool(template["ContainerSpec"].get("TTY"))


async def _logs(
    request: web.Request, swarm: Swarm, terminal: bool, tasks: Callable[[], list[Task]]
) -> web.StreamResponse:
    form = Form(
        terminal,
        timestamps=flag(request, "timestamps"),
        details=flag(request, "details"),
        stdout=flag(request, "stdout"),
        stderr=flag(request, "stderr"),
    )
    start, tail = _since(request), _tail(request)
    response = await _begin(request, "application/vnd.docker.raw-stream")
    position = now()
    for task, line in _collect(swarm, tasks(), start, position, tail):
        await response.write(form.frame(task, line))
    await response.write(form.complaint(swarm, tasks()))
    while flag(request, "follow"):
        await asyncio.sleep(FOLLOW_SECONDS)
        end = now()
        for task, line in _collect(swarm, tasks(), max(start, position), end, None):
            await response.write(form.frame(task, line))
        position = end
    return response


def _since(request: web.Request) -> int:
    try:
        return _moment(request, "since") or 0
    except ApiError as error:
        message = f"could not parse since timestamp: {error.message}"
        raise ApiError(error.status, message) from error


def _tail(request: web.Request) -> int | None:
    text = request.query.get("tail", "all")
    if text in ("all", ""):
        return None
    try:
        count = int(text)
    except ValueError as error:
        message = 'tail value must be a positive integer or "all"'
        raise ApiError(500, message) from error
    if count < 0:
        raise ApiError(500, "negative tail values not supported")
    return count


def _collect(
    swarm: Swarm, tasks: list[Task], since: int, until: int, tail: int | None
) -> list[tuple[Task, Line]]:
    """The last lines of each task whose node answers, in the order of time."""
    found: list[tuple[Task, Line]] = []
    for task in tasks:
        if _reachable(swarm, task):
            lines = swarm.logs.lines(task, since, until)
            found += [(task, line) for line in (lines[-tail:] if tail else lines)]
    return [] if tail == 0 else sorted(found, key=lambda pair: pair[1].moment)


def _reachable(swarm: Swarm, task: Task) -> bool:
    node = swarm.store.nodes.get(task.node_id)
    return node is not None and node.state != "down"


class Form:
    """How a line is written: the frame's 8 bytes of head, then what the client asked for.

    Of a container with a terminal it is the bare text, as the terminal would show it.
    """

    def __init__(
        self, terminal: bool, timestamps: bool, details: bool, stdout: bool, stderr: bool
    ) -> None:
        if not (stdout or stderr):
            raise ApiError(500, "Bad parameters: you must choose at least one stream")
        self._terminal = terminal
        self._timestamps = timestamps
        self._details = details
        self._wanted = {STDOUT: stdout, STDERR: stderr}

    def frame(self, task: Task, line: Line) -> bytes:
        if not self._terminal and not self._wanted[line.stream]:
            return b""
        parts = [rfc3339(line.moment, fixed=True)] if self._timestamps else []
        if self._details:
            parts.append(
                f"com.docker.swarm.node.id={task.node_id},"
                f"com.docker.swarm.service.id={task.service_id},"
                f"com.docker.swarm.task.id={task.id}"
            )
        text = " ".join([*parts, line.text])
        return f"{text}\r\n".encode() if self._terminal else _frame(line.stream, text + "\n")

    def complaint(self, swarm: Swarm, tasks: list[Task]) -> bytes:
        """What managers add at the end when they could not reach every task."""
        reasons = [reason for task in tasks if (reason := _unavailable(swarm, task))]
        if not reasons or self._terminal:
            return b""
        return _frame(
            SYSTEM_ERROR,
            "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log "
            "stream. some logs could not be retrieved for the following reasons: "
            f"{', '.join(dict.fromkeys(reasons))}\n",
        )


def _unavailable(swarm: Swarm, task: Task) -> str:
    if not task.node_id:
        return f"task {task.id} has not been scheduled"
    return "" if _reachable(swarm, task) else f"node {task.node_id} is not available"


def _frame(stream: int, text: str) -> bytes:
    payload = text.encode()
    return struct.pack(">BxxxL", stream, len(payload)) + payload


async def _begin(request: web.Request, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    return response
