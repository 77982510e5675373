"""A Swarm of several nodes as people see it."""

import re

import docker
import pytest
from playwright.sync_api import Browser, expect

from lab import checks
from lab.lab import Lab
from lab.panel import CLUSTER, Panel
from lab.up import HEALTHY_SECONDS
from tests.browser.operating import Person
from tests.lab.api import Api

pytestmark = [pytest.mark.engine, pytest.mark.browser]
AGENT = f"/clusters/{CLUSTER}/services/sutazai_ai-agent/"


def test_a_rolling_update_moves_over_the_nodes_while_requests_are_answered(
    person: Person, browser: Browser, panel: Panel, api: Api
) -> None:
    """The stack's own agents, behind HAProxy."""
    onlooker = Person(browser, panel, viewport={"width": 390, "height": 844}).open(AGENT)
    person.open(AGENT)
    person.act("Update")
    person.dialog.get_by_label("Image").fill("lab/ai-agent:2")
    person.preview()
    person.confirm("Update")

    for page in (person.page, onlooker.page):
        expect(page.locator("#service-head")).to_contain_text("Completed")
        expect(page.locator("#task-matrix .cells .cell-running:not(.cell-old)")).to_have_count(4)
    nodes = set(api.running_on("sutazai_ai-agent"))
    assert len(nodes) > 1
    assert (person.loads, onlooker.loads) == (0, 0)
    onlooker.context.close()


def test_a_lost_node_shows_on_open_pages(
    person: Person, browser: Browser, panel: Panel, lab: Lab, web: str
) -> None:
    cluster = Person(browser, panel).open(f"/clusters/{CLUSTER}/")
    person.open(f"/clusters/{CLUSTER}/services/{web}/")

    lab.off("n5")

    row = cluster.page.get_by_role("row", name=re.compile(r"^n5\b"))
    expect(row).to_contain_text("Down")
    on_n5 = person.page.locator("#task-matrix .cells .cell-running", has_text="n5")
    expect(on_n5).to_have_count(0)
    running = person.page.locator("#task-matrix .cells .cell-running")
    expect(running).to_have_count(10)
    assert (person.loads, cluster.loads) == (0, 0)
    cluster.context.close()


def test_logs_of_many_nodes_go_on_without_a_dead_one_which_is_named(
    person: Person, lab: Lab, swarm: docker.APIClient, web: str
) -> None:
    page = person.open(f"/clusters/{CLUSTER}/services/{web}/logs/").page
    tags = page.locator(".log-tag")
    for node in ("n4", "n5"):
        expect(tags.filter(has_text=node).first).to_be_visible()

    lab.off("n5")

    expect(page.locator("[data-notices]")).to_contain_text("n5")
    lines = page.locator(".log-line")
    seen = lines.count()
    # Its lost tasks start anew elsewhere, and say so.
    expect(lines).not_to_have_count(seen)


MEASURED = ("CPU per task", "Memory per task", "Requests", "Request duration")
GUIDE = ("AI agent CPU", "Task queue length", "Service response time (p95)", "Redis cluster status")


def test_what_the_stacks_prometheus_measures_is_charted(person: Person, lab: Lab) -> None:
    """cAdvisor's series and those of the programs, under the names that are found out."""
    checks.wait(lab.nodes, HEALTHY_SECONDS, lambda line: None)  # asks the agents, too
    page = person.open(f"/clusters/{CLUSTER}/metrics/source/").page
    page.get_by_role("button", name="Test, and look again").click()
    expect(page.locator("#source-state")).to_contain_text("http_requests_total")
    for address, titles in (
        (f"{AGENT}metrics/?range=15m", MEASURED),
        (f"/clusters/{CLUSTER}/metrics/panels/?range=15m", GUIDE),
    ):
        page = person.open(address).page
        for title in titles:
            chart = page.get_by_role("img", name=f"{title}: ")
            expect(chart).to_have_accessible_name(re.compile("lowest"))
    page = person.open(f"/clusters/{CLUSTER}/services/").page
    expect(page.locator('[data-load="sutazai_ai-agent"]')).to_contain_text("MiB")
