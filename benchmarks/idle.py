"""What each process costs while nothing happens to 100 steady services."""

import time

from benchmarks.measures import Measure
from benchmarks.panel import panel_on
from tests import processes
from tests.engines import SimulatedEngine

SERVICES, TASKS = 100, 1000
SETTLE = 10.0  # seconds after the picture is whole
WINDOW = 20.0
OURS = ("web", "watcher", "worker", "beat")
GOAL = 1.0  # per cent of a core, for each of ours


def measure(rounds: int) -> list[Measure]:
    """CPU time in a fixed window, in per cent of one core; the embedded servers without a goal."""
    size = ("--services", str(SERVICES), "--tasks", str(TASKS), "--nodes", "10")
    with SimulatedEngine(*size) as engine, panel_on(engine.url) as panel:
        panel.until_it_shows(SERVICES, TASKS)
        time.sleep(SETTLE)
        pids = panel.processes()
        begun, before = time.monotonic(), _cpu(pids)
        time.sleep(WINDOW)
        seconds, after = time.monotonic() - begun, _cpu(pids)
        held = {name: processes.memory(pid) for name, pid in pids.items() if name in OURS}
    return [
        *(
            Measure(f"idle, {name}", (after[name] - before[name]) / seconds * 100, "% of a core",
                    goal=GOAL if name in OURS else None, absolute=True)
            for name in pids
        ),
        *(Measure(f"idle, {name}, memory", size, "MiB") for name, size in held.items()),
    ]  # fmt: skip


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    return {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
