"""The audit trail's page in a real browser: opened, narrowed, proved; by keys as well."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import AXE, violations
from tests.browser.operating import Person
from tests.browser.simulated import panel, person

pytestmark = pytest.mark.browser
__all__ = ["panel", "person"]


def entries(page: Page) -> list[str]:
    return page.locator(".audit-entry .audit-action").all_inner_texts()


def test_an_entry_opens_by_key_and_tells_its_number_and_hash(person: Person) -> None:
    page = person.open("/audit/?action=sign-in").page
    first = page.locator(".audit-entry").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(first.get_by_text("in the chain of the panel itself")).to_be_visible()
    expect(first.locator(".audit-hash")).to_have_text(re.compile("^[0-9a-f]{64}$"))


def test_a_filter_narrows_the_list_and_stands_in_the_address(person: Person) -> None:
    page = person.open("/audit/").page
    assert "audit.view" in entries(page)
    page.get_by_label("Action").select_option("sign-in")
    expect(page.locator(".audit-action", has_text="audit.view")).to_have_count(0)
    page.wait_for_url("**/audit/?action=sign-in")
    assert set(entries(page)) == {"sign-in"}
    page.get_by_role("textbox", name="Who").fill("nobody")
    expect(page.get_by_role("heading", name="No entry matches")).to_be_visible()
    assert person.loads == 0


def test_the_chains_are_proved_at_a_click(person: Person) -> None:
    page = person.open("/audit/").page
    page.get_by_role("button", name="Verify now").click()
    proof = page.locator("#audit-proof")
    expect(proof).to_contain_text("for admin")
    expect(proof).to_contain_text("whole")
    expect(page.get_by_role("button", name="Verify now")).to_be_visible()
    assert person.loads == 0


def test_open_entries_are_accessible(person: Person) -> None:
    page = person.open("/audit/").page
    page.evaluate(AXE)
    page.locator(".audit-entry summary").first.click()
    assert violations(person.page) == []


def test_an_export_is_a_file(person: Person) -> None:
    page = person.open("/audit/").page
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename.endswith(".csv")
