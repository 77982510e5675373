"""Run benchmarks and print what they measured as one table."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import click, idle, live, page, recovery, viewers, watcher
from benchmarks.measures import Measure, table
from tests.engines import missing_prerequisite

BENCHMARKS: dict[str, Callable[[int], list[Measure]]] = {
    "live": live.measure,
    "click": click.measure,
    "page": page.measure,
    "viewers": viewers.measure,
    "recovery": recovery.measure,
    "watcher": watcher.measure,
    "idle": idle.measure,
}
ON_A_REAL_ENGINE = ("live", "click")
GIB = 2**30


def main() -> int:
    arguments = _arguments()
    measured: list[Measure] = []
    for name in arguments.names or BENCHMARKS:
        if name in ON_A_REAL_ENGINE and (reason := missing_prerequisite()):
            print(f"{name}: left out: {reason}", file=sys.stderr)
            continue
        print(f"{name}: {sys.modules[f'benchmarks.{name}'].__doc__}", file=sys.stderr, flush=True)
        measured += BENCHMARKS[name](arguments.rounds)
    print(f"\nOn {_machine()}:\n\n{table(measured)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=100, help="repetitions of each (100)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return arguments


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    busy = Path("/proc/loadavg").read_text().split()[0]
    return f"{os.cpu_count()} cores, {memory:.0f} GB, load {busy} at the end"


if __name__ == "__main__":
    sys.exit(main())
