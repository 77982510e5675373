"""Run a private Swarm until Ctrl-C or SIGTERM: `python -m tests.engines [--plain]`."""

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from tests.engines.engine import Engine, missing_prerequisite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("--plain", action="store_true", help="do not initialise Swarm mode")
    parser.add_argument("--hostname", default="node-1")
    arguments = parser.parse_args()
    reason = missing_prerequisite()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    with Engine(swarm=not arguments.plain, hostname=arguments.hostname) as engine:
        print(f"DOCKER_HOST={engine.url}", flush=True)
        while True:
            signal.pause()


def leave(number: int, frame: FrameType | None) -> NoReturn:
    for repeated in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # an impatient second one must not stop the stop
        signal.signal(repeated, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
