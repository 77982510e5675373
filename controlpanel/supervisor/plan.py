"""What runs on this machine: the embedded servers that no URL replaces, and our own processes."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from controlpanel.supervisor import engine
from controlpanel.supervisor.postgres import EmbeddedPostgres
from controlpanel.supervisor.privileges import tethered
from controlpanel.supervisor.processes import Program
from controlpanel.supervisor.state import StateDirectory
from controlpanel.supervisor.valkey import EmbeddedValkey


@dataclass(frozen=True)
class Plan:
    """What is started, and the environment that tells our processes about it.

    A part that a URL replaces is None.
    """

    postgres: EmbeddedPostgres | None
    broker: EmbeddedValkey | None
    simulator: Program | None
    environment: Mapping[str, str]


def make_plan(state: StateDirectory, given: Mapping[str, str], docker_host: str) -> Plan:
    """Decide what is needed beside our own processes; `given` is the user's environment."""
    postgres = broker = simulator = None
    environment = {
        "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
        "PYTHONUNBUFFERED": "1",
        "PILOTHOUSE_STATE_DIR": str(state.root),
    }
    if not given.get("PILOTHOUSE_SECRET_KEY"):
        environment["PILOTHOUSE_SECRET_KEY"] = state.secret_key()
    if "PILOTHOUSE_METRICS_TOKEN" not in given:
        environment["PILOTHOUSE_METRICS_TOKEN"] = state.metrics_token()
    if not given.get("DATABASE_URL"):
        postgres = EmbeddedPostgres(state.postgres_data, state.sockets / "postgres")
        environment["DATABASE_URL"] = postgres.url
    if not given.get("CELERY_BROKER_URL") and not given.get("REDIS_URL"):
        broker = EmbeddedValkey(state.sockets)
        environment["CELERY_BROKER_URL"] = broker.url
    simulated = given.get("PILOTHOUSE_SIMULATED_SWARM")
    if simulated == "none":
        environment["PILOTHOUSE_SIMULATED_SWARM"] = ""
    elif not simulated and not engine.answers(docker_host):
        socket = state.sockets / "simulator.sock"
        simulator = simulated_swarm(socket)
        environment["PILOTHOUSE_SIMULATED_SWARM"] = str(socket)
    return Plan(postgres, broker, simulator, environment)


def simulated_swarm(socket: Path) -> Program:
    """The simulator needs none of the panel's secrets, so it gets nothing added."""
    return _python("simulator", "-m", "simulator", "--socket", str(socket), "--demo")


def panel_programs(
    host: str, port: int, state: StateDirectory, environment: Mapping[str, str]
) -> tuple[Program, ...]:
    """The four processes of the panel, in the order in which they start."""
    commands = panel_commands(host, port, state.beat_schedule)
    return tuple(
        replace(_python(name, *arguments), environment=environment)
        for name, arguments in commands.items()
    )


def panel_commands(host: str, port: int, beat_schedule: Path) -> dict[str, tuple[str, ...]]:
    """The arguments to Python of each process, here and in production, by its name."""
    uvicorn = (
        "-m", "uvicorn", "controlpanel.asgi:application", "--host", host, "--port", str(port),
        "--ws", "websockets-sansio", "--ws-max-size", "4096",  # viewers have nothing to say
        "--no-access-log", "--log-level", "warning",
        "--timeout-graceful-shutdown", "3",
        "--no-proxy-headers",  # access.requests says which of them are believed
    )  # fmt: skip
    celery = ("-m", "celery", "--quiet", "--app", "controlpanel")
    worker = (
        "worker", "--pool", "threads", "--concurrency", "8", "--without-gossip",
        "--without-mingle", "--loglevel", "WARNING",
    )  # fmt: skip
    beat = ("beat", "--schedule", str(beat_schedule), "--pidfile", "", "--loglevel", "WARNING")
    return {
        "web": uvicorn,
        "watcher": ("manage.py", "watch"),
        "worker": (*celery, *worker),
        "beat": (*celery, *beat),
    }


def _python(name: str, *arguments: str) -> Program:
    return Program(name=name, command=tethered((sys.executable, *arguments), signal.SIGKILL))
