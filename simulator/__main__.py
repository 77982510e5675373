"""Serve a simulated Swarm on a Unix socket until Ctrl-C or SIGTERM."""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from aiohttp import web

from simulator.cluster import Swarm
from simulator.demo import CHATTER, fill_demo
from simulator.http.app import build
from simulator.http.versions import ApiVersions
from simulator.population import add_nodes, add_services

SHUTDOWN_SECONDS = 1.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--demo", action="store_true", help="two stacks on five nodes")
    parser.add_argument("--services", type=int, default=0, help="how many plain services")
    parser.add_argument("--tasks", type=int, default=0, help="tasks in all of them together")
    parser.add_argument("--nodes", type=int, default=0, help="how many nodes in all")
    parser.add_argument("--managers", type=int, default=3, help="how many of them are managers")
    parser.add_argument("--inactive", action="store_true", help="not in Swarm mode yet")
    parser.add_argument("--api-version", default="1.41", help="the newest one spoken")
    parser.add_argument("--min-api-version", default="1.24", help="the oldest one spoken")
    parser.add_argument("--speed", type=float, default=1.0, help="10: ten times as fast")
    return parser.parse_args()


def _swarm(arguments: argparse.Namespace) -> Swarm:
    swarm = Swarm(arguments.speed, active=not arguments.inactive, chatter=CHATTER)
    if arguments.demo:
        fill_demo(swarm)
    add_nodes(swarm, arguments.nodes, arguments.managers)
    add_services(swarm, arguments.services, arguments.tasks)
    swarm.adopt_tasks()
    return swarm


async def serve(arguments: argparse.Namespace) -> None:
    versions = ApiVersions(arguments.min_api_version, arguments.api_version)
    runner = web.AppRunner(
        build(_swarm(arguments), versions),
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handler_cancellation=True,
    )
    await runner.setup()
    arguments.socket.unlink(missing_ok=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await web.UnixSite(runner, str(arguments.socket)).start()
    print(f"DOCKER_HOST=unix://{arguments.socket.resolve()}", flush=True)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            arguments.socket.unlink()


def main() -> None:
    asyncio.run(serve(_arguments()))


if __name__ == "__main__":
    main()
