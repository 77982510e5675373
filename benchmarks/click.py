"""From a click to the engine's acceptance, beside a raw update POST."""

import re
import time
from collections.abc import Callable

from benchmarks.measures import Measure, median, quantile
from benchmarks.panel import CLUSTER, MeasuredPanel, panel_on
from benchmarks.reader import BareReader
from benchmarks.swarm import RawSwarm, socket_of, without_tasks
from tests.engines import Engine, Timeout, wait_until

WARM_UP = 5
SERVICE = f"{CLUSTER}/services/clicked"
RESTART = f"{SERVICE}/restart/"
FROM_THE_DIALOG = {"HX-Request": "true"}
MILLISECOND = 1_000_000  # nanoseconds


def measure(rounds: int) -> list[Measure]:
    """A restart of a service without tasks, by the page's own form and by the bare API in turns.

    Accepted is when the engine has told of it in its `/events`: the same reader sees both.
    """
    raw, ours, answered = [], [], []
    with (
        Engine() as engine,
        RawSwarm(socket_of(engine.url)) as swarm,
        panel_on(engine.url) as panel,
        BareReader(socket_of(engine.url)) as reader,
    ):
        beside, clicked = swarm.create(without_tasks("raw")), swarm.create(without_tasks("clicked"))
        panel.until_it_shows(2)
        for _ in range(WARM_UP + rounds):
            raw.append(_post(swarm, reader, beside))
            accepted, complete = _click(panel, swarm, reader, clicked)
            ours.append(accepted)
            answered.append(complete)
    raw, ours, answered = raw[WARM_UP:], ours[WARM_UP:], answered[WARM_UP:]
    return [
        Measure("click → engine accepted, p50", median(ours), "ms", median(raw), goal=3.0),
        Measure("click → engine accepted, p99", quantile(ours, 0.99), "ms", quantile(raw, 0.99)),
        Measure("click → the page says so, p50", median(answered), "ms", median(raw)),
    ]


def _post(swarm: RawSwarm, reader: BareReader, service_id: str) -> float:
    """Milliseconds to acceptance. The spec and its version are at hand, as they are on a page."""
    service = swarm.get(f"/services/{service_id}")
    template = service["Spec"]["TaskTemplate"]
    template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
    version = service["Version"]["Index"]
    return _accepted(reader, service_id, lambda: swarm.update(service_id, version, service["Spec"]))


def _click(
    panel: MeasuredPanel, swarm: RawSwarm, reader: BareReader, service_id: str
) -> tuple[float, float]:
    """Milliseconds to acceptance, and to the answer that closes the dialog."""
    dialog = panel.visitor.get(RESTART, FROM_THE_DIALOG).content.decode()
    hidden = dict(re.findall(r'name="(version|key)" value="([^"]+)"', dialog))
    complete: list[float] = []

    def send() -> None:
        answer = panel.visitor.post(RESTART, {**hidden, "step": "confirm"}, FROM_THE_DIALOG)
        complete.append(answer.complete * 1000)

    try:
        accepted = _accepted(reader, service_id, send)
    except Timeout as error:
        newest = panel.visitor.json("/api/v1/operations?page_size=1")["items"][0]
        raise AssertionError(f"the engine never accepted it: {newest}") from error
    wait_until(lambda: _settled(panel), "the operation ends")
    wait_until(lambda: _shown_version(panel) == _version(swarm, service_id), "the page knows")
    return accepted, complete[0]


def _accepted(reader: BareReader, service_id: str, ask: Callable[[], None]) -> float:
    before = len(reader.of(service_id))
    begun = time.time_ns()
    ask()
    return (reader.next_after(before, service_id).received - begun) / MILLISECOND


def _settled(panel: MeasuredPanel) -> bool:
    return panel.visitor.json("/api/v1/operations?state=active")["total"] == 0


def _shown_version(panel: MeasuredPanel) -> int:
    return int(panel.visitor.json(f"/api/v1{SERVICE}")["version"])


def _version(swarm: RawSwarm, service_id: str) -> int:
    return int(swarm.get(f"/services/{service_id}")["Version"]["Index"])
