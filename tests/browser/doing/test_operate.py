"""A real Swarm, operated from the browser, with a second browser looking on."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.operating import Person, Web
from tests.supervisor.panel import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.engine]


def test_a_scale_is_seen_by_everybody_without_a_reload(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.open("/clusters/local/services/")
    operator.service(web.name)
    operator.until_steady(4)

    operator.act("Scale")
    operator.dialog.get_by_label("Replicas").fill("6")
    operator.preview()
    expect(operator.dialog).to_contain_text("2 tasks added")
    operator.confirm("Scale")

    operator.until_steady(6)
    row = onlooker.page.get_by_role("row", name=re.compile(web.name))
    expect(row).to_contain_text(re.compile(r"6\s*/\s*6"))
    assert web.spec["Mode"]["Replicated"]["Replicas"] == 6
    assert (operator.loads, onlooker.loads) == (0, 0)


def test_an_update_is_seen_moving_task_by_task(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.service(web.name)
    operator.service(web.name)
    operator.until_steady(4)
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

    onlooker.until_steady(4)
    expect(onlooker.page.locator("#service-head")).to_contain_text("lab/web:2")
    expect(onlooker.page.locator("#service-head")).to_contain_text("Completed")
    assert {3, 2, 1} <= set(onlooker.page.evaluate("[...window.seen]"))
    assert web.spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["GREETING=hello"]


def test_an_update_that_rolls_itself_back_is_told_as_such(
    operator: Person, onlooker: Person, web: Web
) -> None:
    operator.service(web.name)
    operator.until_steady(4)
    onlooker.open("/operations/")

    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/crash:1")
    operator.preview()
    operator.confirm("Update")

    row = onlooker.page.get_by_role("row", name=re.compile(web.name)).first
    expect(row).to_contain_text("Rolled back")
    expect(row).to_contain_text("non-zero exit")
    assert web.image == "lab/web:1"
    operator.until_steady(4)


def test_a_rollback_returns_to_an_older_revision(operator: Person, web: Web) -> None:
    operator.service(web.name)
    operator.until_steady(4)
    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/web:3")
    operator.preview()
    operator.confirm("Update")
    expect(operator.page.locator("#service-head")).to_contain_text("Completed")

    operator.act("Roll back")
    operator.dialog.get_by_role("radio").last.check()
    operator.preview()
    expect(operator.dialog).to_contain_text("lab/web:1")
    operator.confirm("Rollback")

    expect(operator.page.locator("#service-head")).to_contain_text("lab/web:1")
    operator.until_steady(4)
    assert web.image == "lab/web:1"


def test_a_restart_replaces_every_task(operator: Person, web: Web) -> None:
    operator.service(web.name)
    operator.until_steady(4)
    before = web.task_ids()

    operator.act("Restart")
    operator.confirm("Restart")

    expect(operator.page.locator("#service-head")).to_contain_text("Completed")
    after = web.task_ids()
    assert len(after) == 4
    assert not before & after


def test_a_change_by_somebody_else_is_shown_beside_ones_own(
    operator: Person, onlooker: Person, web: Web
) -> None:
    operator.service(web.name)
    operator.until_steady(4)
    operator.act("Update")
    operator.dialog.get_by_label("Image").fill("lab/web:2")

    web.change(lambda spec: spec.update(Labels={"owner": "somebody else"}))
    spec = f"/clusters/local/services/{web.name}/spec/"
    theirs = "their change in the panel"
    wait_for(lambda: "somebody else" in onlooker.open(spec).page.content(), theirs)

    operator.dialog.get_by_role("button", name="Preview").click()

    expect(operator.dialog).to_contain_text("Somebody else changed")
    expect(operator.dialog).to_contain_text("somebody else")
    expect(operator.dialog).to_contain_text("lab/web:2")
    assert web.image == "lab/web:1"

    operator.dialog.get_by_role("button", name="Apply mine on top").click()
    operator.confirm("Update")
    expect(operator.page.locator("#service-head")).to_contain_text("lab/web:2")
    assert web.spec["Labels"]["owner"] == "somebody else"
