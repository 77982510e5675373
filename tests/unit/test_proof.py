"""Rules of confirming who one is before what a stolen session must not do."""

import json
import re
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from access.authorize import Forbidden, authorize
from access.models import AuditEntry, User
from access.policy import PROOF_SECONDS, STEP_UP, Action, Role
from access.requests import actor_of
from access.tokens import issue_link, issue_token
from controlpanel import problems, urls
from tests.unit.panel import browser_of, note_proof
from tests.unit.signing import (
    PASSWORD,
    audited,
    body,
    code_now,
    give,
    give_app,
    give_recovery_codes,
    person,
)

CONFIRM = "/account/confirm/"
DANGEROUS = "/dangerous/"


def dangerous(request: HttpRequest) -> HttpResponse:
    """A page of the tests' own that asks for what needs a proof."""
    authorize(actor_of(request), Action.ACCESS_MANAGE)
    return HttpResponse("done")


def dangerous_call(request: HttpRequest) -> HttpResponse:
    """The same in the API: its failures are problem documents."""
    try:
        authorize(actor_of(request), Action.ACCESS_MANAGE)
    except Forbidden as failure:
        handler = next(
            problems._HANDLERS[k] for k in type(failure).__mro__ if k in problems._HANDLERS
        )
        return handler(request, failure)
    return HttpResponse("done")


urlpatterns = [
    path("dangerous/", dangerous),
    path("api/dangerous/", dangerous_call),
    path("", include(urls.urlpatterns)),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def ada() -> User:
    return person("ada", Role.ADMIN)


@pytest.fixture
def client(ada: User) -> Client:
    """Ada's browser, some time after she signed in."""
    browser = browser_of(ada)
    note_proof(browser, ada, ago=PROOF_SECONDS + 1)
    return browser


def may(client: Client) -> bool:
    return client.get(DANGEROUS).status_code == 200


# --- What is a proof -----------------------------------------------------------------------------


def test_signing_in_with_a_password_is_a_proof_for_ten_minutes(ada: User) -> None:
    client = Client()
    give(client, "ada")
    assert may(client)
    note_proof(client, ada, ago=PROOF_SECONDS - 5)
    assert may(client)
    note_proof(client, ada, ago=PROOF_SECONDS + 1)
    assert not may(client)


def test_work_does_not_prolong_a_proof(ada: User) -> None:
    client = browser_of(ada)
    note_proof(client, ada, ago=PROOF_SECONDS - 5)
    before = client.session["account_authentication_methods"]
    for _ in range(3):
        assert may(client)
        client.get("/account/")
    assert client.session["account_authentication_methods"] == before


def test_the_proof_of_another_person_in_the_same_browser_is_none(ada: User) -> None:
    give_app(person("eve", Role.ADMIN))
    client = Client()
    give(client, "eve")  # who then owes a second factor
    client.post(f"/sign-in/link/{issue_link(ada)}/")
    assert "ada" in body(client.get("/account/"))
    assert not may(client)


@pytest.mark.parametrize("factor", ["app", "codes alone", "key"])
def test_a_password_is_no_proof_for_who_has_a_second_factor(ada: User, factor: str) -> None:
    client = browser_of(ada)
    if factor == "app":
        give_app(ada)
    elif factor == "key":
        ada.authenticator_set.create(type="webauthn", data={"name": "key", "credential": {}})
    else:
        give_recovery_codes(ada)  # left over: they stand in for a factor that is not there
    assert may(client) is (factor == "codes alone")
    note_proof(client, ada, "mfa")
    assert may(client)


@pytest.mark.parametrize("how", ["link", "provider"])
def test_who_came_without_a_proof_has_none(ada: User, how: str) -> None:
    client = browser_of(ada)
    client.logout()
    if how == "link":
        client.post(f"/sign-in/link/{issue_link(ada)}/")
    else:
        client.force_login(ada)
        note_proof(client, ada, "socialaccount")
    assert not may(client)


def test_who_has_neither_password_nor_factor_is_told_to_set_a_password() -> None:
    """Allauth lets them pass everywhere: did_recently_reauthenticate is True for them."""
    kim = person("kim", Role.ADMIN)
    kim.set_unusable_password()
    kim.save()
    client = Client()
    client.post(f"/sign-in/link/{issue_link(kim)}/")
    for asked in (DANGEROUS, "/account/keys/add/", "/account/authenticator/add/"):
        answer = client.get(asked, follow=True)
        assert "set a password first" in body(answer)
        assert answer.redirect_chain[0][0].startswith(CONFIRM)
    client.post("/account/password/", {"password": PASSWORD, "again": PASSWORD})
    assert not may(client)
    client.post(CONFIRM, {"password": PASSWORD})
    assert may(client)


def test_a_token_can_do_nothing_that_needs_a_proof_however_fresh_its_owners(ada: User) -> None:
    give(Client(), "ada")
    bearer = {"authorization": f"Bearer {issue_token(ada, 'ci')}"}
    answer = Client().delete("/api/v1/clusters/none", headers=bearer)
    assert answer.status_code in (404, 405)
    assert Action.ACCESS_MANAGE in STEP_UP


# --- Asking for it -------------------------------------------------------------------------------


def test_a_page_is_left_for_the_proof_and_found_again(client: Client) -> None:
    asked = client.get(f"{DANGEROUS}?x=1&y=2")
    assert asked.status_code == 302
    page = client.get(asked["Location"])
    assert page.status_code == 200
    assert "Confirm that it is you" in body(page)
    back = re.search(r'name="next" value="([^"]*)"', body(page))
    assert back
    where = back[1].replace("&amp;", "&")
    answer = client.post(CONFIRM, {"password": PASSWORD, "next": where})
    assert answer["Location"] == f"{DANGEROUS}?x=1&y=2"
    assert client.get(answer["Location"]).status_code == 200
    assert audited() == ["proof"]


def test_a_proof_leads_only_to_our_own_pages(client: Client) -> None:
    for aim in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        answer = client.post(CONFIRM, {"password": PASSWORD, "next": aim})
        assert answer["Location"] == "/"


@pytest.mark.parametrize("method", ["get", "post"])
def test_htmx_gets_the_question_in_a_dialog_of_its_own(client: Client, method: str) -> None:
    headers = {"HX-Request": "true", "HX-Target": "dialog"}
    answer = getattr(client, method)(DANGEROUS, {"value": "a secret"}, headers=headers)
    assert answer.status_code == 403
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#proof", "innerHTML")
    assert 'id="proof-body"' in body(answer)
    assert "<html" not in body(answer)
    assert "a secret" not in body(answer)
    proved = client.post(CONFIRM, {"password": PASSWORD}, headers=headers)
    assert (proved.status_code, proved["HX-Trigger"]) == (204, "pilothouse:proven")


def test_htmx_is_told_at_once_that_nothing_need_be_asked(ada: User) -> None:
    answer = browser_of(ada).get(CONFIRM, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Trigger"]) == (204, "pilothouse:proven")


def test_what_was_posted_is_kept_nowhere(client: Client) -> None:
    answer = client.post(
        DANGEROUS, {"value": "hunter2"}, headers={"Referer": "http://testserver/x/"}
    )
    assert answer.status_code == 403
    assert "Nothing was changed" in body(answer)
    assert f'href="{CONFIRM}?next=http%3A%2F%2Ftestserver%2Fx%2F"' in body(answer)
    kept = [json.dumps(session.get_decoded()) for session in Session.objects.all()]
    assert "hunter2" not in body(answer) + "".join(kept)


def test_what_allauth_would_stash_is_kept_nowhere_either(client: Client, ada: User) -> None:
    give_app(ada)
    client.post("/account/authenticator/remove/", {"value": "hunter2"})
    kept = [json.dumps(session.get_decoded()) for session in Session.objects.all()]
    assert "hunter2" not in "".join(kept)


def test_the_api_tells_a_missing_proof_from_a_missing_right(client: Client) -> None:
    answer = client.get("/api/dangerous/")
    assert answer.status_code == 403
    told = answer.json()
    assert told["type"] == "urn:pilothouse:problem:proof-needed"
    assert (told["action"], told["confirm"]) == ("access.manage", CONFIRM)
    viewer = browser_of(person("eve", Role.VIEWER)).get("/api/dangerous/")
    assert viewer.json()["type"] == "urn:pilothouse:problem:forbidden"


def test_who_is_not_signed_in_is_asked_to_sign_in_first() -> None:
    for asked in (CONFIRM, DANGEROUS, "/account/keys/add/", "/account/recovery-codes/"):
        assert Client().get(asked)["Location"].startswith("/sign-in/?next=")


# --- Giving it -----------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_noted_and_throttled(client: Client) -> None:
    for _ in range(5):
        answer = client.post(CONFIRM, {"password": "wrong"})
        assert answer.status_code == 422
        assert "not your password" in body(answer)
    assert "Too many failed attempts" in body(client.post(CONFIRM, {"password": PASSWORD}))
    client.post(CONFIRM, {"password": PASSWORD})
    assert not may(client)
    assert audited() == ["proof.failed"] * 6
    assert AuditEntry.objects.latest("id").outcome == "throttled", "once, however often"


def test_codes_prove_and_wrong_ones_are_throttled(client: Client, ada: User) -> None:
    give_app(ada)
    assert client.post(CONFIRM, {"code": code_now()})["Location"] == "/"
    assert may(client)
    note_proof(client, ada, "mfa", ago=PROOF_SECONDS + 1)
    for _ in range(5):
        assert "not a code of yours" in body(client.post(CONFIRM, {"code": "000000"}))
    spare, *_ = give_recovery_codes(ada)
    for _ in range(3):
        assert "Too many failed attempts" in body(client.post(CONFIRM, {"code": spare}))
    assert not may(client)
    assert audited() == ["proof", *["proof.failed"] * 6]
    assert AuditEntry.objects.filter(outcome="throttled", actor=ada).count() == 1


def test_a_recovery_code_proves(client: Client, ada: User) -> None:
    give_app(ada)
    spare, *_ = give_recovery_codes(ada)
    client.post(CONFIRM, {"code": spare})
    assert may(client)


def test_the_password_is_not_even_looked_at_where_a_factor_is_owed(
    client: Client, ada: User
) -> None:
    give_app(ada)
    answer = client.post(CONFIRM, {"password": PASSWORD})
    assert answer.status_code == 422
    assert 'name="password"' not in body(answer)
    assert not may(client)


def test_a_provider_that_knows_one_is_offered_to_who_has_nothing_else(settings: Any) -> None:
    settings.OIDC_ISSUER, settings.OIDC_NAME = "https://sso.example", "Example SSO"
    kim = person("kim", Role.ADMIN)
    kim.set_unusable_password()
    kim.save()
    SocialAccount.objects.create(user=kim, provider="https://sso.example", uid="1")
    client = Client()
    client.force_login(kim)
    page = body(client.get(CONFIRM))
    assert "Confirm with Example SSO" in page
    assert "set a password" not in page
