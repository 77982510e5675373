"""/events and the logs of services and tasks: answers that go on."""

import asyncio
import struct
from collections.abc import Callable

from aiohttp import web

from simulator.clock import NANOSECONDS, now, rfc3339
from simulator.cluster import Swarm
from simulator.events import Event
from simulator.http.errors import invalid
from simulator.http.requests import Filters, filters_of, find_service, flag, manager, swarm_of
from simulator.http.tasks import find_task
from simulator.logs import STDERR, STDOUT, Line
from simulator.objects import Task

EVENT_FILTERS = (
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin",
    "scope", "secret", "service", "type", "volume",
)  # fmt: skip
# A follower looks for new lines this often; the lines carry their own, exact times.
FOLLOW_SECONDS = 0.25


async def events(request: web.Request) -> web.StreamResponse:
    swarm = swarm_of(request)
    filters = filters_of(request, EVENT_FILTERS)
    since, until = _moment(request, "since"), _moment(request, "until")
    response = await _begin(request, "application/json")
    listener = swarm.events.listen()
    try:
        if since is not None:
            for event in swarm.events.recent():
                if event.moment >= since and (until is None or event.moment <= until):
                    await _send_event(response, event, filters)
        while until is None or now() < until:
            left = None if until is None else (until - now()) / NANOSECONDS
            event = await asyncio.wait_for(listener.next(), left)
            await _send_event(response, event, filters)
    except TimeoutError:
        pass  # `until` is reached: the stream ends
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
        raise invalid(f'parsing time "{text}": not a time') from error


async def service_logs(request: web.Request) -> web.StreamResponse:
    swarm = manager(request)
    service = find_service(swarm, request.match_info["id"])
    return await _logs(request, swarm, lambda: swarm.store.service_tasks(service.id))


async def task_logs(request: web.Request) -> web.StreamResponse:
    swarm = manager(request)
    task = find_task(swarm, request.match_info["id"])
    return await _logs(request, swarm, lambda: [task])


async def _logs(
    request: web.Request, swarm: Swarm, tasks: Callable[[], list[Task]]
) -> web.StreamResponse:
    wanted = {STDOUT: flag(request, "stdout"), STDERR: flag(request, "stderr")}
    if not any(wanted.values()):
        raise invalid("Bad parameters: you must choose at least one stream")
    form = Form(flag(request, "timestamps"), flag(request, "details"), wanted)
    start, tail = _moment(request, "since") or 0, request.query.get("tail", "all")
    response = await _begin(request, "application/vnd.docker.raw-stream")
    position = now()
    for task, line in _collect(swarm, tasks(), start, position, tail):
        await response.write(form.frame(task, line))
    while flag(request, "follow"):
        await asyncio.sleep(FOLLOW_SECONDS)
        end = now()
        for task, line in _collect(swarm, tasks(), max(start, position), end, "all"):
            await response.write(form.frame(task, line))
        position = end
    return response


def _collect(
    swarm: Swarm, tasks: list[Task], since: int, until: int, tail: str
) -> list[tuple[Task, Line]]:
    """Each task's last lines, in the order of time."""
    found: list[tuple[Task, Line]] = []
    for task in tasks:
        lines = swarm.logs.lines(task, since, until)
        count = int(tail) if tail.isdigit() else len(lines)
        found += [(task, line) for line in lines[max(0, len(lines) - count) :]]
    return sorted(found, key=lambda pair: pair[1].moment)


class Form:
    """How a line is written: the frame's 8 bytes of head, then what the client asked for."""

    def __init__(self, timestamps: bool, details: bool, wanted: dict[int, bool]) -> None:
        self._timestamps = timestamps
        self._details = details
        self._wanted = wanted

    def frame(self, task: Task, line: Line) -> bytes:
        if not self._wanted[line.stream]:
            return b""
        parts = [rfc3339(line.moment)] if self._timestamps else []
        if self._details:
            parts.append(
                f"com.docker.swarm.node.id={task.node_id},"
                f"com.docker.swarm.service.id={task.service_id},"
                f"com.docker.swarm.task.id={task.id}"
            )
        payload = " ".join([*parts, line.text]).encode() + b"\n"
        return struct.pack(">BxxxL", line.stream, len(payload)) + payload


async def _begin(request: web.Request, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    return response
