"""Rights that come and go while a page is open, and emergencies that everybody sees."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import AXE, violations
from tests.browser.operating import PASSWORD, Person
from tests.browser.people import Colleague, command
from tests.supervisor.panel import Panel

pytestmark = pytest.mark.browser

WEB = "/clusters/simulated/services/shop_web/"
WHY = "The shop is down and nobody with the rights answers."


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(tmp_path_factory.mktemp("panel") / "var", PILOTHOUSE_ADMIN_PASSWORD=PASSWORD)
    try:
        running.until_up()
        command(running, "grant", "vera", "viewer")
        command(running, "grant", "kim", "on-call", "--cluster", "simulated")
        command(running, "issue_token", "vera")
        yield running
    finally:
        running.stop()


@pytest.fixture
def colleague(browser: Browser, panel: Panel) -> Iterator[Callable[[str], Person]]:
    """A browser for whom one names, at 390 px if it is not the administrator's."""
    open_now: list[Person] = []

    def arrive(name: str) -> Person:
        width = 1440 if name == "admin" else 390
        open_now.append(Colleague(browser, panel, name, viewport={"width": width, "height": 844}))
        return open_now[-1]

    yield arrive
    for person in open_now:
        person.context.close()


def test_a_grant_given_and_withdrawn_is_seen_on_an_open_page(
    colleague: Callable[[str], Person],
) -> None:
    admin, vera = colleague("admin"), colleague("vera").open(WEB)
    scale = vera.head.get_by_role("link", name="Scale", exact=True)
    expect(scale).to_have_count(0)

    page = admin.open("/access/grants/new/?user=vera").page
    page.get_by_label("Role").select_option("operator")
    page.get_by_label("Where").select_option("simulated, stack shop")
    page.get_by_role("button", name="Give the role").click()
    expect(page.get_by_role("status").first).to_be_visible()
    expect(page.get_by_text("vera is now operator in simulated, stack shop.")).to_be_visible()
    expect(scale).to_be_visible()

    page.get_by_role("link", name="Withdraw operator in simulated, stack shop from vera").click()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("vera is no longer operator")).to_be_visible()
    expect(scale).to_have_count(0)
    assert vera.loads == 2, "once for each change of rights"


def test_an_emergency_is_seen_by_onlookers_at_once_and_reviewed(
    colleague: Callable[[str], Person],
) -> None:
    vera, admin = colleague("vera").open(WEB), colleague("admin").open("/operations/")
    kim = colleague("kim")
    page = kim.open(WEB).page
    update = kim.head.get_by_role("link", name="Update", exact=True)
    expect(update).to_have_count(0)

    page.goto(f"{kim.panel.url}/access/emergencies/new/")
    page.get_by_label("Where").select_option("simulated, whole")
    page.get_by_label("Why").fill(WHY)
    page.get_by_role("button", name="Break the glass").click()
    for onlooker in (vera, admin):
        alarm = onlooker.page.locator("#alarms .alarm")
        expect(alarm).to_contain_text(WHY)
        expect(alarm).to_contain_text(
            re.compile("kim has emergency rights in simulated, ending in")
        )
    kim.open(WEB)
    expect(update).to_be_visible()

    page.get_by_role("button", name="Give them back now").click()
    expect(vera.page.locator("#alarms .alarm")).to_have_count(0)
    review = admin.page.locator("#alarms .alarm-review")
    expect(review).to_contain_text("Somebody else must review it")
    assert (vera.loads, admin.loads) == (0, 0)

    review.get_by_role("link").click()
    admin.page.get_by_label("What you found").fill("It was needed.")
    admin.page.get_by_role("button", name="Keep the review").click()
    expect(admin.page.locator("#alarms .alarm")).to_have_count(0)


def test_a_sign_in_link_lets_its_person_in_once(
    browser: Browser, colleague: Callable[[str], Person]
) -> None:
    page = colleague("admin").open("/access/new-person/").page
    page.get_by_label("User name").fill("newcomer")
    page.get_by_role("button", name="Make the person").click()
    link = page.locator("#secret").inner_text()
    answers = []
    for _ in range(2):
        context = browser.new_context()
        theirs = context.new_page()
        answers.append(theirs.goto(link).status)  # type: ignore[union-attr]
        if answers == [200]:
            theirs.get_by_role("button", name="Sign in").click()
            expect(theirs.get_by_role("heading", name="Choose a password")).to_be_visible()
        context.close()
    assert answers == [200, 410]


def test_a_token_is_issued_and_revoked_from_ones_account(
    colleague: Callable[[str], Person],
) -> None:
    page = colleague("kim").open("/account/tokens/").page
    page.get_by_role("link", name="Issue a token").first.click()
    page.get_by_label("What it is for").fill("nightly report")
    page.get_by_label("Role").select_option("viewer")
    page.get_by_label("Where").select_option("simulated, stack shop")
    page.get_by_role("button", name="Issue the token").click()
    expect(page.locator("#secret")).to_contain_text("ph_")
    page.get_by_role("link", name="To your tokens").click()
    row = page.get_by_role("row", name=re.compile("nightly report"))
    expect(row).to_contain_text("viewer in simulated, stack shop")
    row.get_by_role("link", name="Revoke").click()
    expect(page.get_by_text("answered 401")).to_be_visible()
    page.get_by_role("button", name="Revoke nightly report").click()
    expect(row).to_contain_text("Revoked")


@pytest.mark.parametrize(
    "path",
    [
        "/access/new-person/",
        "/access/new-group/",
        "/access/people/admin/disable/",
        "/access/grants/new/",
        "/access/grants/1/withdraw/",
        "/access/groups/night%20shift/",
        "/access/groups/night%20shift/remove/",
        "/access/emergencies/new/",
        "/account/tokens/new/",
        "/account/tokens/1/revoke/",
    ],
)
def test_a_form_is_accessible_in_both_themes_and_widths(
    browser: Browser, panel: Panel, path: str
) -> None:
    command(panel, "grant", "viewer", "--group", "night shift")
    person = Colleague(browser, panel, "admin", bypass_csp=True)
    page = person.page
    answer = page.goto(panel.url + path)
    assert answer is not None and answer.status == 200
    page.evaluate(AXE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(person.page) == [], (theme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)
    person.context.close()
