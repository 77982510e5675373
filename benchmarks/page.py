"""The services page at 1,000 services and 10,000 tasks, beside the raw API's lists."""

import gzip
import json
import time

from benchmarks.measures import Measure, median
from benchmarks.panel import CLUSTER, panel_on
from benchmarks.swarm import RawSwarm, socket_of
from tests.engines import SimulatedEngine

SERVICES, TASKS, NODES = 1000, 10_000, 20
AS_A_BROWSER = {"Accept-Encoding": "gzip", "Accept": "text/html"}
WARM_UP = 3
KB = 1000


def measure(rounds: int) -> list[Measure]:
    """The first answer in full, compressed, against both lists read and parsed, in turns.

    The raw side is what whoever asks the engine for every page has to wait for before the first
    byte of a page of theirs, so both of our times are set against it.
    """
    size = ("--services", str(SERVICES), "--tasks", str(TASKS), "--nodes", str(NODES))
    raw, first, complete = [], [], []
    with (
        SimulatedEngine(*size) as engine,
        RawSwarm(socket_of(engine.url)) as swarm,
        panel_on(engine.url) as panel,
    ):
        panel.until_it_shows(SERVICES, TASKS)
        for _ in range(WARM_UP + rounds):
            seconds, raw_bytes = read_lists(swarm)
            raw.append(seconds * 1000)
            answer = panel.visitor.get(f"{CLUSTER}/services/", AS_A_BROWSER)
            first.append(answer.first_byte * 1000)
            complete.append(answer.complete * 1000)
    lists = median(raw[WARM_UP:])
    page = answer.content
    return [
        Measure("services page, first byte, p50", median(first[WARM_UP:]), "ms", lists, goal=0.05),
        Measure("services page, complete, p50", median(complete[WARM_UP:]), "ms", lists),
        Measure("services page, compressed", len(page) / KB, "kB", raw_bytes / KB, goal=0.02),
        Measure(
            "services page, uncompressed", len(gzip.decompress(page)) / KB, "kB", raw_bytes / KB
        ),
    ]


def read_lists(swarm: RawSwarm) -> tuple[float, int]:
    """Seconds and bytes of both lists, parsed."""
    begun = time.perf_counter()
    contents = [swarm.read("/services", status="true"), swarm.read("/tasks")]
    for content in contents:
        json.loads(content)
    return time.perf_counter() - begun, sum(map(len, contents))
