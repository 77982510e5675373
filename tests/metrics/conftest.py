"""A real Prometheus with a history of three hours."""

import time
from collections.abc import Iterator

import pytest

from metrics.adapters.prometheus import Prometheus
from metrics.ports import Access
from tests.servers.fixtures import require
from tests.servers.history import Told, history
from tests.servers.prometheus import missing_prometheus, packaged_prometheus

NOW = int(time.time()) // 60 * 60
SERVICES = (Told("shop_web", "web"), Told("shop_worker", "worker", tasks=2, errors=0.3))


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
