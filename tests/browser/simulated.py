"""A panel beside a simulated Swarm, and somebody who looks at it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.operating import PASSWORD, Person
from tests.supervisor.panel import Panel


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(tmp_path_factory.mktemp("panel") / "var", PILOTHOUSE_ADMIN_PASSWORD=PASSWORD)
    try:
        yield running.until_up()
    finally:
        running.stop()


@pytest.fixture
def person(browser: Browser, panel: Panel) -> Iterator[Person]:
    # axe is put into the page by hand, which the page's own policy would not let through.
    somebody = Person(browser, panel, bypass_csp=True)
    yield somebody
    somebody.context.close()
