"""The overview, the wall and the timeline, on a simulated Swarm in which things go wrong."""

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.operating import PASSWORD, Person
from tests.contract.swarm_api import SwarmApi, service_spec
from tests.engines import SimulatedEngine
from tests.supervisor.panel import Panel

pytestmark = pytest.mark.browser
STACKS = 40
OF_ONE_SCREEN = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def engine() -> Iterator[SimulatedEngine]:
    with SimulatedEngine("--nodes", "3", "--services", f"{STACKS}0", "--tasks", "800") as running:
        yield running


@pytest.fixture(scope="module")
def panel(engine: SimulatedEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(
        tmp_path_factory.mktemp("oncall") / "var",
        PILOTHOUSE_ADMIN_PASSWORD=PASSWORD,
        PILOTHOUSE_SIMULATED_SWARM=str(engine.socket),
    )
    try:
        yield running.until_up()
    finally:
        running.stop()


@pytest.fixture
def swarm(engine: SimulatedEngine) -> Iterator[SwarmApi]:
    api = SwarmApi(engine.url)
    yield api
    api.close()


@pytest.fixture
def person(browser: Browser, panel: Panel) -> Iterator[Person]:
    somebody = Person(browser, panel, viewport=OF_ONE_SCREEN)
    yield somebody
    somebody.context.close()


@pytest.fixture
def failing(swarm: SwarmApi) -> Iterator[str]:
    """A service of stack007 that crashes again and again."""
    spec = service_spec("lab/crash:1")
    spec["Name"] = "stack007_crash"
    spec["Labels"] = {"com.docker.stack.namespace": "stack007"}
    service = swarm.create(spec)
    yield service
    swarm.delete(f"/services/{service}")


def card(page: Page, stack: str) -> Any:
    return page.locator(f"#stack-simulated-{stack}")


def first(page: Page) -> Any:
    return page.locator(".stack-card").first


def test_forty_stacks_fit_one_screen(person: Person) -> None:
    page = person.open("/").page
    expect(page.locator(".stack-card")).to_have_count(STACKS)
    assert page.evaluate("document.documentElement.scrollHeight") <= OF_ONE_SCREEN["height"]
    expect(page.locator("#verdict")).to_contain_text("No service is in trouble")


def test_a_failing_service_comes_to_the_front_with_its_error_and_one_click_away(
    person: Person, swarm: SwarmApi, failing: str
) -> None:
    page = person.open("/").page
    page.mouse.move(0, 0)
    expect(first(page)).to_contain_text("task: non-zero exit")
    expect(page.locator("#verdict")).to_contain_text("1 service in trouble in 1 stack")
    assert person.loads == 0
    first(page).get_by_role("link", name="crash").click()
    expect(page).to_have_url(re.compile("/services/stack007_crash/$"))


def test_nothing_moves_under_a_focus(person: Person, swarm: SwarmApi) -> None:
    page = person.open("/").page
    page.mouse.move(0, 0)
    link = card(page, "stack020").get_by_role("link").first
    link.focus()
    spec = service_spec("lab/crash:1")
    spec["Name"], spec["Labels"] = "stack030_x", {"com.docker.stack.namespace": "stack030"}
    service = swarm.create(spec)
    try:
        expect(card(page, "stack030")).to_contain_text("non-zero exit")
        page.wait_for_timeout(2500)
        assert first(page).get_attribute("id") != "stack-simulated-stack030"
        expect(link).to_be_focused()
        link.blur()
        expect(first(page)).to_have_id("stack-simulated-stack030")
    finally:
        swarm.delete(f"/services/{service}")


def test_an_engine_that_hangs_turns_every_card_and_says_so_in_words(
    person: Person, engine: SimulatedEngine
) -> None:
    page = person.open("/").page
    wall = person.another_tab().page
    wall.goto(f"{person.panel.url}/wall/")
    expect(wall.locator(".stack-card")).to_have_count(STACKS)
    assert engine._process
    engine._process.send_signal(signal.SIGSTOP)
    try:
        for shown in (page, wall):
            expect(shown.locator(".stack-unknown")).to_have_count(STACKS)
            expect(shown.locator("#verdict")).to_contain_text("Cannot know of simulated since")
            expect(shown.locator(".state.tone-good")).to_have_count(0)
        expect(wall.locator(".wall-dead")).to_be_hidden()
    finally:
        engine._process.send_signal(signal.SIGCONT)
    expect(page.locator(".stack-unknown")).to_have_count(0)
    expect(page.locator("#verdict")).to_contain_text("No service is in trouble")
    page.goto(f"{person.panel.url}/clusters/simulated/timeline/?kind=cluster")
    expect(page.locator(".entry")).to_have_count(2)
    expect(page.locator(".entries")).to_contain_text("did not answer within 5 s")


def test_the_wall_says_loudly_when_its_socket_is_gone(browser: Browser, panel: Panel) -> None:
    person = Person(browser, panel, viewport={"width": 1920, "height": 1080})
    closed = person.with_a_socket_to_cut()
    page = person.open("/wall/").page
    expect(page.locator(".wall-dead")).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    before = page.locator("#wall-clock").text_content()
    expect(page.locator("#wall-clock")).not_to_have_text(before or "")
    closed["now"] = True
    expect(page.locator(".wall-dead")).to_be_visible()
    expect(page.locator(".wall-dead")).to_contain_text("NOT LIVE")
    closed["now"] = False
    expect(page.locator(".wall-dead")).to_be_hidden()
    person.context.close()


def test_a_key_fills_the_screen_with_the_wall(person: Person) -> None:
    page = person.open("/wall/").page
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement")
    page.keyboard.press("f")
    page.wait_for_function("!document.fullscreenElement")


def test_a_timeline_is_live_and_reached_by_keys(person: Person, failing: str) -> None:
    path = "/clusters/simulated/timeline/?kind=service&stack=stack007"
    page = person.open(path).page
    expect(page.locator(".entries")).to_contain_text("stack007_crash")
    expect(page.locator(".entries")).to_contain_text("Failing")
    assert person.loads == 0
    expect(page.locator(".mark[tabindex='0']")).to_have_count(1)
    page.locator(".mark[tabindex='0']").focus()
    page.keyboard.press("Home")
    mark = page.locator(".mark:focus")
    expect(mark).to_have_count(1)
    entry = mark.get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page.locator(f"{entry}:focus")).to_have_count(1)
    page.get_by_label("24 hours").check()
    expect(page).to_have_url(re.compile("range=24h"))
    expect(page.locator(".entries")).to_contain_text("stack007_crash")
    page.get_by_role("checkbox", name="Operations").check()
    page.get_by_role("checkbox", name="Services").uncheck()
    expect(page.locator("#timeline .empty-state")).to_contain_text("Nothing of these kinds")
