"""What the integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.swarm_api import SwarmApi
from tests.engines import Engine, SimulatedEngine
from tests.engines.fixtures import fragile_swarm_engine, plain_engine, swarm_engine
from tests.integration.panel import Panel
from tests.integration.processes import Processes, environment
from tests.servers.fixtures import rabbitmq_url, redis_url

__all__ = ["fragile_swarm_engine", "plain_engine", "rabbitmq_url", "redis_url", "swarm_engine"]


@pytest.fixture
def panel(transactional_db: None, swarm_engine: Engine) -> Iterator[Panel]:
    """The panel beside the session's real engine, which has no service when the test is over."""
    yield from _beside(swarm_engine.url)


@pytest.fixture(scope="session")
def simulated_engine() -> Iterator[SimulatedEngine]:
    with SimulatedEngine() as engine:
        yield engine


@pytest.fixture
def simulated_panel(transactional_db: None, simulated_engine: SimulatedEngine) -> Iterator[Panel]:
    yield from _beside(simulated_engine.url)


def _beside(url: str) -> Iterator[Panel]:
    panel = Panel(url)
    yield panel
    panel.close()
    api = SwarmApi(url)
    api.remove_services()
    api.close()


@pytest.fixture
def processes(transactional_db: None, tmp_path: Path) -> Iterator[Processes]:
    """Processes of the panel on the test's database, ended before its rows go."""
    started = Processes(tmp_path, environment())
    yield started
    started.end()
