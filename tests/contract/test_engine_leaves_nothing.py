"""The real engines of the tests leave nothing behind, however they end."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.swarm_api import SwarmApi
from tests.engines import Engine, leftovers, wait_until
from tests.engines.fixtures import require_engine

pytestmark = pytest.mark.engine
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def command() -> Iterator[subprocess.Popen[str]]:
    """`python -m tests.engines`, as a person would start it."""
    require_engine()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines", "--plain"], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait(timeout=10)


def directory_of(command: subprocess.Popen[str]) -> Path:
    assert command.stdout is not None
    address = command.stdout.readline().strip()
    return Path(address.removeprefix("DOCKER_HOST=unix://")).parent


def traces(directory: Path) -> list[str]:
    """Processes, cgroups, mounts and files that belong to the engine."""
    found = [str(path) for path in CGROUPS.glob(f"*/{directory.name}")]
    found += [
        line for line in Path("/proc/mounts").read_text().splitlines() if in_(directory, line)
    ]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if in_(directory, arguments):
            found.append(arguments)
    return found + ([str(directory)] if directory.exists() else [])


def in_(directory: Path, text: str) -> bool:
    return directory.name in text


def test_an_engine_with_containers_leaves_nothing() -> None:
    require_engine()
    with Engine(swarm=True) as engine:
        api = SwarmApi(engine.url)
        api.start(replicas=2, EndpointSpec={"Ports": [{"TargetPort": 80}]})
        api.close()
        assert traces(engine.directory)

    assert traces(engine.directory) == []


def test_the_command_ends_on_a_signal_and_leaves_nothing(command: subprocess.Popen[str]) -> None:
    directory = directory_of(command)

    command.send_signal(signal.SIGTERM)

    assert command.wait(timeout=30) == 0
    assert traces(directory) == []


def test_what_a_killed_run_leaves_is_removed_by_the_next(command: subprocess.Popen[str]) -> None:
    directory = directory_of(command)

    command.kill()
    command.wait(timeout=10)
    wait_until(lambda: traces(directory)[-1:] == [str(directory)], "its processes die with it")

    assert directory in leftovers.purge()
    assert traces(directory) == []


def test_what_belongs_to_a_living_run_is_left_alone(command: subprocess.Popen[str]) -> None:
    directory = directory_of(command)

    assert directory not in leftovers.purge()
    assert directory.exists()
