"""After a cut of a minute with 300 changes in it: until a page has all of them, each once."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measures import Measure, median
from benchmarks.page import SERVICES, TASKS, read_lists
from benchmarks.panel import CLUSTER, OF_THE_LIST, MeasuredPanel, panel_on
from benchmarks.swarm import RawSwarm, change_image
from tests import processes
from tests.crowd import Crowd, Member
from tests.engines import SimulatedEngine
from tests.servers.relay import Relay

CUT = 60.0  # seconds
CHANGES = 300  # more than the 256 events that an engine remembers
LISTS = 5
GOAL = 2.0


def measure(rounds: int) -> list[Measure]:
    """One cut of each kind; the baseline is one raw reading of all services and tasks."""
    size = ("--services", str(SERVICES), "--tasks", str(TASKS), "--nodes", "20")
    with (
        SimulatedEngine(*size) as engine,
        RawSwarm(engine.socket) as swarm,
        tempfile.TemporaryDirectory(prefix="ph-relay-") as folder,
        Relay(engine.socket, Path(folder) / "docker.sock") as relay,
        panel_on(f"unix://{folder}/docker.sock") as panel,
    ):
        panel.until_it_shows(SERVICES, TASKS)
        lists = median(read_lists(swarm)[0] for _ in range(LISTS))
        services = [service["ID"] for service in swarm.get("/services")][:CHANGES]
        recovered = {
            "engine": _recovered(panel, swarm, services, "e", relay.cut, relay.restore),
            "database": _recovered(panel, swarm, services, "d", *_frozen(panel, "postgres")),
            "broker": _recovered(panel, swarm, services, "b", *_frozen(panel, "broker")),
            "socket": _socket_recovered(panel, swarm, services),
        }
    return [
        Measure(f"recovery, {what}, until all is shown once", seconds, "s", lists, goal=GOAL)
        for what, seconds in recovered.items()
    ]


def _frozen(panel: MeasuredPanel, name: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Stop and go on with a process and what it started: it accepts, and answers nothing."""
    stopped: list[int] = []

    def signal_all(number: int) -> None:
        for pid in stopped:
            os.kill(pid, number)

    def stop() -> None:
        stopped.extend(processes.family(panel.processes()[name]))
        signal_all(signal.SIGSTOP)

    return stop, lambda: signal_all(signal.SIGCONT)


@contextmanager
def _viewer(panel: MeasuredPanel, token: str, since: int | None = None) -> Iterator[Crowd]:
    headers = [{"Authorization": f"Bearer {token}"}]
    with Crowd(panel.live_address(*OF_THE_LIST, since=since), 1, headers) as crowd:
        crowd.until_all_have('"sequence"')
        yield crowd


def _recovered(
    panel: MeasuredPanel,
    swarm: RawSwarm,
    services: list[str],
    name: str,
    cut: Callable[[], None],
    restore: Callable[[], None],
) -> float:
    """Seconds from the end of the cut until the open page has all that changed in it.

    The broker carries no change: it must have come while the broker was away.
    """
    with _viewer(panel, panel.tokens(1)[0]) as crowd:
        crowd.forget()
        cut()
        begun = time.monotonic()
        for service in services:
            change_image(swarm, service, f"lab/{name}:1")
        time.sleep(max(0.0, begun + CUT - time.monotonic()))
        restore()
        begun = time.monotonic()
        _until_all(panel, crowd, services, f"lab/{name}:1")
        seconds = time.monotonic() - begun
    _check(panel, services, f"lab/{name}:1")
    return seconds


def _socket_recovered(panel: MeasuredPanel, swarm: RawSwarm, services: list[str]) -> float:
    """Seconds from the page's connecting again, with the number that it had."""
    token = panel.tokens(1)[0]
    with _viewer(panel, token) as crowd:
        header = crowd.members[0].frames[-1].partition("\n")[0]
        sequence = int(json.loads(header)["sequence"])
    for service in services:
        change_image(swarm, service, "lab/s:1")
    time.sleep(CUT)
    begun = time.monotonic()
    with _viewer(panel, token, since=sequence) as crowd:
        _until_all(panel, crowd, services, "lab/s:1")
        seconds = time.monotonic() - begun
    _check(panel, services, "lab/s:1")
    return seconds


def _until_all(panel: MeasuredPanel, crowd: Crowd, services: list[str], image: str) -> None:
    """Every row has come, or the word to read the page anew, which then is as it is."""
    wanted = {f"service-{service}" for service in services}
    crowd.until(
        lambda member: '"reload"' in "".join(member.frames) or wanted <= _rows(member, image),
        "every change is shown",
    )
    if not wanted <= _rows(crowd.members[0], image):
        panel.visitor.get(f"{CLUSTER}/services/")


def _rows(member: Member, image: str) -> set[str]:
    pieces = "".join(member.frames).split('<tr id="')
    return {piece.partition('"')[0] for piece in pieces if f">{image}<" in piece}


def _check(panel: MeasuredPanel, services: list[str], image: str) -> None:
    """Nothing is lost: the panel's own rows tell all of it."""
    found = 0
    for page in range(1, SERVICES // 100 + 1):
        rows = panel.visitor.json(f"/api/v1{CLUSTER}/services?page_size=100&page={page}")["items"]
        found += sum(row["image"] == image for row in rows)
    assert found == len(services), f"{found} of {len(services)} changes are there"
