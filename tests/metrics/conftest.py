"""A real Prometheus with a history of three hours."""

from collections.abc import Iterator

import pytest

from metrics.adapters.prometheus import Prometheus
from metrics.ports import Access
from tests.metrics.told import NOW, SERVICES
from tests.servers.fixtures import require
from tests.servers.history import history
from tests.servers.prometheus import missing_prometheus, packaged_prometheus


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    require(missing_prometheus())
    with packaged_prometheus(history(SERVICES, NOW, 3 * 3600)) as server, server.started() as url:
        yield url


@pytest.fixture
def prometheus(address: str) -> Iterator[Prometheus]:
    client = Prometheus(Access(address, timeout=10))
    yield client
    client.close()
