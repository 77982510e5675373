"""A real Swarm, operated from the browser, with a second browser looking on."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.operating import PASSWORD, PATIENCE, Person, service
from tests.engines.engine import Engine
from tests.supervisor.panel import Panel

pytestmark = [pytest.mark.browser, pytest.mark.engine]


@pytest.fixture(scope="module")
def panel(swarm_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(
        tmp_path_factory.mktemp("panel") / "var",
        DOCKER_HOST=swarm_engine.url,
        PILOTHOUSE_ADMIN_PASSWORD=PASSWORD,
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


class Web:
    """A service of the test's own, and the engine's word on it."""

    names = (f"web-{number}" for number in itertools.count(1))

    def __init__(self, name: str, engine: docker.APIClient) -> None:
        self.name, self.engine = name, engine

    def inspect(self) -> dict[str, Any]:
        return self.engine.inspect_service(self.name)

    @property
    def spec(self) -> dict[str, Any]:
        return self.inspect()["Spec"]

    @property
    def image(self) -> str:
        return self.spec["TaskTemplate"]["ContainerSpec"]["Image"]

    def task_ids(self) -> set[str]:
        wanted = {"service": self.name, "desired-state": "running"}
        return {task["ID"] for task in self.engine.tasks(wanted)}


@pytest.fixture
def web(swarm_engine: Engine) -> Iterator[Web]:
    name = next(Web.names)
    with service(swarm_engine, name) as client:
        yield Web(name, client)


def until_steady(person: Person, count: int) -> None:
    cells = person.page.locator("#task-matrix .cells .cell-running:not(.cell-old)")
    expect(cells).to_have_count(count, timeout=PATIENCE)


def test_a_scale_is_seen_by_everybody_without_a_reload(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.open("/clusters/local/services/")
    operator.service(web.name)
    until_steady(operator, 4)

    operator.act("Scale")
    operator.dialog.get_by_label("Replicas").fill("6")
    operator.preview()
    expect(operator.dialog).to_contain_text("2 tasks added")
    operator.confirm("Scale")

    until_steady(operator, 6)
    row = onlooker.page.get_by_role("row", name=re.compile(web.name))
    expect(row).to_contain_text(re.compile(r"6\s*/\s*6"), timeout=PATIENCE)
    assert web.spec["Mode"]["Replicated"]["Replicas"] == 6
    assert (operator.loads, onlooker.loads) == (0, 0)


def test_an_update_is_seen_moving_task_by_task(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.service(web.name)
    operator.service(web.name)
    until_steady(operator, 4)
    onlooker.page.evaluate(
        """() => {
            window.seen = new Set();
            new MutationObserver(() => window.seen.add(
                document.querySelectorAll('#task-matrix .cells .cell-old').length
            )).observe(document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )

    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/web:2")
    operator.preview()
    expect(operator.dialog).to_contain_text("4 tasks replaced, 1 at a time")
    operator.confirm("Update")

    until_steady(onlooker, 4)
    expect(onlooker.page.locator("#service-head")).to_contain_text("lab/web:2")
    expect(onlooker.page.locator("#service-head")).to_contain_text("Completed", timeout=PATIENCE)
    assert {3, 2, 1} <= set(onlooker.page.evaluate("[...window.seen]"))
    assert web.spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["GREETING=hello"]


def test_an_update_that_rolls_itself_back_is_told_as_such(
    operator: Person, onlooker: Person, web: Web
) -> None:
    operator.service(web.name)
    until_steady(operator, 4)
    onlooker.open("/operations/")

    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/crash:1")
    operator.preview()
    operator.confirm("Update")

    row = onlooker.page.get_by_role("row", name=re.compile(web.name)).first
    expect(row).to_contain_text("Rolled back", timeout=PATIENCE)
    expect(row).to_contain_text("non-zero exit")
    assert web.image == "lab/web:1"
    until_steady(operator, 4)


def test_a_rollback_returns_to_an_older_revision(operator: Person, web: Web) -> None:
    operator.service(web.name)
    until_steady(operator, 4)
    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/web:3")
    operator.preview()
    operator.confirm("Update")
    expect(operator.page.locator("#service-head")).to_contain_text("Completed", timeout=PATIENCE)

    operator.act("Roll back")
    operator.dialog.get_by_role("radio").last.check()
    operator.preview()
    expect(operator.dialog).to_contain_text("lab/web:1")
    operator.confirm("Rollback")

    expect(operator.page.locator("#service-head")).to_contain_text("lab/web:1", timeout=PATIENCE)
    until_steady(operator, 4)
    assert web.image == "lab/web:1"


def test_a_restart_replaces_every_task(operator: Person, web: Web) -> None:
    operator.service(web.name)
    until_steady(operator, 4)
    before = web.task_ids()

    operator.act("Restart")
    operator.confirm("Restart")

    expect(operator.page.locator("#service-head")).to_contain_text("Completed", timeout=PATIENCE)
    after = web.task_ids()
    assert len(after) == 4
    assert not before & after


def relabel(web: Web, labels: dict[str, str]) -> None:
    """Change the service behind the panel's back."""
    present = web.inspect()
    url = web.engine._url("/services/{0}/update", present["ID"])
    answer = web.engine._post_json(
        url,
        data={**present["Spec"], "Labels": labels},
        params={"version": present["Version"]["Index"]},
    )
    web.engine._raise_for_status(answer)


def test_a_change_by_somebody_else_is_shown_beside_ones_own(
    operator: Person, onlooker: Person, web: Web
) -> None:
    operator.service(web.name)
    until_steady(operator, 4)
    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/web:2")

    relabel(web, {"owner": "somebody else"})
    onlooker.open(f"/clusters/local/services/{web.name}/spec/")
    expect(onlooker.page.locator("main")).to_contain_text("somebody else", timeout=PATIENCE)

    operator.dialog.get_by_role("button", name="Preview").click()

    expect(operator.dialog).to_contain_text("Somebody else changed")
    expect(operator.dialog).to_contain_text("somebody else")
    expect(operator.dialog).to_contain_text("lab/web:2")
    assert web.image == "lab/web:1"

    operator.dialog.get_by_role("button", name="Apply mine on top").click()
    operator.confirm("Update")
    expect(operator.page.locator("#service-head")).to_contain_text("lab/web:2", timeout=PATIENCE)
    assert web.spec["Labels"]["owner"] == "somebody else"
