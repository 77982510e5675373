"""Two persons on a protected stack: one asks, the other one looks and approves."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.operating import Person, Web
from tests.browser.people import Colleague, command
from tests.supervisor.panel import Panel

pytestmark = [pytest.mark.browser, pytest.mark.engine]
in_the_till = pytest.mark.parametrize(
    "web", [{"Labels": {"com.docker.stack.namespace": "till"}}], indirect=True, ids=["till"]
)
PROTECT = "from access.models import Protection; Protection.objects.get_or_create"


@pytest.fixture
def colleague(browser: Browser, panel: Panel) -> Iterator[Person]:
    """An operator at a narrow window, beside the administrator."""
    command(panel, "grant", "bob", "operator", "--cluster", "local")
    scope = "cluster='local', stack='till'"
    command(panel, "shell", "--verbosity", "0", "-c", f"{PROTECT}({scope})")
    person = Colleague(browser, panel, "bob", viewport={"width": 390, "height": 844})
    yield person
    person.context.close()


def ask_for_scale(person: Person, web: Web, replicas: str) -> Any:
    person.service(web.name)
    person.act("Scale")
    person.dialog.get_by_label("Replicas").fill(replicas)
    person.preview()
    expect(person.dialog).to_contain_text("is protected: this is done once a second person")
    person.dialog.get_by_role("button", name="Ask for approval").click()
    expect(person.dialog).to_have_count(0)
    return person.head.locator("[id^=service-awaiting-]")


@in_the_till
def test_what_one_asks_for_another_approves(operator: Person, colleague: Person, web: Web) -> None:
    colleague.service(web.name)
    waiting = ask_for_scale(operator, web, "5")
    expect(waiting).to_contain_text("Awaiting approval")
    assert len(web.task_ids()) == 4

    offered = colleague.head.locator("[id^=service-awaiting-]")
    expect(offered).to_contain_text("by admin")
    offered.get_by_role("link", name="Decide…").click()
    expect(colleague.dialog).to_contain_text("You approve exactly this")
    colleague.dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(colleague.dialog).to_have_count(0)

    for person in (operator, colleague):
        person.until_steady(5)
        expect(person.head.locator("[id^=service-awaiting-]")).to_have_count(0)
    assert (operator.loads, colleague.loads) == (0, 0)


@in_the_till
def test_nobody_approves_their_own_and_a_change_makes_it_void(
    operator: Person, colleague: Person, web: Web
) -> None:
    waiting = ask_for_scale(operator, web, "6")
    waiting.get_by_role("link").first.click()
    page = operator.page.locator("#operation")
    expect(page).to_contain_text("a second person has to approve this change")
    expect(page.get_by_role("link", name="Decide…")).to_have_count(0)

    web.change(lambda spec: spec["Labels"].update(changed="elsewhere"))
    expect(page).to_contain_text("was changed after this was asked for")
    expect(page).to_contain_text("Nothing was changed")
    assert len(web.task_ids()) == 4
