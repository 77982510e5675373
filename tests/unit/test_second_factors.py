"""Rules of adding, using and removing second factors."""

import json
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.db import connection
from django.test import Client

from access.models import AuditEntry, User
from access.policy import PROOF_SECONDS, Role
from access.requests import has_second_factor
from tests.unit.panel import browser_of, note_proof
from tests.unit.signing import (
    SECOND_FACTOR,
    audited,
    body,
    code_now,
    give,
    give_app,
    give_recovery_codes,
    person,
    signed_in,
)
from tests.unit.soft_key import SoftKey

pytestmark = pytest.mark.django_db
ADD_APP, REMOVE_APP = "/account/authenticator/add/", "/account/authenticator/remove/"
ADD_KEY, CODES = "/account/keys/add/", "/account/recovery-codes/"


@pytest.fixture
def ada() -> User:
    return person("ada", Role.ADMIN)


@pytest.fixture
def client(ada: User) -> Client:
    """Ada's browser, at a host that keys can be registered for."""
    browser = browser_of(ada)
    browser.defaults["HTTP_HOST"] = "localhost"
    return browser


def shown_code(page: str) -> str:
    secret = re.search(r'class="secret-shown">([A-Z2-7]+)<', page)
    assert secret
    _, present, _ = auth.yield_hotp_counters_from_time()
    code: str = auth.format_hotp_value(auth.hotp_value(secret[1], present))
    return code


def add_key(client: Client, name: str = "Blue") -> SoftKey:
    key = SoftKey()
    credential = key.register(body(client.get(ADD_KEY)))
    answer = client.post(ADD_KEY, {"name": name, "credential": credential})
    assert answer.status_code == 302, body(answer)
    return key


def factors() -> set[str]:
    return set(Authenticator.objects.values_list("type", flat=True))


# --- An authenticator app ------------------------------------------------------------------------


def test_an_app_is_added_once_its_code_is_right_and_recovery_codes_with_it(
    client: Client, ada: User
) -> None:
    page = body(client.get(ADD_APP))
    assert client.post(ADD_APP, {"code": "000000"}).status_code == 422
    assert factors() == set()
    answer = client.post(ADD_APP, {"code": shown_code(page)})
    assert answer["Location"] == CODES
    assert factors() == {"totp", "recovery_codes"}
    assert audited() == ["factor.add"]
    assert AuditEntry.objects.get().target == "authenticator app"


def test_a_wrong_code_leaves_the_picture_that_was_scanned(client: Client) -> None:
    first = body(client.get(ADD_APP))
    again = body(client.post(ADD_APP, {"code": "000000"}))
    assert shown_code(first) == shown_code(again)


def test_the_secret_lies_sealed_in_the_database(ada: User, client: Client) -> None:
    page = body(client.get(ADD_APP))
    client.post(ADD_APP, {"code": shown_code(page)})
    secret = re.search(r'class="secret-shown">([A-Z2-7]+)<', page)
    assert secret
    kept = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret[1] not in kept
    assert secret[1] not in json.dumps(dict(client.session.items()))
    assert secret[1] not in str(AuditEntry.objects.values())


def test_a_secret_sealed_under_another_key_is_told_as_such(ada: User, settings: Any) -> None:
    give_app(ada)
    client = Client()
    settings.SECRET_KEY = "another"
    give(client, "ada")
    answer = client.post(SECOND_FACTOR, {"code": code_now()})
    assert answer.status_code == 503
    assert "PILOTHOUSE_SECRET_KEY was changed" in body(answer)
    assert not signed_in(client)


def test_removing_the_last_factor_takes_the_recovery_codes_with_it(
    client: Client, ada: User
) -> None:
    give_app(ada)
    give_recovery_codes(ada)
    note_proof(client, ada, "mfa")
    assert client.post(REMOVE_APP)["Location"] == "/account/"
    assert factors() == set()
    assert audited() == ["factor.remove"]


# --- Security keys -------------------------------------------------------------------------------


def test_a_key_is_added_signs_in_and_proves(client: Client, ada: User) -> None:
    key = add_key(client)
    assert factors() == {"webauthn", "recovery_codes"}
    assert AuditEntry.objects.get().target == "Blue"
    other = Client(HTTP_HOST="localhost")
    assert give(other, "ada")["Location"] == SECOND_FACTOR
    page = body(other.get(SECOND_FACTOR))
    assert other.post(SECOND_FACTOR, {"credential": key.answer(page)})["Location"] == "/"
    note_proof(other, ada, "mfa", ago=PROOF_SECONDS + 1)
    page = body(other.get("/account/confirm/"))
    answer = other.post("/account/confirm/", {"credential": key.answer(page), "next": "/audit/"})
    assert answer["Location"] == "/audit/"
    assert audited()[1:] == ["sign-in", "proof"]


def test_an_answer_of_a_key_works_once(client: Client, ada: User) -> None:
    key = add_key(client)
    first = Client(HTTP_HOST="localhost")
    give(first, "ada")
    answer = key.answer(body(first.get(SECOND_FACTOR)))
    first.post(SECOND_FACTOR, {"credential": answer})
    assert signed_in(first)
    second = Client(HTTP_HOST="localhost")
    give(second, "ada")
    second.get(SECOND_FACTOR)
    assert second.post(SECOND_FACTOR, {"credential": answer}).status_code == 422
    assert not signed_in(second)


@pytest.mark.parametrize("whose", ["nobody's", "eve's", "asked for by another page"])
def test_another_key_or_another_page_does_not_sign_in(
    client: Client, ada: User, whose: str
) -> None:
    key = add_key(client)
    if whose == "nobody's":
        key = SoftKey()
    elif whose == "eve's":
        eve = browser_of(person("eve"))
        eve.defaults["HTTP_HOST"] = "localhost"
        key = add_key(eve)
    else:
        key.origin = "http://evil.example"
    other = Client(HTTP_HOST="localhost")
    give(other, "ada")
    answer = key.answer(body(other.get(SECOND_FACTOR)))
    refused = other.post(SECOND_FACTOR, {"credential": answer})
    assert refused.status_code == 422
    assert "not one of yours here" in body(refused)
    assert not signed_in(other)
    assert audited()[-1] == "sign-in.failed"


@pytest.mark.parametrize("rubbish", ["", "[]", "{}", "null", '{"id": 1}', "nothing"])
def test_a_key_that_is_none_is_refused_in_words(client: Client, ada: User, rubbish: str) -> None:
    add_key(client)
    other = Client(HTTP_HOST="localhost")
    give(other, "ada")
    for browser, path in ((other, SECOND_FACTOR), (client, "/account/confirm/"), (client, ADD_KEY)):
        browser.get(path)
        answer = browser.post(path, {"credential": rubbish, "name": "x"})
        assert answer.status_code == 422, path
        assert "not one of yours here" in body(answer), path
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_only_ones_own_key_is_removed(client: Client, ada: User) -> None:
    add_key(client)
    key = Authenticator.objects.get(type="webauthn")
    assert browser_of(person("eve")).post(f"/account/keys/{key.pk}/remove/").status_code == 404
    assert has_second_factor(ada)
    assert client.post(f"/account/keys/{key.pk}/remove/")["Location"] == "/account/"
    assert not has_second_factor(ada)
    assert audited() == ["factor.add", "factor.remove"]


def test_a_code_of_an_app_works_once_for_as_long_as_it_is_shown(ada: User) -> None:
    """It is taken for a step more than it is shown, either way: whoever saw it must not use it."""
    give_app(ada)
    code = code_now()
    for expected in (True, False):
        other = Client()
        give(other, "ada")
        other.post(SECOND_FACTOR, {"code": code})
        assert signed_in(other) is expected
        with connection.cursor() as cursor:  # half a minute later, when it still is a right code
            cursor.execute("UPDATE pilothouse_cache SET expires = expires - interval '31 seconds'")


def test_ones_own_key_is_renamed_with_a_proof_and_nobody_elses(client: Client, ada: User) -> None:
    soft = add_key(client)
    key = Authenticator.objects.get(type="webauthn")
    path = f"/account/keys/{key.pk}/rename/"
    assert browser_of(person("eve")).post(path, {"name": "Eve's"}).status_code == 404
    assert path in body(client.get("/account/"))
    assert 'value="Blue"' in body(client.get(path))
    for name in ("", " ", "x" * 101):
        assert client.post(path, {"name": name}).status_code == 422
    before = key.data["credential"]
    answer = client.post(path, {"name": "On my ring", "next": "http://evil.example/"})
    assert answer["Location"] == "/account/"
    key.refresh_from_db()
    assert (str(key), key.data["credential"]) == ("On my ring", before)
    page = body(client.get("/account/"))
    assert "On my ring" in page
    assert "was renamed" in page
    entry = AuditEntry.objects.get(action="factor.rename")
    assert (entry.target, entry.detail["before"]) == ("On my ring", {"name": "Blue"})
    assert browser_of(ada).post(path, {"name": "Mine"}).status_code == 403, "a password is no proof"
    other = Client(headers={"host": "localhost"})
    give(other, "ada")
    credential = soft.answer(body(other.get(SECOND_FACTOR)))
    assert other.post(SECOND_FACTOR, {"credential": credential})["Location"] == "/", "it works on"


# --- Recovery codes ------------------------------------------------------------------------------


def test_recovery_codes_are_shown_once_and_used_once(client: Client, ada: User) -> None:
    page = body(client.get(ADD_APP))
    client.post(ADD_APP, {"code": shown_code(page)})
    codes = re.findall(r"\b\d{8}\b", body(client.get(CODES)))
    assert len(set(codes)) == 10
    again = body(client.get(CODES))
    assert "10 of 10 are left" in again
    assert not set(codes) & set(re.findall(r"\b\d{8}\b", again))
    for expected in (True, False):
        other = Client()
        give(other, "ada")
        other.post(SECOND_FACTOR, {"code": codes[0]})
        assert signed_in(other) is expected


def test_new_recovery_codes_end_the_old_ones(client: Client, ada: User) -> None:
    give_app(ada)
    old, *_ = give_recovery_codes(ada)
    note_proof(client, ada, "mfa")
    assert client.post(f"{CODES}new/")["Location"] == CODES
    assert old not in body(client.get(CODES))
    other = Client()
    give(other, "ada")
    assert other.post(SECOND_FACTOR, {"code": old}).status_code == 422
    assert audited()[0] == "factor.codes"


# --- Who may change them -------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ADD_APP, ADD_KEY, CODES, f"{CODES}new/", REMOVE_APP])
@pytest.mark.parametrize("method", ["get", "post"])
def test_factors_are_changed_and_seen_only_after_a_fresh_proof(
    client: Client, ada: User, path: str, method: str
) -> None:
    if path != ADD_APP:
        give_app(ada)
        give_recovery_codes(ada)
    note_proof(client, ada, "password", ago=PROOF_SECONDS + 1)
    before = factors()
    answer = getattr(client, method)(path)
    assert answer.status_code in ({302} if method == "get" else {403, 405})
    if method == "get":
        assert answer["Location"].startswith("/account/confirm/?next=")
    assert factors() == before
    assert not re.findall(r"\b\d{8}\b", body(answer))


def test_nobody_keeps_these_pages(client: Client, ada: User) -> None:
    for path in (ADD_APP, ADD_KEY):
        assert "no-store" in client.get(path)["Cache-Control"]


# --- The account page ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "app", "advised"),
    [(Role.ADMIN, False, True), (Role.ADMIN, True, False), (Role.VIEWER, False, False)],
)
def test_who_can_do_dangerous_things_is_advised_to_add_a_factor(
    role: Role, app: bool, advised: bool
) -> None:
    user = person("kim", role)
    if app:
        give_app(user)
    assert ("cannot be undone" in body(browser_of(user).get("/account/"))) is advised
