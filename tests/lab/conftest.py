"""The lab with the reference stack, once for all, and the panel beside it."""

import itertools
from collections.abc import Iterator

import docker
import pytest
from playwright.sync_api import Browser

from lab.lab import Lab
from lab.layout import Layout
from lab.panel import Panel
from lab.up import panel_of, up
from lab.waiting import wait_until
from tests.browser.conftest import browser
from tests.browser.operating import PASSWORD, Person
from tests.engines.fixtures import require_engine
from tests.lab.api import PATIENCE, Api
from tests.servers.daemon import free_port
from tests.supervisor.panel import NOT_ON_A_FRESH_MACHINE

__all__ = ["browser"]
LAYOUT = Layout("test", "10.87.0")  # beside whatever `make lab` runs


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    require_engine()
    Lab(LAYOUT).down()  # of a run that was killed
    with pytest.MonkeyPatch.context() as patch:
        for name in NOT_ON_A_FRESH_MACHINE:
            patch.delenv(name, raising=False)
        patch.setenv("PILOTHOUSE_ADMIN_PASSWORD", PASSWORD)
        patch.setenv("PILOTHOUSE_PORT", str(free_port()))
        try:
            yield up(LAYOUT, tethered=True)
            panel_of(LAYOUT).stop()
        finally:
            left = Lab(LAYOUT).down()
    assert left == []


@pytest.fixture(scope="session")
def panel(lab: Lab) -> Panel:
    return panel_of(lab.layout)


@pytest.fixture(scope="session")
def api(panel: Panel) -> Api:
    return Api(panel)


@pytest.fixture(autouse=True)
def whole(lab: Lab, api: Api) -> Iterator[None]:
    """Every test leaves the lab as it found it."""
    yield
    make_whole(lab, api)


def make_whole(lab: Lab, api: Api) -> None:
    """All nodes are on, connected, ready and active, three managers, and the panel knows it."""
    lab.power_on()
    lab.heal()

    def ready() -> bool:
        nodes = api.nodes().values()
        managers = [node for node in nodes if node["reachability"] == "reachable"]
        usable = (node["state"] == "ready" and node["availability"] == "active" for node in nodes)
        return len(managers) == len(lab.managers) and all(usable)

    wait_until(ready, "all nodes are ready again", PATIENCE)
    wait_until(lambda: api.cluster()["fresh"], "the panel's picture is fresh", PATIENCE)


@pytest.fixture
def swarm(lab: Lab) -> Iterator[docker.APIClient]:
    """The Swarm, through its second manager."""
    with lab.engine("n2").client() as client:
        yield client


names = (f"web-{number}" for number in itertools.count(1))


@pytest.fixture
def web(lab: Lab, swarm: docker.APIClient, api: Api) -> Iterator[str]:
    """A service of ten agents, spread over all nodes, that the panel shows as running."""
    name = next(names)
    created = swarm._post_json(swarm._url("/services/create"), data=spec(name, replicas=10))
    swarm._raise_for_status(created)
    wait_until(lambda: api.knows(name), f"the panel knows {name}", PATIENCE)
    wait_until(lambda: len(api.running_on(name)) == 10, f"{name} runs", PATIENCE)
    yield name
    make_whole(lab, api)
    swarm.remove_service(name)


def spec(name: str, replicas: int) -> dict[str, object]:
    second = 10**9
    return {
        "Name": name,
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "lab/ai-agent:1",
                "StopGracePeriod": second,
                "Healthcheck": {"Test": ["NONE"]},
            },
            "RestartPolicy": {"Condition": "any", "Delay": second},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {
            "Parallelism": 2, "Monitor": 2 * second, "FailureAction": "rollback",
            "Order": "start-first", "MaxFailureRatio": 0, "Delay": 0,
        },
    }  # fmt: skip


@pytest.fixture
def person(browser: Browser, panel: Panel) -> Iterator[Person]:
    somebody = Person(browser, panel)
    yield somebody
    somebody.context.close()
