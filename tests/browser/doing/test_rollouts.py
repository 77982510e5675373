"""Rollouts that do not run through: stopped, resumed, taken back, paused by Swarm."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.operating import Person, Web

pytestmark = [pytest.mark.browser, pytest.mark.engine]

PACE = {"Parallelism": 1, "Delay": 0, "Monitor": 2 * 10**9, "Order": "stop-first"}
six_tasks = pytest.mark.parametrize(
    "web", [{"Mode": {"Replicated": {"Replicas": 6}}}], indirect=True, ids=["six"]
)
pausing = pytest.mark.parametrize(
    "web", [{"UpdateConfig": {**PACE, "FailureAction": "pause"}}], indirect=True, ids=["pausing"]
)


def begin_update(operator: Person, onlooker: Person, web: Web, count: int) -> None:
    """Both look at the service; the operator updates it until one task runs the new version."""
    onlooker.service(web.name)
    operator.service(web.name).until_steady(count)
    operator.update_to("lab/web:2")
    new = onlooker.page.locator("#task-matrix .cells .cell-running:not(.cell-old)")
    expect(new).to_have_count(1)


@six_tasks
def test_a_stopped_rollout_stands_still_until_it_is_resumed(
    operator: Person, onlooker: Person, web: Web
) -> None:
    begin_update(operator, onlooker, web, 6)
    operator.cancel("Stop here")
    onlooker.until_told("The rollout was stopped half way")
    expect(onlooker.page.locator("#tray")).to_have_text(re.compile(r"Cancelled"))
    assert {"lab/web:1", "lab/web:2"} == set(web.task_images())

    operator.head.get_by_role("link", name="Resume…").click()
    expect(operator.dialog).to_contain_text(re.compile(r"[1-5] tasks? replaced, 1 at a time"))
    operator.confirm("Resume")
    onlooker.until_steady(6)
    onlooker.until_told("Completed")
    assert set(web.task_images()) == {"lab/web:2"}
    assert (operator.loads, onlooker.loads) == (0, 0)


def test_a_rollout_is_taken_back_half_way(operator: Person, onlooker: Person, web: Web) -> None:
    begin_update(operator, onlooker, web, 4)
    operator.cancel("Go back")
    operator.page.get_by_role("link", name="See the operation").click()
    operation = operator.page.locator("#operation")
    expect(operation).to_contain_text("Went back to the spec before: 4 of 4")
    expect(operation).to_contain_text("admin, to go back")
    onlooker.until_steady(4)
    onlooker.until_told("lab/web:1")
    assert set(web.task_images()) == {"lab/web:1"}


@pausing
def test_a_rollout_that_swarm_paused_says_why_and_is_resumed(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.service(web.name)
    operator.service(web.name).until_steady(4)
    operator.update_to("lab/late:1")
    onlooker.until_told("Swarm paused the rollout after 0 of 4 tasks")
    onlooker.until_told("No such image: lab/late:1")

    web.engine.tag("lab/web:2", "lab/late", "1")
    operator.head.get_by_role("link", name="Resume…").click()
    expect(operator.dialog).to_contain_text("No such image: lab/late:1")
    operator.confirm("Resume")
    onlooker.until_told("Completed")
    onlooker.until_steady(4)
    assert set(web.task_images()) == {"lab/late:1"}


@pausing
def test_a_rollout_that_swarm_paused_is_tried_again_or_rolled_back(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.service(web.name)
    operator.service(web.name).until_steady(4)
    operator.update_to("lab/crash:1")
    onlooker.until_told("non-zero exit (3)")

    operator.head.get_by_role("link", name="Update to lab/crash:1").click()
    operator.page.get_by_role("link", name="Try again…").click()
    expect(operator.dialog).to_contain_text(re.compile(r"[1-3] tasks? replaced, 1 at a time"))
    operator.page.keyboard.press("Escape")

    operator.service(web.name).act("Roll back")
    operator.dialog.get_by_role("radio").first.check()
    operator.preview()
    operator.confirm("Rollback")
    onlooker.until_steady(4)
    onlooker.until_told("Completed")
    assert web.image == "lab/web:1"
