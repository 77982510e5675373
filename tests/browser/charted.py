"""A panel beside a simulated Swarm and a real Prometheus, which may be away."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from tests.browser.operating import PASSWORD, Person
from tests.servers.fixtures import require
from tests.servers.history import Told, history
from tests.servers.prometheus import Server, missing_prometheus, packaged_prometheus
from tests.supervisor.panel import Panel

NOW = int(time.time()) // 60 * 60


class Source:
    """A Prometheus with three hours of history, which can be stopped."""

    def __init__(self, server: Server) -> None:
        self.server, self._running = server, ExitStack()

    def start(self) -> None:
        self._running.enter_context(self.server.started())

    def stop(self) -> None:
        self._running.close()

    def queries(self) -> int:
        """How many range queries it has answered."""
        text = urllib.request.urlopen(f"{self.server.url}/metrics", timeout=10).read().decode()
        wanted = 'prometheus_http_requests_total{code="200",handler="/api/v1/query_range"}'
        found = [line for line in text.splitlines() if line.startswith(wanted)]
        return int(float(found[0].rpartition(" ")[2])) if found else 0


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    require(missing_prometheus())
    services = [
        Told("shop_web", "web", errors=0.3), Told("sutazai_celery-worker", "celery-worker")
    ]  # fmt: skip
    with packaged_prometheus(history(services, NOW + 600, 3 * 3600)) as server:
        found = Source(server)
        found.start()
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="module")
def panel(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(
        tmp_path_factory.mktemp("panel") / "var", PILOTHOUSE_ADMIN_PASSWORD=PASSWORD,
        PROMETHEUS_URL=source.server.url,
    )  # fmt: skip
    try:
        yield running.until_up()
    finally:
        running.stop()


@pytest.fixture
def person(browser: Browser, panel: Panel) -> Iterator[Person]:
    somebody = Person(browser, panel, bypass_csp=True)
    yield somebody
    somebody.context.close()
