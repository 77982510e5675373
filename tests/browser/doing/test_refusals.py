"""What makes no sense, or no sense any more, is refused in words where the person looks."""

import pytest
from playwright.sync_api import expect

from tests.browser.operating import Person, Web

pytestmark = [pytest.mark.browser, pytest.mark.engine]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("-1", "A service cannot run fewer than 0 tasks."),
        ("99999999999999999999", "At most 10,000 replicas can be asked for."),
        ("many", "Write a whole number."),
        ("1e", "Write a whole number."),
    ],
)
def test_a_count_beyond_sense_is_refused_at_its_field(
    operator: Person, web: Web, typed: str, words: str
) -> None:
    operator.service(web.name).act("Scale")
    operator.page.keyboard.press("Control+A")
    operator.page.keyboard.press("Delete")
    operator.page.keyboard.type(typed)
    operator.page.keyboard.press("Enter")
    field = operator.dialog.locator(".field", has_text="Replicas")
    expect(field).to_contain_text(words)
    expect(operator.dialog.get_by_label("Replicas")).to_be_focused()
    assert web.spec["Mode"]["Replicated"]["Replicas"] == 4


def test_what_is_no_image_reference_is_refused_at_its_field(operator: Person, web: Web) -> None:
    operator.service(web.name).act("Update")
    operator.dialog.get_by_label("Image").fill("lab/Web:2 latest")
    operator.dialog.get_by_role("button", name="Preview").click()
    field = operator.dialog.locator(".field", has_text="Image")
    expect(field).to_contain_text("“lab/Web:2 latest” is not an image reference")
    expect(operator.dialog.get_by_label("Image")).to_be_focused()
    expect(operator.dialog.get_by_label("Image")).to_have_value("lab/Web:2 latest")


def test_a_service_that_vanishes_is_told_on_its_page_and_in_its_dialog(
    operator: Person, onlooker: Person, web: Web
) -> None:
    onlooker.service(web.name)
    operator.service(web.name).act("Scale")
    web.engine.remove_service(web.name)
    gone = onlooker.page.get_by_text("This service is gone")
    expect(gone).to_be_visible()
    expect(onlooker.head.get_by_role("link", name="Scale")).to_be_hidden()

    operator.dialog.get_by_label("Replicas").fill("6")
    operator.dialog.get_by_role("button", name="Preview").click()
    notice = operator.dialog.locator("#dialog-notice")
    expect(notice).to_contain_text(f"There is no service named {web.name}")
    assert (operator.loads, onlooker.loads) == (0, 0)


def test_the_same_change_asked_for_in_two_tabs_is_made_once(operator: Person, web: Web) -> None:
    operator.service(web.name).until_steady(4)
    other = operator.another_tab().service(web.name)
    for tab in (operator, other):
        tab.act("Scale")
        tab.dialog.get_by_label("Replicas").fill("5")
        tab.preview()
    operator.confirm("Scale")
    operator.until_steady(5)
    other.dialog.get_by_role("button", name=f"Scale {web.name}").click()
    expect(other.dialog).to_contain_text("Nothing would change")
    assert web.spec["Mode"]["Replicated"]["Replicas"] == 5
