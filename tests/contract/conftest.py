"""Every rule here is checked twice: against a real engine and against the simulated Swarm."""

from collections.abc import Iterator

import pytest

from tests.contract.swarm_api import SwarmApi
from tests.engines import Engine, EnginePair, SimulatedEngine, SimulatedPair
from tests.engines.fixtures import fragile_swarm_engine, require_engine

__all__ = ["fragile_swarm_engine"]

# The rules hold at any speed, and nobody likes to wait.
SPEED = "3"


@pytest.fixture(
    scope="session", params=["simulated", pytest.param("real", marks=pytest.mark.engine)]
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine | SimulatedEngine]:
    if request.param == "real":
        require_engine()
        with Engine(swarm=True) as real:
            yield real
    else:
        with SimulatedEngine("--speed", SPEED) as simulated:
            yield simulated


@pytest.fixture(scope="session")
def api(engine: Engine | SimulatedEngine) -> Iterator[SwarmApi]:
    api = SwarmApi(engine.url)
    yield api
    api.close()


@pytest.fixture
def swarm(api: SwarmApi) -> Iterator[SwarmApi]:
    """The Swarm, without services when the test is over."""
    yield api
    api.remove_services()


@pytest.fixture(
    scope="module", params=["simulated", pytest.param("real", marks=pytest.mark.engine)]
)
def pair(request: pytest.FixtureRequest) -> Iterator[EnginePair | SimulatedPair]:
    """Two nodes, one of which can be lost."""
    if request.param == "real":
        require_engine()
        with EnginePair() as real:
            yield real
    else:
        with SimulatedPair() as simulated:
            yield simulated


@pytest.fixture(
    params=["simulated", pytest.param("real", marks=pytest.mark.engine)],
)
def fragile(request: pytest.FixtureRequest) -> Iterator[Engine | SimulatedEngine]:
    """An engine of the test's own, to freeze and to kill."""
    if request.param == "real":
        require_engine()
        with Engine(swarm=True) as real:
            yield real
    else:
        with SimulatedEngine() as simulated:
            yield simulated
