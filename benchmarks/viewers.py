"""What a viewer costs: CPU per delivery, memory, and bytes per change, beside a bare server."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.measures import Measure
from benchmarks.panel import OF_THE_LIST, MeasuredPanel, panel_on
from benchmarks.swarm import RawSwarm, change_image
from tests import processes
from tests.crowd import Crowd
from tests.engines import SimulatedEngine, wait_until
from tests.run.stages import ROOT
from tests.servers.daemon import free_port

VIEWERS, PEOPLE = 1000, 20
CHANGES, WARM_UP = 20, 3
SIZES = (10, 1000)  # services
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Of one server: CPU seconds per delivery, MiB per viewer, and the frames of one change."""

    cpu: float
    memory: float
    frames: list[str]


def measure(rounds: int) -> list[Measure]:
    """The bare server sends the very frames that the panel sent, by the same server program."""
    with _swarm_of(100) as (panel, swarm):
        ours = _of_panel(panel, swarm)
    bare = _of_bare(ours.frames)
    per_delivery, mib = 1e6, "MiB"
    return [
        Measure("viewers, CPU per delivery at 1,000", ours.cpu * per_delivery, "µs",
                bare.cpu * per_delivery, goal=1.3),
        Measure("viewers, memory of each", ours.memory, mib, bare.memory, goal=2.0),
        *(row for size in SIZES for row in _bytes(size)),
    ]  # fmt: skip


@contextmanager
def _swarm_of(services: int) -> Iterator[tuple[MeasuredPanel, RawSwarm]]:
    size = ("--services", str(services), "--tasks", str(services * 4), "--nodes", "10")
    with (
        SimulatedEngine(*size) as engine,
        RawSwarm(engine.socket) as swarm,
        panel_on(engine.url) as panel,
    ):
        panel.until_it_shows(services, services * 4)
        yield panel, swarm


# --- CPU and memory ------------------------------------------------------------------------------


def _of_panel(panel: MeasuredPanel, swarm: RawSwarm) -> Cost:
    web = panel.processes()["web"]
    headers = [{"Authorization": f"Bearer {secret}"} for secret in panel.tokens(PEOPLE)]
    empty = processes.memory(web)
    with Crowd(panel.live_address(*OF_THE_LIST), VIEWERS, headers) as crowd:
        crowd.until_all_have('"sequence"')
        service = swarm.get("/services")[0]["ID"]
        for number in range(WARM_UP):
            _change_image(swarm, crowd, service, f"warm:{number}")
        held = processes.memory(web) - empty
        crowd.forget()
        begun = processes.cpu_seconds(web)
        for number in range(CHANGES):
            _change_image(swarm, crowd, service, f"lab/web:{number}")
        cpu = processes.cpu_seconds(web) - begun
        frames = [frame for frame in crowd.members[0].frames if "<tr" in frame]
        deliveries = sum(len(member.frames) for member in crowd.members)
    return Cost(cpu / deliveries, held / VIEWERS, frames)


def _change_image(swarm: RawSwarm, crowd: Crowd, service_id: str, image: str) -> None:
    change_image(swarm, service_id, image)
    crowd.until_all_have(image)


def _of_bare(frames: list[str]) -> Cost:
    with _bare_server() as (url, pid):
        empty = processes.memory(pid)
        with Crowd(url.replace("http", "ws", 1), VIEWERS) as crowd:
            for number in range(WARM_UP):
                _post(url, f"warm {number}")
                crowd.until_all_have(f"warm {number}")
            held = processes.memory(pid) - empty
            begun = processes.cpu_seconds(pid)
            for number, frame in enumerate(frames):
                _post(url, f"{number} {frame}")
                crowd.until_all_have(f"{number} {frame[:20]}")
            cpu = processes.cpu_seconds(pid) - begun
    return Cost(cpu / len(frames) / VIEWERS, held / VIEWERS, frames)


@contextmanager
def _bare_server() -> Iterator[tuple[str, int]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare:application", "--port", str(port),
               "--ws", "websockets-sansio", "--no-access-log", "--log-level", "warning",
               "--lifespan", "off"]  # fmt: skip
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until(lambda: _answers(url), "the bare server answers")
        yield url, server.pid
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        _post(url, "")
    except OSError:
        return False
    return True


def _post(url: str, text: str) -> None:
    urllib.request.urlopen(url, text.encode(), timeout=60).close()


# --- Bytes ---------------------------------------------------------------------------------------


def _bytes(size: int) -> list[Measure]:
    """Per change and viewer, on the wire: a row of the list, and a slot of a service's page.

    Beside the smallest JSON Patch (RFC 6902) that tells a program as much.
    """
    with _swarm_of(size) as (panel, swarm):
        header = [{"Authorization": f"Bearer {panel.tokens(1)[0]}"}]
        services = [service["ID"] for service in swarm.get("/services")]
        with Crowd(panel.live_address(*OF_THE_LIST), 1, header) as crowd:
            row = _row_bytes(swarm, crowd, services)
    patch = [{"op": "replace", "path": f"/services/{services[0]}/image", "value": "lab/web:10"}]
    smallest = len(json.dumps(patch, separators=(",", ":")))
    return [
        Measure(f"viewers, bytes per change at {size:,} services", row, "B", smallest, goal=2.0)
    ]


def _row_bytes(swarm: RawSwarm, crowd: Crowd, services: list[str]) -> float:
    """The mean over changes of one service after another."""
    crowd.until_all_have('"sequence"')
    for number in range(WARM_UP):
        _change_image(swarm, crowd, services[number], f"warm:{number}")
    total = 0.0
    for number in range(CHANGES):
        crowd.forget()
        _change_image(swarm, crowd, services[number % len(services)], f"lab/web:{10 + number}")
        total += crowd.bytes_each
    return total / CHANGES
