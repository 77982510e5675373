"""The API of access: tokens with bounds, and changes that no token can make."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from access.models import ApiToken, AuditEntry, Grant, Protection, User
from access.policy import Role, Scope
from access.tokens import issue_token, use_link
from clusters.changes import Scale
from clusters.models import Operation
from clusters.operations.carry_out import advance
from tests.unit.panel import (
    MARKS,
    ApiClient,
    browser_of,
    client_of,
    make_cluster,
    make_service,
    make_user,
)

pytestmark = MARKS


@pytest.fixture(autouse=True)
def clusters() -> None:
    make_service(make_cluster("prod"), stack="shop")
    make_cluster("test")


@pytest.fixture
def admin() -> Client:
    return browser_of(make_user(Role.ADMIN))


def call(client: Client, method: str, path: str, body: Any = None) -> Any:
    content = "" if body is None else json.dumps(body)
    return client.generic(method, f"/api/v1/access{path}", content, content_type="application/json")


# --- Changes -------------------------------------------------------------------------------------


def test_a_token_changes_nothing_and_is_told_why() -> None:
    answer = client_of(Role.ADMIN).post("/access/users", {"username": "x"})
    assert answer.status_code == 403
    assert "No token can do “access.manage”" in answer.json()["detail"]
    assert not User.objects.filter(username="x").exists()


def test_a_person_is_made_let_in_and_disabled(admin: Client) -> None:
    answer = call(admin, "POST", "/users", {"username": "kim"})
    assert answer.status_code == 201
    secret = answer.json()["sign_in"].split("/")[-2]
    assert use_link(secret) == User.objects.get(username="kim")
    assert call(admin, "POST", "/users/kim/link").status_code == 201
    shown = call(admin, "PATCH", "/users/kim", {"is_active": False}).json()
    assert shown["is_active"] is False
    assert call(admin, "POST", "/users/kim/link").status_code == 422
    assert call(admin, "PATCH", "/users/kim", {"is_active": True}).json()["is_active"] is True
    assert call(admin, "GET", "/users/ghost").status_code == 404


def test_a_grant_is_given_listed_and_withdrawn(admin: Client) -> None:
    User.objects.create(username="kim")
    until = (timezone.now() + timedelta(days=1)).isoformat()
    asked = {"user": "kim", "role": "on-call", "cluster": "prod", "expires_at": until}
    grant = call(admin, "POST", "/grants", asked).json()
    assert grant["most_replicas"] == Grant.MOST_REPLICAS
    assert [g["id"] for g in call(admin, "GET", "/grants?user=kim").json()["items"]] == [
        grant["id"]
    ]
    assert call(admin, "DELETE", f"/grants/{grant['id']}").status_code == 204
    assert call(admin, "DELETE", f"/grants/{grant['id']}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cluster": "nowhere"}, "cluster"),
        ({"stack": "shop"}, "cluster"),
        ({"group": "ops"}, "user"),
        ({"user": ""}, "user"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"most_replicas": 5}, "most_replicas"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(
    admin: Client, wrong: dict[str, Any], field: str
) -> None:
    User.objects.create(username="kim")
    answer = call(admin, "POST", "/grants", {"user": "kim", "role": "viewer", **wrong})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == field
    assert not Grant.objects.filter(user__username="kim").exists()


@pytest.mark.parametrize("scope", [{}, {"cluster": "test"}, {"cluster": "nowhere"}])
def test_who_manages_a_cluster_gives_nothing_beyond_it(scope: dict[str, str]) -> None:
    User.objects.create(username="kim")
    client = browser_of(make_user(Role.ADMIN, cluster="prod"))
    answer = call(client, "POST", "/grants", {"user": "kim", "role": "viewer", **scope})
    assert answer.status_code == 404
    assert call(client, "POST", "/users", {"username": "x"}).status_code == 404
    assert call(client, "POST", "/groups", {"name": "x"}).status_code == 404


def test_a_group_is_made_filled_and_removed(admin: Client) -> None:
    User.objects.create(username="kim")
    assert call(admin, "POST", "/groups", {"name": "ops"}).status_code == 201
    asked = {"group": "ops", "role": "viewer", "cluster": "prod"}
    assert call(admin, "POST", "/grants", asked).status_code == 201
    shown = call(admin, "PUT", "/groups/ops/members/kim").json()
    assert shown["members"] == ["kim"]
    assert [grant["role"] for grant in shown["grants"]] == ["viewer"]
    assert call(admin, "DELETE", "/groups/ops/members/kim").json()["members"] == []
    assert call(admin, "DELETE", "/groups/ops").status_code == 204
    assert not Group.objects.exists()


def test_a_protection_is_switched_by_who_manages_the_place(admin: Client) -> None:
    client = browser_of(make_user(Role.ADMIN, cluster="prod"))
    assert call(client, "POST", "/protections", {"cluster": "test"}).status_code == 404
    made = call(client, "POST", "/protections", {"cluster": "prod", "stack": "shop"}).json()
    assert (
        call(client, "POST", "/protections", {"cluster": "prod", "stack": "shop"}).status_code
        == 422
    )
    assert call(admin, "GET", "/protections").json()["total"] == 1
    assert call(admin, "DELETE", f"/protections/{made['id']}").status_code == 204
    assert not Protection.objects.exists()


# --- Tokens --------------------------------------------------------------------------------------


def test_a_token_is_issued_below_oneself_and_does_no_more() -> None:
    me = make_user(Role.OPERATOR, cluster="prod")
    asked = {"name": "ci", "days": 5, "role": "viewer", "cluster": "prod", "stack": "shop"}
    answer = call(browser_of(me), "POST", "/tokens", asked)
    assert answer.status_code == 201
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    path = "/api/v1/clusters/prod/services/web"
    assert Client().get(path, headers=headers).status_code == 200
    scale = Client().post(
        f"{path}/scale", '{"replicas": 5}', content_type="application/json", headers=headers
    )
    assert scale.status_code == 403
    assert AuditEntry.objects.get(action="token.issue").detail["after"]["role"] == "viewer"


@pytest.mark.parametrize(
    "asked",
    [
        {"role": "admin", "cluster": "prod"},
        {"role": "viewer"},
        {"role": "viewer", "cluster": "test"},
        {"cluster": "test"},
        {"cluster": "nowhere"},
        {"days": 0},
        {"days": 367},
        {"name": ""},
    ],
)
def test_a_token_beyond_oneself_or_without_an_end_is_refused(asked: dict[str, Any]) -> None:
    me = make_user(Role.OPERATOR, cluster="prod")
    answer = call(browser_of(me), "POST", "/tokens", {"name": "ci", **asked})
    assert answer.status_code == 422
    assert not ApiToken.objects.exists()


def test_issuing_wants_a_fresh_proof() -> None:
    client = Client()
    client.force_login(make_user(Role.VIEWER))
    assert call(client, "POST", "/tokens", {"name": "ci"}).status_code == 403
    assert client.get("/account/tokens/new/").headers["Location"].startswith("/account/confirm/")
    assert not ApiToken.objects.exists()


def test_the_page_shows_a_token_this_once() -> None:
    me = make_user(Role.OPERATOR, cluster="prod")
    client = browser_of(me)
    data = {"name": "ci", "role": "viewer", "place": "prod/shop", "days": 5}
    answer = client.post("/account/tokens/new/", data)
    secret = next(w for w in answer.content.decode().replace("<", ">").split(">") if w[:3] == "ph_")
    assert "no-store" in answer["Cache-Control"]
    assert secret not in client.get("/account/tokens/").content.decode()
    token = ApiToken.objects.get()
    assert (token.role, token.scope) == ("viewer", Scope("prod", "shop"))
    client.post(f"/account/tokens/{token.pk}/revoke/")
    assert ApiToken.objects.get().revoked_at is not None


def test_admins_see_and_revoke_what_lies_in_their_scope() -> None:
    kim = make_user(Role.OPERATOR)
    issue_token(kim, "here", scope=Scope("prod", "shop"))
    issue_token(kim, "there", scope=Scope("test"))
    issue_token(kim, "everywhere")
    client = browser_of(make_user(Role.ADMIN, cluster="prod"))
    listed = call(client, "GET", "/tokens?owner=*").json()["items"]
    assert [token["name"] for token in listed] == ["here"]
    page = client.get("/access/tokens/").content.decode()
    assert "here" in page and "there" not in page
    for token in ApiToken.objects.filter(user=kim).exclude(name="here"):
        assert call(client, "DELETE", f"/tokens/{token.pk}").status_code == 404
    mine = ApiToken.objects.get(name="here")
    assert call(client, "DELETE", f"/tokens/{mine.pk}").status_code == 204
    entry = AuditEntry.objects.get(action="token.revoke")
    assert entry.detail["owner"] == kim.username
    assert ApiToken.objects.filter(revoked_at=None).count() == 2


def test_others_tokens_are_not_there_for_who_manages_nothing() -> None:
    issue_token(make_user(Role.VIEWER), "theirs")
    token = ApiToken.objects.get()
    client = browser_of(make_user(Role.OPERATOR))
    assert call(client, "GET", "/tokens?owner=*").status_code == 403
    assert call(client, "DELETE", f"/tokens/{token.pk}").status_code == 404
    assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


# --- What a token asked for ----------------------------------------------------------------------


def asked_by_token(**of: Any) -> Operation:
    owner = make_user(Role.OPERATOR, cluster="prod")
    secret = issue_token(owner, "ci", **of)
    answer = Client().post(
        "/api/v1/clusters/prod/services/web/scale", json.dumps(Scale(replicas=5).asked()),
        content_type="application/json", headers={"authorization": f"Bearer {secret}"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.content
    operation = Operation.objects.get()
    assert operation.api_token == ApiToken.objects.get()
    return operation


class NoEngine(AssertionError):
    """The operation reached for the engine: it was let through."""


def no_engine(cluster: Any) -> Any:
    raise NoEngine


@pytest.mark.parametrize("how", ["revoked", "expired", "narrowed", "moved", "owner"])
def test_what_a_token_asked_for_begins_only_while_the_token_suffices(how: str) -> None:
    operation = asked_by_token()
    changes: dict[str, dict[str, Any]] = {
        "revoked": {"revoked_at": timezone.now()},
        "expired": {"expires_at": timezone.now()},
        "narrowed": {"role": Role.VIEWER},
        "moved": {"cluster": "test"},
    }
    if how == "owner":
        Grant.objects.filter(user=operation.requested_by).update(role=Role.VIEWER)
    else:
        ApiToken.objects.update(**changes[how])
    advance(str(operation.pk), no_engine, "worker")
    operation.refresh_from_db()
    assert operation.state == Operation.State.FAILED
    assert "withdrawn before it began" in operation.error
    assert AuditEntry.objects.filter(operation=operation.pk, phase="refused").exists()


def test_what_a_token_asked_for_begins_while_it_suffices() -> None:
    operation = asked_by_token(role=Role.OPERATOR, scope=Scope("prod"))
    with pytest.raises(NoEngine):
        advance(str(operation.pk), no_engine, "worker")


def test_a_token_asks_for_nothing_outside_its_scope() -> None:
    owner = make_user(Role.OPERATOR)
    client = ApiClient(owner)
    ApiToken.objects.update(cluster="test")
    answer = client.post("/clusters/prod/services/web/scale", {"replicas": 5})
    assert answer.status_code == 404
    assert not Operation.objects.exists()
