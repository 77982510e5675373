"""Chromium, driven by Playwright, and one panel beside a real Swarm for the people in the tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.operating import PASSWORD, PATIENCE, Person, Web, service
from tests.engines.engine import Engine
from tests.engines.fixtures import plain_engine, swarm_engine
from tests.servers.ssh import SSHHome
from tests.supervisor.panel import Panel

CHROMIUM = "/usr/bin/chromium"
QUIET = [  # no sandbox as root, and no calls to the outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
__all__ = ["browser", "plain_engine", "swarm_engine"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture(scope="session")
def ssh_home(tmp_path_factory: pytest.TempPathFactory) -> SSHHome:
    """The keys and known hosts of the panel's user."""
    return SSHHome(tmp_path_factory.mktemp("ssh"))


@pytest.fixture(scope="session")
def panel(
    swarm_engine: Engine, ssh_home: SSHHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Panel]:
    running = Panel(
        tmp_path_factory.mktemp("panel") / "var",
        DOCKER_HOST=swarm_engine.url,
        PILOTHOUSE_ADMIN_PASSWORD=PASSWORD,
        PILOTHOUSE_ENGINE_SOCKETS="/*",  # of the tests' own engines, wherever they are
        PATH=ssh_home.path,
    )
    try:
        yield running.until_up()
    finally:
        running.stop()


@pytest.fixture
def operator(browser: Browser, panel: Panel) -> Iterator[Person]:
    person = Person(browser, panel)
    yield person
    person.context.close()


@pytest.fixture
def onlooker(browser: Browser, panel: Panel) -> Iterator[Person]:
    person = Person(browser, panel, viewport={"width": 390, "height": 844})
    yield person
    person.context.close()


@pytest.fixture
def web(swarm_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Web]:
    """A service of the test's own; parts of its spec can be given as the fixture's parameter."""
    name = next(Web.names)
    with service(swarm_engine, name, **getattr(request, "param", {})) as client:
        yield Web(name, client)
