"""Charts of a service in a browser: of a real Prometheus, while it answers and while it is away."""

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import AXE, violations
from tests.browser.charted import Source, panel, person, source
from tests.browser.operating import Person
from tests.supervisor.panel import Panel

pytestmark = pytest.mark.browser
SERVICES = "/clusters/simulated/services/"
WEB = f"{SERVICES}shop_web/metrics/"
__all__ = ["panel", "person", "source"]


def charted(person: Person, path: str = WEB) -> Person:
    person.open(path)
    expect(person.page.locator(".chart canvas").first).to_be_visible()
    return person


def test_a_service_shows_its_charts_with_units_and_limits(person: Person) -> None:
    page = charted(person).page
    titles = page.locator(".chart h2")
    expect(titles).to_have_text(
        ["CPU per task", "Memory per task", "Replicas", "Requests", "Errors (5xx)",
         "Request duration", "Task starts"]
    )  # fmt: skip
    memory = page.get_by_role("region", name="Memory per task", exact=True).first
    expect(memory).to_contain_text("MiB")
    expect(memory).to_contain_text("Limit 256 MiB")
    expect(page.get_by_role("region", name="Request duration", exact=True)).to_contain_text("ms")
    expect(page.get_by_role("region", name="Requests", exact=True)).to_contain_text("12/s")


def test_a_chart_is_told_in_words_and_as_a_table(person: Person) -> None:
    page = charted(person).page
    picture = page.get_by_role("img", name="CPU per task: ")
    expect(picture).to_have_accessible_name(re.compile("Average .* lowest"))
    cpu = page.get_by_role("region", name="CPU per task", exact=True)
    cpu.get_by_text("As a table").press("Enter")
    rows = cpu.get_by_role("row")
    expect(rows.first).to_contain_text("Highest task")
    assert 20 < rows.count() < 40


def test_the_address_keeps_the_range_and_a_zoom_can_be_taken_back(person: Person) -> None:
    page = charted(person).page
    page.get_by_role("link", name="6h", exact=True).click()
    expect(page).to_have_url(re.compile("range=6h"))
    expect(page.get_by_role("link", name="6h", exact=True)).to_have_attribute(
        "aria-current", "true"
    )
    page.wait_for_function("document.querySelectorAll('.chart canvas').length > 5")
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"range=\d+-\d+"))
    expect(page.get_by_role("link", name="Zoom out")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile("range=6h"))
    expect(page.get_by_role("link", name="Zoom out")).to_be_hidden()
    assert person.loads == 0


def test_the_cursor_moves_in_all_charts_together(person: Person) -> None:
    page = charted(person).page
    over = page.locator(".chart .u-over")
    box = over.first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    places = page.locator(".chart .u-cursor-x").evaluate_all(
        "all => all.map(line => new DOMMatrix(getComputedStyle(line).transform).e)"
    )
    assert len(places) == 7
    assert all(abs(place - box["width"] / 2) < 30 for place in places), places


def test_points_arrive_at_the_right_edge_by_the_socket(person: Person) -> None:
    page = charted(person, f"{WEB}?range=15m").page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_function(
        """() => { const news = document.getElementById('metrics-news').dataset.news;
            return news && JSON.parse(news).times.length === 24 }""",
    )
    first = page.locator("#metrics-news").get_attribute("data-news")
    page.wait_for_function(
        "old => document.getElementById('metrics-news').dataset.news !== old",
        arg=first,
    )  # fmt: skip
    assert not [url for url in asked if "/metrics/data/" in url], "it was read anew"


def test_an_alert_is_marked_and_listed(person: Person) -> None:
    page = charted(person).page
    happened = page.get_by_role("region", name="What happened meanwhile")
    expect(happened).to_contain_text("Slow (page)")
    expect(happened).to_contain_text("Firing")


def test_an_operation_is_marked_and_leads_to_it(person: Person) -> None:
    person.open(f"{SERVICES}shop_web/")
    person.act("Restart")
    person.confirm("Restart")
    page = charted(person).page
    happened = page.get_by_role("region", name="What happened meanwhile")
    expect(happened).to_contain_text("Restart by admin")
    expect(page.locator("a.chart-mark").first).to_be_attached()
    happened.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("/operations/"))


def test_a_queue_is_shown_of_those_who_work_it_off(person: Person) -> None:
    page = charted(person, f"{SERVICES}sutazai_celery-worker/metrics/").page
    queue = page.get_by_role("region", name="Queue length", exact=True)
    expect(queue).to_contain_text("inference")
    expect(queue).to_contain_text("training")


def test_a_service_without_series_says_what_was_looked_for(person: Person) -> None:
    page = person.open(f"{SERVICES}sutazai_jaeger/metrics/").page
    missing = page.locator(".charts-missing")
    expect(missing).to_contain_text("No series of this service was found")
    expect(missing).to_contain_text("sutazai_jaeger")
    expect(missing.get_by_role("link")).to_have_attribute(
        "href", "/clusters/simulated/metrics/mapping/"
    )


def test_the_table_has_a_line_for_each_service_that_is_measured(person: Person) -> None:
    page = person.open(SERVICES).page
    load = page.locator('[data-load="shop_web"]')
    expect(load).to_contain_text("%")
    expect(load).to_contain_text("MiB")
    assert page.locator('[data-load="sutazai_jaeger"]').inner_text().strip() == ""
    drawn = "c => c.getContext('2d').getImageData(0, 0, 88, 36).data.some(byte => byte)"
    assert load.locator("canvas").first.evaluate(drawn)


def test_the_source_tells_what_it_found_and_is_set_by_hand(person: Person) -> None:
    page = person.open("/clusters/simulated/metrics/source/").page
    expect(page.locator("#source-state")).to_contain_text("Answers")
    expect(page.locator("#source-state")).to_contain_text("container_cpu_usage_seconds_total")
    page.get_by_role("link", name="Set names…").click()
    page.get_by_label("Memory").fill("container memory")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_text("is no name of a metric")).to_be_visible()
    page.get_by_label("Memory").fill("container_memory_working_set_bytes")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("#source-state")).to_contain_text("set by hand")


@pytest.mark.parametrize(
    "path", [WEB, f"{SERVICES}sutazai_jaeger/metrics/", "/clusters/simulated/metrics/source/",
             "/clusters/simulated/metrics/mapping/", SERVICES],
)  # fmt: skip
def test_it_is_accessible_in_both_themes_and_widths(person: Person, path: str) -> None:
    page = person.open(path).page
    page.wait_for_timeout(1500)
    page.evaluate(AXE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(person.page) == [], (theme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)
            shots = Path(os.environ.get("PILOTHOUSE_SHOTS", ""))
            if shots.name:
                name = path.strip("/").replace("/", "-")
                page.screenshot(path=shots / f"{name}-{theme}-{width}.png", full_page=True)


def test_the_page_keeps_to_its_policy(browser: Browser, panel: Panel) -> None:
    somebody = Person(browser, panel)
    said: list[str] = []
    somebody.page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    somebody.page.on("pageerror", lambda error: said.append(f"error: {error}"))
    for path in (WEB, f"{WEB}?range=30d", SERVICES, "/clusters/simulated/metrics/source/"):
        somebody.open(path)
        somebody.page.wait_for_timeout(1500)
    somebody.context.close()
    assert not [line for line in said if line.startswith(("error", "warning"))], said


def test_many_viewers_cost_prometheus_one(browser: Browser, panel: Panel, source: Source) -> None:
    """Counted at Prometheus itself: over the same seconds, with one viewer and with eight."""
    people = [Person(browser, panel)]
    charted(people[0], f"{WEB}?range=15m")
    one = asked_within(source, 12)
    tabs = [people[0].another_tab() for _ in range(7)]
    for tab in tabs:
        charted(tab, f"{WEB}?range=15m")
    eight = asked_within(source, 12)
    people[0].context.close()
    assert one > 0
    assert eight <= 1.7 * one, (one, eight)


def asked_within(source: Source, seconds: float) -> int:
    before = source.queries()
    time.sleep(seconds)
    return source.queries() - before


def test_a_prometheus_that_goes_away_and_returns(person: Person, source: Source) -> None:
    page = charted(person).page
    source.stop()
    strip = page.locator("#charts-state")
    expect(strip).to_contain_text("Metrics unavailable since")
    expect(strip).to_contain_text("cannot be reached")
    expect(page.locator(".chart canvas").first).to_be_visible()  # what is known stays
    began = time.monotonic()
    assert page.request.get(person.panel.url + WEB).status == 200
    assert page.request.get(f"{person.panel.url}{SERVICES}").status == 200
    assert time.monotonic() - began < 5
    expect(page.locator("#live[data-state=live]")).to_be_attached()
    source.start()
    expect(strip).not_to_contain_text("unavailable")
