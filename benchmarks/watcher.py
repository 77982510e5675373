"""What the watcher asks of the engine per change, at 10, 100 and 1,000 services."""

import json
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from benchmarks.measures import Measure
from benchmarks.panel import MeasuredPanel, panel_on
from benchmarks.proxy import Counted, CountingProxy
from benchmarks.swarm import RawSwarm
from tests import processes
from tests.engines import SimulatedEngine

SIZES = (10, 100, 1000)
TASKS_EACH = 10
CHANGES = 10
APART = 2.0  # seconds: longer than the watcher looks at a service that has settled
KB = 1000


@dataclass(frozen=True)
class Cost:
    """Of one size. `beside` is what is asked without any change, per minute."""

    requests: float  # per change
    kilobytes: float
    beside_requests: float
    beside_kilobytes: float
    single_read: float  # kilobytes: one service and its tasks
    memory: float  # MiB: the most that the watcher held


def measure(rounds: int) -> list[Measure]:
    """Labels change one after another; what is read for a change names its service, all else is
    the watcher's own round. The number of changes is fixed.
    """
    costs = {size: _cost(size) for size in SIZES}
    least, most = costs[SIZES[0]], costs[SIZES[-1]]
    return [
        *(row for size, cost in costs.items() for row in _rows(size, cost)),
        Measure("watcher, bytes per change at 1,000 services, against 10",
                most.kilobytes, "kB", least.kilobytes, goal=1.1),
        Measure("watcher, bytes per change, against one filtered read",
                most.kilobytes, "kB", most.single_read, goal=2.0),
        Measure("watcher, memory at 10,000 tasks, against 100",
                most.memory, "MiB", least.memory, goal=300, absolute=True),
    ]  # fmt: skip


def _rows(size: int, cost: Cost) -> list[Measure]:
    at = f"at {size:,} services"
    return [
        Measure(f"watcher, requests per change {at}", cost.requests, ""),
        Measure(f"watcher, its own round, requests per minute {at}", cost.beside_requests, ""),
        Measure(f"watcher, its own round, per minute {at}", cost.beside_kilobytes, "kB"),
    ]


def _cost(size: int) -> Cost:
    tasks = size * TASKS_EACH
    with (
        SimulatedEngine("--services", str(size), "--tasks", str(tasks), "--nodes", "10") as engine,
        RawSwarm(engine.socket) as swarm,
        CountingProxy(engine.socket) as proxy,
        panel_on(proxy.url) as panel,
    ):
        panel.until_it_shows(size, tasks)
        services = swarm.get("/services")
        before = len(proxy.requests)
        begun = time.monotonic()
        for service in services[:CHANGES]:
            service["Spec"]["Labels"]["changed"] = "yes"
            swarm.update(service["ID"], service["Version"]["Index"], service["Spec"])
            time.sleep(APART)
        minutes = (time.monotonic() - begun) / 60
        asked = proxy.requests[before:]
        single = _single_read(swarm, services[0]["ID"])
        return _split(asked, minutes, single, _memory(panel))


def _split(asked: list[Counted], minutes: float, single: float, memory: float) -> Cost:
    changes = [request for request in asked if _names_a_service(request)]
    beside = [request for request in asked if not _names_a_service(request)]
    return Cost(
        requests=len(changes) / CHANGES,
        kilobytes=_kilobytes(changes) / CHANGES,
        beside_requests=len(beside) / minutes,
        beside_kilobytes=_kilobytes(beside) / minutes,
        single_read=single,
        memory=memory,
    )


def _names_a_service(request: Counted) -> bool:
    filters = parse_qs(urlsplit(request.path).query).get("filters", ["{}"])[0]
    return bool(json.loads(filters).keys() & {"id", "service"})


def _kilobytes(requests: list[Counted]) -> float:
    return sum(request.answered for request in requests) / KB


def _single_read(swarm: RawSwarm, service_id: str) -> float:
    service = swarm.read("/services", status="true", filters=json.dumps({"id": [service_id]}))
    tasks = swarm.read("/tasks", filters=json.dumps({"service": [service_id]}))
    return (len(service) + len(tasks)) / KB


def _memory(panel: MeasuredPanel) -> float:
    return processes.memory(panel.processes()["watcher"], "VmHWM")
