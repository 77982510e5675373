"""Rules of signing in at an identity provider, with a small one that speaks HTTP."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from access.authorize import allowed
from access.authorize import may as may_do
from access.models import AuditEntry, Grant, User
from access.policy import PROOF_SECONDS, Action, Role, Scope
from tests.servers.oidc import CLIENT, SECRET, Provider, _new_key, running_provider
from tests.unit.panel import note_proof
from tests.unit.signing import SECOND_FACTOR, audited, body, give_app, person, signed_in

pytestmark = pytest.mark.django_db
SIGN_IN, CALLBACK = "/sign-in/provider/", "/sign-in/provider/callback/"


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(server: Provider, settings: Any) -> Provider:
    """It knows one person, and tells the truth."""
    server.person = {"sub": "s-1", "preferred_username": "ada", "name": "Ada L", "groups": []}
    server.claims, server.userinfo, server.answers = {}, {}, {}
    server.signs_with = server.key
    server.asked.clear()
    set_up(settings, server.issuer)
    return server


def set_up(settings: Any, issuer: str) -> None:
    settings.OIDC_ISSUER, settings.OIDC_NAME = issuer, "Example SSO"
    app = {
        "provider_id": issuer, "name": "Example SSO", "client_id": CLIENT, "secret": SECRET,
        "settings": {"server_url": issuer},
    }  # fmt: skip
    given = {**settings.SOCIALACCOUNT_PROVIDERS["openid_connect"], "APPS": [app]}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": given}


def leave(client: Client, path: str = SIGN_IN, **extra: str) -> str:
    """Press the button: the provider's address that the browser goes to."""
    page = body(client.post(path, extra))
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page)
    assert found, page
    return unescape(found[1])


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def visit(address: str) -> str:
    """Sign in at the provider: our address that it sends the browser back to."""
    try:
        urllib.request.build_opener(_Stay).open(address, timeout=10)
    except urllib.error.HTTPError as answer:
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"
    raise AssertionError("it did not send the browser back")


def come(client: Client, path: str = SIGN_IN, **extra: str) -> Any:
    return client.get(visit(leave(client, path, **extra)))


# --- Who comes in --------------------------------------------------------------------------------


def test_a_new_person_is_made_without_any_grant(provider: Provider) -> None:
    client = Client()
    assert come(client)["Location"] == "/"
    assert signed_in(client)
    user = User.objects.get()
    assert (user.username, user.has_usable_password(), user.email) == ("ada", False, "")
    assert allowed(user) == frozenset()
    assert audited() == ["access.join", "sign-in"]
    assert AuditEntry.objects.first().detail == {"by": ["socialaccount"]}


def test_a_person_is_known_by_the_subject_whatever_they_are_called(provider: Provider) -> None:
    come(Client())
    provider.person = {"sub": "s-1", "preferred_username": "countess", "email": "x@y.example"}
    client = Client()
    come(client)
    assert signed_in(client)
    assert User.objects.get().username == "ada"


def test_an_equal_name_or_address_takes_no_account_over(provider: Provider) -> None:
    local = person("ada", Role.ADMIN)
    User.objects.filter(pk=local.pk).update(email="ada@example.org")
    provider.person |= {"email": "ada@example.org", "email_verified": True}
    client = Client()
    come(client)
    assert signed_in(client)
    other = User.objects.exclude(pk=local.pk).get()
    assert other.username != "ada"
    assert SocialAccount.objects.get().user == other
    assert allowed(other) == frozenset()


def test_another_issuers_subject_is_another_person(provider: Provider) -> None:
    SocialAccount.objects.create(user=person("eve"), provider="http://else.example", uid="s-1")
    come(Client())
    assert User.objects.get(socialaccount__provider=provider.issuer).username == "ada"


def test_the_page_that_one_wanted_is_found_again(provider: Provider) -> None:
    assert come(Client(), next="/operations/")["Location"] == "/operations/"
    assert come(Client(), next="https://evil.example/")["Location"] == "/"


def test_a_second_factor_of_ones_own_is_still_asked_for(provider: Provider) -> None:
    come(Client())
    give_app(User.objects.get())
    client = Client()
    assert come(client)["Location"] == SECOND_FACTOR
    assert not signed_in(client)


def test_a_disabled_account_stays_out(provider: Provider) -> None:
    come(Client())
    User.objects.update(is_active=False)
    client = Client()
    answer = come(client)
    assert answer.status_code == 403
    assert "disabled" in body(answer)
    assert not signed_in(client)


def test_who_comes_by_the_provider_can_set_no_password(provider: Provider) -> None:
    """With one they could come in when the provider no longer lets them."""
    client = Client()
    come(client)
    answer = client.post("/account/password/", {"password": "x" * 20, "again": "x" * 20})
    assert answer["Location"] == "/account/"
    assert not User.objects.get().has_usable_password()


# --- Groups --------------------------------------------------------------------------------------


def test_groups_are_exactly_those_of_the_claim_at_every_sign_in(provider: Provider) -> None:
    shop, ops = Group.objects.create(name="shop"), Group.objects.create(name="ops")
    Group.objects.create(name="Shop")  # another
    Grant.objects.create(group=shop, role=Role.OPERATOR, cluster="prod")
    provider.person["groups"] = ["shop", "unheard-of", 7, None]
    come(Client())
    user = User.objects.get()
    assert set(user.groups.all()) == {shop}
    assert may_do(user, Action.SERVICE_SCALE, Scope("prod"))
    provider.person["groups"] = ["ops"]
    come(Client())
    assert set(user.groups.all()) == {ops}
    del provider.person["groups"]
    come(Client())
    assert set(user.groups.all()) == set()
    assert not Group.objects.filter(name="unheard-of").exists()
    noted = AuditEntry.objects.filter(action="access.groups").order_by("id")
    assert [entry.detail for entry in noted] == [
        {"added": ["shop"], "withdrawn": []},
        {"added": ["ops"], "withdrawn": ["shop"]},
        {"added": [], "withdrawn": ["ops"]},
    ]


@pytest.mark.parametrize("claim", ["shop", {"shop": 1}, None, 7, ["shop "], ["SHOP"], [["shop"]]])
def test_a_claim_that_is_no_list_of_names_gives_nothing(provider: Provider, claim: Any) -> None:
    Group.objects.create(name="shop")
    provider.person["groups"] = claim
    come(Client())
    assert not User.objects.get().groups.exists()


def test_without_a_claim_in_the_settings_groups_are_the_panels(
    provider: Provider, settings: Any
) -> None:
    settings.OIDC_GROUPS_CLAIM = ""
    come(Client())
    user = User.objects.get()
    user.groups.add(Group.objects.create(name="ops"))
    come(Client())
    assert user.groups.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_change_of_groups_is_told_to_open_sockets(provider: Provider) -> None:
    Group.objects.create(name="shop")
    with connection.cursor() as cursor:
        cursor.execute("LISTEN pilothouse_revoked")
    provider.person["groups"] = ["shop"]
    come(Client())
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    told = [note.payload for note in connection.connection.notifies(timeout=5, stop_after=1)]
    assert told == [str(User.objects.get().pk)]


# --- What is asked, and what is refused ----------------------------------------------------------


def test_state_nonce_and_pkce_go_along_and_are_new_each_time(provider: Provider) -> None:
    asked = [parse_qs(urlsplit(leave(Client())).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 16
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert asked[0]["scope"][0].split() in (["openid", "profile"], ["profile", "openid"])


def refused(client: Client, answer: Any) -> bool:
    return answer.status_code >= 400 and not signed_in(client) and not User.objects.exists()


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1"},
        {"exp": 1},
        {"exp": ...},  # it has none
        {"sub": "s-2"},
    ],
    ids=str,
)
def test_a_token_for_somebody_or_something_else_is_refused(provider: Provider, lie: Any) -> None:
    provider.claims = lie
    client = Client()
    answer = come(client)
    assert refused(client, answer)
    assert "is not one that can be trusted" in body(answer)


def test_a_token_with_another_signature_is_refused(provider: Provider) -> None:
    provider.signs_with = _new_key()
    client = Client()
    assert refused(client, come(client))


def test_user_information_of_another_person_is_refused(provider: Provider) -> None:
    provider.userinfo = {"sub": "s-2"}
    client = Client()
    assert refused(client, come(client))


def test_an_answer_to_another_browser_is_refused(provider: Provider) -> None:
    attacker, victim = Client(), Client()
    back = visit(leave(attacker))
    assert refused(victim, victim.get(back))


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=x", "?error=access_denied"])
def test_a_call_back_that_nobody_began_is_refused(provider: Provider, query: str) -> None:
    client = Client()
    answer = client.get(CALLBACK + query)
    assert refused(client, answer)
    assert "was not found" in body(answer)


def test_an_answer_is_taken_once(provider: Provider) -> None:
    client = Client()
    back = visit(leave(client))
    client.get(back)
    assert client.get(back).status_code == 400


def test_cancelling_at_the_provider_is_told_as_such(provider: Provider) -> None:
    client = Client()
    state = parse_qs(urlsplit(leave(client)).query)["state"][0]
    answer = client.get(f"{CALLBACK}?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "You cancelled it" in body(answer)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/.well-known/openid-configuration", {}),
        ("/.well-known/openid-configuration", {"issuer": "http://else.example"}),
        ("/token", {"error": "invalid_client"}),
        ("/token", {"access_token": "a"}),
        ("/token", {"access_token": "a", "id_token": "x"}),
        ("/userinfo", {}),
        ("/userinfo", {"error": "x"}),
        ("/keys", {}),
        ("/keys", {"keys": []}),
        ("/keys", {"keys": [{"kty": "RSA"}]}),
    ],
    ids=str,
)
def test_a_provider_that_answers_nonsense_is_told_as_such(
    provider: Provider, path: str, told: Any
) -> None:
    client = Client()
    if "well-known" in path:
        provider.answers = {path: told}
        answer = client.post(SIGN_IN)
    else:
        back = visit(leave(client))
        provider.answers = {path: told}
        answer = client.get(back)
    assert answer.status_code in (502, 503)
    assert refused(client, answer)
    assert "Example SSO did not let you in" in body(answer)
    assert SECRET not in body(answer)


def test_a_provider_that_is_down_is_told_as_such(provider: Provider, settings: Any) -> None:
    set_up(settings, "http://127.0.0.1:1")
    answer = Client().post(SIGN_IN)
    assert answer.status_code == 503
    assert "does not answer" in body(answer)


def test_the_way_there_takes_a_post_with_a_token(provider: Provider) -> None:
    assert Client().get(SIGN_IN).status_code == 405
    assert Client(enforce_csrf_checks=True).post(SIGN_IN).status_code == 403
    assert provider.asked == []


def test_nobody_connects_a_provider_to_an_account_that_is_signed_in(provider: Provider) -> None:
    client = Client()
    client.force_login(person("eve"))
    client.get(visit(leave(client, f"{SIGN_IN}?process=connect")))
    assert not SocialAccount.objects.filter(user__username="eve").exists()


def test_without_a_provider_there_is_no_way_to_one(settings: Any) -> None:
    assert settings.OIDC_ISSUER == ""
    for client in (Client(), Client()):
        assert client.post(SIGN_IN).status_code == 404
        assert client.get(CALLBACK).status_code == 404
        assert "provider" not in body(client.get("/sign-in/"))


# --- Proofs --------------------------------------------------------------------------------------


def proving(provider: Provider) -> tuple[Client, User]:
    client = Client()
    come(client)
    user = User.objects.get()
    note_proof(client, user, "socialaccount", ago=PROOF_SECONDS + 1)
    return client, user


def may(client: Client) -> bool:
    return client.get("/account/keys/add/").status_code == 200


def test_having_signed_in_there_is_no_proof(provider: Provider) -> None:
    client = Client()
    come(client)
    assert not may(client)


def test_a_proof_is_asked_anew_and_leads_back(provider: Provider) -> None:
    client, _ = proving(provider)
    address = leave(client, "/account/confirm/provider/", next="/account/keys/add/")
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert client.get(visit(address))["Location"] == "/account/keys/add/"
    assert may(client)
    assert audited()[-1] == "proof"


def test_in_a_dialog_it_is_given_in_another_tab_and_nothing_typed_is_lost(
    provider: Provider,
) -> None:
    client, _ = proving(provider)
    dialog = body(client.get("/account/confirm/", headers={"HX-Request": "true"}))
    assert 'target="_blank"' in dialog
    assert "opens in a new tab" in dialog
    assert 'name="next" value="/account/confirm/done/"' in dialog
    assert 'target="_blank"' not in body(client.get("/account/confirm/")), "a page can be left"
    address = leave(client, "/account/confirm/provider/", next="/account/confirm/done/")
    assert client.get(visit(address))["Location"] == "/account/confirm/done/"
    assert "data-proven-here" in body(client.get("/account/confirm/done/"))
    assert may(client)


@pytest.mark.parametrize("auth_time", [None, 1, "now", int(time.time()) - 3600])
def test_a_provider_that_did_not_ask_anew_proves_nothing(
    provider: Provider, auth_time: Any
) -> None:
    client, _ = proving(provider)
    provider.claims = {"auth_time": auth_time}
    answer = come(client, "/account/confirm/provider/")
    assert answer.status_code == 403
    assert not may(client)


def test_the_proof_of_another_person_is_none(provider: Provider) -> None:
    client, user = proving(provider)
    provider.person = {"sub": "s-2", "preferred_username": "eve"}
    answer = come(client, "/account/confirm/provider/")
    assert answer.status_code == 403
    assert not may(client)
    assert list(User.objects.all()) == [user]


def test_the_provider_is_no_proof_for_who_has_a_second_factor(provider: Provider) -> None:
    client, user = proving(provider)
    give_app(user)
    come(client, "/account/confirm/provider/")
    assert not may(client)
