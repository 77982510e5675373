"""pytest fixtures. A conftest.py takes them by importing the names it wants."""

import os
from collections.abc import Iterator

import pytest

from tests.engines.engine import Engine, missing_prerequisite
from tests.engines.simulated import SimulatedEngine


def require_engine() -> None:
    """Skip where no engine can run; on CI (CI=true) that is a failure, never a silent skip."""
    reason = missing_prerequisite()
    if reason is None:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def swarm_engine() -> Iterator[Engine]:
    """A real engine, manager of its own Swarm of one node, shared by the session."""
    require_engine()
    with Engine(swarm=True) as engine:
        yield engine


@pytest.fixture
def plain_engine() -> Iterator[Engine]:
    """A real engine of the test's own, outside Swarm mode."""
    require_engine()
    with Engine(swarm=False) as engine:
        yield engine


@pytest.fixture
def fragile_swarm_engine() -> Iterator[Engine]:
    """A real Swarm of the test's own, to freeze, kill and start again."""
    require_engine()
    with Engine(swarm=True) as engine:
        yield engine


@pytest.fixture(scope="session")
def simulated_engine() -> Iterator[SimulatedEngine]:
    """A simulated Swarm of one node, shared by the session."""
    with SimulatedEngine() as engine:
        yield engine
