"""Signing in with second factors and confirming who one is, with a virtual authenticator."""

import base64
import hashlib
import hmac
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.browser.axe import AXE, violations
from tests.browser.operating import PASSWORD, Person
from tests.run.stages import ROOT
from tests.supervisor.panel import Panel

pytestmark = pytest.mark.browser

KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
ADD_KEY, ADD_APP = "/account/keys/add/", "/account/authenticator/add/"


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = Panel(tmp_path_factory.mktemp("panel") / "var", PILOTHOUSE_ADMIN_PASSWORD=PASSWORD)
    try:
        running.until_up()
        running.url = running.url.replace("127.0.0.1", "localhost")  # keys know names alone
        yield running
    finally:
        running.stop()


def manage(panel: Panel, script: str) -> None:
    """Run Python with the panel's rows, as somebody at its terminal could."""
    web = panel.processes()["web"]
    environment = dict(
        entry.split("=", 1)
        for entry in Path(f"/proc/{web.pid}/environ").read_text().rstrip("\0").split("\0")
    )
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--command", script],
        cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def person(browser: Browser, panel: Panel) -> Iterator[Person]:
    """The administrator, without any second factor and with a key plugged in."""
    forget = "from allauth.mfa.models import Authenticator as A; A.objects.all().delete()"
    manage(panel, f"{forget}; from django.core.cache import cache; cache.clear()")
    somebody = Person(browser, panel, bypass_csp=True)  # for axe alone
    devices = somebody.context.new_cdp_session(somebody.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    yield somebody
    somebody.context.close()


def let_proofs_grow_old(panel: Panel) -> None:
    """Eleven minutes pass for what the sessions hold."""
    manage(
        panel,
        "from django.contrib.sessions.models import Session\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "for row in Session.objects.all():\n"
        "    store = SessionStore(row.session_key)\n"
        "    for record in store.get('account_authentication_methods', []):\n"
        "        record['at'] -= 660\n"
        "    store.save()\n",
    )


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Account of admin").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def give_password(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def add_key(person: Person) -> list[str]:
    """Add the key, and keep the recovery codes."""
    page = person.open(ADD_KEY).page
    page.get_by_role("button", name="Add the key").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator("#factors")).to_contain_text("Security key")
    return codes


def add_app(person: Person) -> Callable[[], str]:
    """Add an authenticator app; what it shows."""
    page = person.open(ADD_APP).page
    secret = page.locator(".secret-shown").inner_text()
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Add the app").click()
    expect(page.locator("#recovery-codes")).to_be_visible()
    # A code works once, and the next one half a minute early.
    return lambda: code_of(secret, ahead=1)


def code_of(secret: str, ahead: int = 0) -> str:
    counter = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def until_in(page: Page) -> None:
    expect(page.get_by_role("navigation").first).to_be_visible()


# --- Signing in ----------------------------------------------------------------------------------


def test_a_security_key_is_added_signs_in_and_confirms(person: Person, panel: Panel) -> None:
    add_key(person)
    page = person.page
    sign_out(page)
    give_password(page)
    expect(page.get_by_role("heading", name="One more step, admin")).to_be_visible()
    page.get_by_role("button", name="Use a security key").click()
    until_in(page)
    let_proofs_grow_old(panel)
    page.goto(panel.url + ADD_APP)
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_count(0)
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url(f"**{ADD_APP}")


def test_an_app_and_a_recovery_code_sign_in_and_confirm(person: Person, panel: Panel) -> None:
    shown = add_app(person)
    page = person.page
    codes = page.locator("#recovery-codes").inner_text().split()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a file").click()
    assert saved.value.path().read_text().split() == codes
    sign_out(page)
    give_password(page)
    page.get_by_label("Code").fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator(".errorlist")).to_contain_text("not a code of yours")
    page.get_by_label("Code").fill(shown())
    page.keyboard.press("Enter")
    until_in(page)
    let_proofs_grow_old(panel)
    page.goto(panel.url + ADD_KEY)
    page.get_by_label("Code").fill(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{ADD_KEY}")
    page.goto(f"{panel.url}/account/")
    expect(page.locator("#factors")).to_contain_text("9 left")


def test_a_key_that_is_added_already_is_told_as_such(person: Person) -> None:
    add_key(person)
    page = person.open(ADD_KEY).page
    page.get_by_role("button", name="Add the key").click()
    expect(page.locator("[data-key-said]")).to_contain_text("is added already")


@pytest.mark.usefixtures("person")
def test_at_an_ip_address_one_is_told_where_keys_work(browser: Browser, panel: Panel) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{panel.port}/sign-in/?next={ADD_KEY}")
    give_password(page)
    page.get_by_role("button", name="Add the key").click()
    said = page.locator("[data-key-said]")
    expect(said).to_contain_text(f"Open http://localhost:{panel.port} instead")
    context.close()


# --- Confirming ----------------------------------------------------------------------------------


def test_what_was_typed_in_a_dialog_stays_while_one_confirms(person: Person, panel: Panel) -> None:
    """Removing a cluster asks for a proof only when it is sent."""
    page = person.open("/clusters/simulated/").page
    page.get_by_role("link", name="Remove simulated…").click()
    field = person.dialog.get_by_label("Type simulated to confirm")
    field.fill("simulate")  # not the name, so that nothing is removed
    let_proofs_grow_old(panel)
    person.dialog.get_by_role("button", name="Remove simulated").click()
    proof = page.locator("#proof")
    expect(proof.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    expect(proof.get_by_label("Password")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(proof).to_contain_text("not your password")
    expect(field).to_have_value("simulate")
    proof.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(proof).to_be_hidden()
    expect(person.dialog).to_contain_text("Type simulated, exactly.")
    assert person.loads == 0


def test_a_proof_in_another_tab_lets_this_one_go_on(person: Person, panel: Panel) -> None:
    """As whoever signs in at an identity provider gives it: what was typed here stays."""
    page = person.open("/clusters/simulated/").page
    page.get_by_role("link", name="Remove simulated…").click()
    person.dialog.get_by_label("Type simulated to confirm").fill("simulate")
    let_proofs_grow_old(panel)
    person.dialog.get_by_role("button", name="Remove simulated").click()
    proof = page.locator("#proof")
    expect(proof).to_be_visible()
    tab = person.context.new_page()
    tab.goto(f"{panel.url}/account/confirm/?next=/account/confirm/done/")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Confirmed")).to_be_visible()
    expect(proof).to_be_hidden()
    expect(person.dialog).to_contain_text("Type simulated, exactly.")
    assert person.loads == 0


def test_a_dialog_opens_once_one_has_confirmed(person: Person, panel: Panel) -> None:
    page = person.open("/clusters/simulated/").page
    let_proofs_grow_old(panel)
    page.get_by_role("link", name="Remove simulated…").click()
    page.locator("#proof").get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(person.dialog).to_contain_text("Type simulated to confirm")
    assert person.loads == 0


def test_confirming_can_be_left_and_nothing_is_done(person: Person, panel: Panel) -> None:
    page = person.open("/clusters/simulated/").page
    let_proofs_grow_old(panel)
    page.get_by_role("link", name="Remove simulated…").click()
    expect(page.locator("#proof")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#proof")).to_be_hidden()
    expect(person.dialog).to_have_count(0)


def test_a_plain_form_asks_before_it_is_sent(person: Person, panel: Panel) -> None:
    shown = add_app(person)
    page = person.open("/account/recovery-codes/new/").page
    let_proofs_grow_old(panel)
    page.get_by_role("button", name="Make new codes").click()
    code = page.locator("#proof").get_by_label("Code")
    expect(code).to_be_focused()
    page.keyboard.type(shown())
    page.keyboard.press("Enter")
    expect(page.locator("#recovery-codes")).to_be_visible()


def test_what_was_typed_into_a_page_stays_while_one_confirms(person: Person, panel: Panel) -> None:
    page = person.open("/access/emergencies/new/").page
    why = page.get_by_label("Why")
    why.fill("too short")  # so that nothing is done
    let_proofs_grow_old(panel)
    page.get_by_role("button", name="Break the glass").click()
    page.locator("#proof").get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".errorlist").first).to_be_visible()
    expect(why).to_have_value("too short")


# --- Sessions ------------------------------------------------------------------------------------


def test_an_ended_session_is_at_the_sign_in_page_by_itself(
    person: Person, browser: Browser, panel: Panel
) -> None:
    other = Person(browser, panel).open("/")
    page = person.open("/account/").page
    rows = page.locator("#sessions li")
    before = rows.count()
    end = rows.filter(has_not_text="this one").get_by_role("button").first
    end.click()
    expect(page.locator(".strip.tone-good")).to_contain_text("was ended")
    expect(rows).to_have_count(before - 1)
    other.page.wait_for_url(re.compile("/sign-in/"))
    other.context.close()


def test_a_new_password_is_told_though_the_socket_ends_before_its_answer(person: Person) -> None:
    """A new password ends the session that the page's socket came with."""
    page = person.open("/account/password/").page
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append((route, route.fetch(max_redirects=0)))
        else:
            route.continue_()

    page.route("**/account/password/", hold)
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    with page.expect_event("websocket"):  # the next one: the first has been told that it is over
        page.get_by_role("button", name="Save the password").click(no_wait_after=True)
    ((route, answer),) = held
    route.fulfill(response=answer)
    expect(page.locator(".strip.tone-good")).to_contain_text("Your password was changed")


# --- Everybody can use them ----------------------------------------------------------------------


def fits(page: Page) -> None:
    page.evaluate(AXE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(page) == [], (theme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (theme, width)


def test_the_pages_are_accessible_in_both_themes_and_widths(person: Person, panel: Panel) -> None:
    page = person.page
    for path in (ADD_KEY, ADD_APP, "/account/password/"):
        page.goto(panel.url + path)
        fits(page)
    let_proofs_grow_old(panel)
    page.goto(panel.url + ADD_APP)
    expect(page.get_by_label("Password")).to_be_visible()
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    add_key(person)
    for path in ("/account/", "/account/recovery-codes/", "/account/recovery-codes/new/"):
        page.goto(panel.url + path)
        fits(page)
    page.goto(f"{panel.url}/account/")
    page.get_by_role("link", name="Remove Security key").click()
    fits(page)
    let_proofs_grow_old(panel)
    page.goto(panel.url + ADD_APP)
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    sign_out(page)
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    give_password(page)
    expect(page.get_by_role("heading", name="One more step, admin")).to_be_visible()
    fits(page)


@pytest.mark.usefixtures("person")
def test_the_pages_keep_to_their_own_policy(browser: Browser, panel: Panel) -> None:
    person = Person(browser, panel)
    said: list[str] = []
    person.page.on("console", lambda message: said.append(message.text))
    person.page.on("pageerror", lambda error: said.append(str(error)))
    for path in (ADD_KEY, ADD_APP, "/account/"):
        person.open(path)
    person.context.close()
    assert said == []
