"""Any query in a browser, and the panels that are saved of one: on a real Prometheus."""

import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import AXE, violations
from tests.browser.charted import Source, panel, person, source
from tests.browser.operating import Person
from tests.supervisor.panel import Panel

__all__ = ["panel", "person", "source"]
pytestmark = pytest.mark.browser
PAGE = "/clusters/simulated/metrics/"
PANELS, STACK = f"{PAGE}panels/", "/clusters/simulated/stacks/shop/metrics/"
RATE = "sum by (code) (rate(http_requests_total[5m]))"


def asking(query: str, span: str = "1h") -> str:
    return f"{PAGE}?query={quote(query)}&range={span}"


FULL, EMPTY, WRONG = asking(RATE), asking("http_request_totl"), asking("sum(rate(up[5m])")


HTTP = '{__name__=~"http_.+"}'  # twenty series
MANY = " or ".join([HTTP, *(f'label_replace({HTTP}, "copy", "{n}", "", "")' for n in "123")])


def answered(person: Person, path: str) -> Page:
    page = person.open(path).page
    expect(page.locator(".charts-loading")).to_have_count(0)
    return page


def test_ctrl_enter_runs_a_query_and_the_address_keeps_it(person: Person) -> None:
    page = person.open(PAGE).page
    field = page.get_by_label("Query in PromQL")
    expect(field).to_be_focused()
    field.fill(RATE)
    field.press("Control+Enter")
    expect(page.locator("#query-chart canvas")).to_be_visible()
    expect(page.get_by_role("heading", name="2 series")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^200"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"query=sum.*range=1h"))
    page.get_by_label("6h").check()
    expect(page).to_have_url(re.compile("range=6h"))
    page.get_by_label("Instant").check()
    expect(page.locator("#query-chart")).to_have_count(0)
    expect(page.locator("#query-history li")).to_have_count(1)
    assert person.loads == 0
    page.reload()
    expect(page.get_by_label("Instant")).to_be_checked()
    expect(page.get_by_role("columnheader", name="Value")).to_be_visible()


def test_a_chart_is_zoomed_into_and_out_of(person: Person) -> None:
    page = answered(person, FULL)
    over = page.locator("#query-chart .u-over")
    expect(over).to_be_visible()
    box = over.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"range=\d+-\d+"))
    expect(page.get_by_label("Zoomed in")).to_be_checked()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("range=1h"))


def test_a_wrong_query_is_marked_and_explained(person: Person) -> None:
    page = answered(person, WRONG)
    wrong = page.locator(".query-wrong")
    expect(wrong).to_contain_text("The “(” at column 4 is never closed")
    expect(wrong).to_contain_text("1:17: parse error: unclosed left parenthesis")
    expect(wrong.locator("mark").first).to_have_text("(")
    expect(page.get_by_label("Query in PromQL")).to_have_value("sum(rate(up[5m])")


def test_nothing_found_tells_what_there_is(person: Person) -> None:
    page = answered(person, EMPTY)
    expect(page.get_by_text("The query is right and finds nothing")).to_be_visible()
    expect(page.locator(".query-hints code").first).to_have_text("http_requests_total")


def test_a_query_becomes_a_live_panel_of_a_stack(person: Person) -> None:
    page = answered(person, f"{FULL}&unit=per-second")
    page.get_by_role("link", name="Save as a panel…").click()
    person.dialog.get_by_label("Title").fill("Answers <by> code")
    person.dialog.get_by_label("Shown on").select_option("stack shop")
    expect(person.dialog.get_by_label("Unit")).to_have_value("per-second")
    person.dialog.get_by_label("Critical").fill("20")
    person.dialog.get_by_role("button", name="Save the panel").click()
    page.get_by_role("link", name="Look at it").click()
    expect(page).to_have_url(re.compile(STACK))
    chart = page.get_by_role("region", name="Answers <by> code", exact=True)
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart).to_contain_text('code="200" 19.8/s')
    expect(chart).to_contain_text("Critical 20/s")
    page.wait_for_function(  # pushed by the socket
        "() => JSON.parse(document.getElementById('metrics-news').dataset.news || '{}').times",
    )
    page.get_by_text("Change, move or remove panels").click()
    page.get_by_role("button", name="Remove Answers <by> code").click()
    expect(page.get_by_text("“Answers <by> code” was removed.")).to_be_visible()
    expect(page.get_by_text("No panel yet")).to_be_visible()
    page.get_by_role("button", name="Put it back").click()
    expect(chart.locator("canvas")).to_be_visible()


def test_a_panel_is_changed_and_a_wrong_query_refused(person: Person) -> None:
    page = person.open(PANELS).page
    page.get_by_text("Change, move or remove panels").click()
    page.get_by_role("link", name="Change Task queue length").click()
    person.dialog.get_by_label("Query").fill("sum(celery_queue_length")
    person.dialog.get_by_role("button", name="Change the panel").click()
    expect(person.dialog).to_contain_text("is never closed")
    person.dialog.get_by_label("Query").fill("sum(celery_queue_length)")
    person.dialog.get_by_role("button", name="Change the panel").click()
    expect(page.get_by_role("link", name="sum(celery_queue_length)")).to_have_count(1)


def test_the_guides_queries_are_there_and_say_what_they_need(person: Person) -> None:
    page = person.open(PANELS).page
    drawn = page.locator(".chart h2")
    expect(drawn).to_have_text(["Task queue length", "Service response time (p95)"])
    missing = page.locator(".charts-missing")
    expect(missing.locator("summary")).to_have_text(
        "No data here yet: AI agent CPU, Redis cluster status"
    )
    missing.locator("summary").click()
    expect(missing).to_contain_text('redis_cluster_state{job="redis"}')


def shown(person: Person, name: str) -> None:
    """Clean in both themes and widths, and nothing wider than the screen."""
    page = person.page
    page.evaluate(AXE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            assert violations(person.page) == [], (theme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)
            shots = Path(os.environ.get("PILOTHOUSE_SHOTS", ""))
            if shots.name:
                page.screenshot(path=shots / f"{name}-{theme}-{width}.png", full_page=True)


STATES = {
    "start": PAGE, "full": FULL, "empty": EMPTY, "wrong": WRONG, "panels": PANELS,
    "many": asking(MANY),
    "odd": asking("http_requests_total"), "new": f"{PAGE}new-panel/?query=up&stack=shop",
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_each_state_is_accessible_in_both_themes_and_widths(person: Person, name: str) -> None:
    page = answered(person, STATES[name])
    if name == "panels":
        page.get_by_text("Change, move or remove panels").click()
        expect(page.locator(".chart canvas").first).to_be_visible()
    if name == "many":
        expect(page.get_by_role("heading", name=re.compile("Showing 50 of"))).to_be_visible()
    shown(person, name)


def test_the_pages_keep_to_their_policy(browser: Browser, panel: Panel) -> None:
    somebody = Person(browser, panel)
    said: list[str] = []
    somebody.page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    somebody.page.on("pageerror", lambda error: said.append(f"error: {error}"))
    for path in (FULL, WRONG, PANELS):
        answered(somebody, path)
        somebody.page.wait_for_timeout(1000)
    somebody.context.close()
    assert not [line for line in said if line.startswith(("error", "warning"))], said


def test_a_prometheus_that_is_away_is_told(person: Person, source: Source) -> None:
    source.stop()
    try:
        page = answered(person, asking("up + 0", "15m"))
        expect(page.locator("#result")).to_contain_text("Metrics unavailable since")
        expect(page.locator("#result")).to_contain_text("cannot be reached")
        shown(person, "away")
    finally:
        source.start()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result")).not_to_contain_text("unavailable")
