"""Rules of the whole API: who is let in, what failures look like, and which role may do what."""

import json
import logging
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from access.models import ApiToken, AuditEntry, User
from access.policy import Role
from access.tokens import issue_token
from clusters.models import Cluster, Operation
from tests.unit.panel import (
    MARKS,
    ApiClient,
    browser_of,
    client_of,
    make_cluster,
    make_config,
    make_secret,
    make_service,
    make_user,
)

pytestmark = MARKS

WEB = "/clusters/local/services/web"
SECRET, CONFIG = "/clusters/local/secrets/password", "/clusters/local/configs/settings"
OPERATION = "/operations/00000000-0000-4000-8000-000000000001"


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.content)
    assert problem["status"] == status
    assert problem["title"] and problem["detail"] and problem["type"] and problem["instance"]
    assert "Traceback" not in answer.content.decode()
    return problem


ENGINE = "tcp://192.0.2.1:2376"
TLS = {"ca": "x", "certificate": "x", "key": "x"}


# --- Who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer "},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer a b"},
    ],
)
def test_without_a_good_credential_nobody_is_let_in(headers: dict[str, str]) -> None:
    answer = Client().get("/api/v1/clusters", headers=headers)
    assert_problem(answer, 401)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_in_the_address_is_no_credential() -> None:
    token = issue_token(make_user(Role.ADMIN), "t")
    for name in ("token", "access_token", "api_key", "key"):
        assert_problem(Client().get("/api/v1/clusters", {name: token}), 401)


@pytest.mark.parametrize(
    "ending",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_token_that_ended_opens_nothing(ending: dict[str, Any]) -> None:
    client = client_of(Role.ADMIN)
    assert client.get("/clusters").status_code == 200
    ApiToken.objects.update(**ending)
    assert_problem(client.get("/clusters"), 401)


def test_a_disabled_user_has_no_working_token() -> None:
    client = client_of(Role.ADMIN)
    User.objects.update(is_active=False)
    assert_problem(client.get("/clusters"), 401)


def test_a_bad_token_is_not_made_good_by_a_session() -> None:
    browser = Client()
    browser.force_login(make_user(Role.ADMIN))
    assert browser.get("/api/v1/clusters").status_code == 200
    answer = browser.get("/api/v1/clusters", headers={"authorization": "Bearer wrong"})
    assert_problem(answer, 401)


def test_a_session_may_write_only_with_its_csrf_token() -> None:
    browser = browser_of(make_user(Role.ADMIN), enforce_csrf_checks=True)
    body = {"name": "t", "days": 1}
    post = {"path": "/api/v1/access/tokens", "data": body, "content_type": "application/json"}
    assert_problem(browser.post(**post), 403)
    browser.get("/docs")  # sets the cookie
    token = browser.cookies["csrftoken"].value
    assert browser.post(**post, headers={"X-CSRFToken": token}).status_code == 201


# --- What failures look like ---------------------------------------------------------------------


def test_an_unknown_address_is_a_problem() -> None:
    for path in ("/api/", "/api/v2/clusters", "/api/v1/nothing", "/api/v1/clusters/", "/api/v1"):
        assert_problem(Client().get(path), 404)
    assert_problem(client_of(Role.ADMIN).get("/operations/not-a-uuid"), 404)
    assert_problem(Client(enforce_csrf_checks=True).post("/api/v1/nothing"), 404)


def test_a_method_that_is_not_there_names_those_that_are() -> None:
    answer = client_of(Role.ADMIN).request("DELETE", "/clusters")
    assert_problem(answer, 405)
    assert answer["Allow"] == "GET, POST"


def test_what_an_address_does_not_know_is_refused() -> None:
    admin = client_of(Role.ADMIN)
    assert "colour" in assert_problem(admin.get("/clusters", colour="red"), 422)["detail"]
    assert_problem(admin.request("GET", "/clusters?page=1&page=2"), 422)
    assert_problem(admin.get("/operations", cluster="a\0b"), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"replicas": NaN}',
        b'{"replicas": Infinity}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"replicas": ' + b"9" * 5000 + b"}",
        b'{"\\ud800": 1}',
        b'{"a": ["\\u0000"]}',
    ],
)
def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    make_service(make_cluster())
    assert_problem(client_of(Role.OPERATOR).post(f"{WEB}/scale", body), 400)


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_json_that_is_no_object_is_refused(body: Any) -> None:
    make_service(make_cluster())
    answer = client_of(Role.OPERATOR).post(f"{WEB}/scale", json.dumps(body).encode())
    assert_problem(answer, 422)


def test_a_body_that_is_too_large_is_refused(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    make_service(make_cluster())
    body = {"env": {"A": "x" * 1000}}
    assert_problem(client_of(Role.OPERATOR).post(f"{WEB}/update", body), 413)


def _broken(error: Exception) -> Any:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    return fail


def test_a_database_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(Role.VIEWER)
    monkeypatch.setattr(
        "clusters.api.clusters.clusters_seen_by", _broken(OperationalError("secret dsn"))
    )
    answer = client.get("/clusters")
    problem = assert_problem(answer, 503)
    assert "secret dsn" not in problem["detail"]
    assert answer["Retry-After"]


def test_a_bug_of_ours_is_logged_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(Role.VIEWER)
    monkeypatch.setattr(
        "clusters.api.clusters.clusters_seen_by", _broken(RuntimeError("secret detail"))
    )
    with caplog.at_level(logging.ERROR):
        problem = assert_problem(client.get("/clusters"), 500)
    assert "secret detail" not in json.dumps(problem)
    assert "secret detail" in caplog.text


# --- Which role may do what ----------------------------------------------------------------------

VALUE = {"value": "new"}
READ = (200, 200, 200, 401)  # viewer, operator, admin, nobody
ADMINS = (403, 403, 200, 401)
BY_HAND = (403, 403, 403, 401)  # needs a proof of who one is, which no token can give
ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN, None)
MATRIX: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int]]] = {
    ("GET", "/clusters"): (None, READ),
    ("GET", "/clusters/local"): (None, READ),
    ("POST", "/clusters"): ({"name": "new", "addresses": [ENGINE]}, (403, 403, 201, 401)),
    ("POST", "/clusters/bare/swarm/init"): ({"advertise": "192.0.2.1"}, (403, 403, 202, 401)),
    ("GET", "/clusters/local/timeline"): (None, READ),
    ("GET", "/clusters/local/services"): (None, READ),
    ("GET", WEB): (None, READ),
    ("GET", f"{WEB}/logs"): (None, (403, 503, 503, 401)),  # no engine answers here
    ("POST", f"{WEB}/scale"): ({"replicas": 5}, (403, 202, 202, 401)),
    ("POST", f"{WEB}/scale?dry_run=true"): ({"replicas": 5}, (403, 200, 200, 401)),
    ("POST", f"{WEB}/update"): ({"image": "lab/web:2"}, (403, 202, 202, 401)),
    ("POST", f"{WEB}/rollback"): ({"revision": 1}, (403, 422, 422, 401)),  # nothing to go back to
    ("POST", f"{WEB}/restart"): (None, (403, 202, 202, 401)),
    ("POST", f"{WEB}/resume"): (None, (403, 422, 422, 401)),  # nothing was stopped
    # No source of metrics is set here.
    ("GET", f"{WEB}/metrics"): (None, (404, 404, 404, 401)),
    ("GET", "/clusters/local/metrics/source"): (None, (403, 403, 404, 401)),
    ("PUT", "/clusters/local/metrics/source"): (
        {"address": "http://192.0.2.1:9090"},
        (403, 403, 200, 401),
    ),
    ("PUT", "/clusters/local/metrics/mapping"): ({"cpu": "cpu"}, (403, 403, 404, 401)),
    ("DELETE", "/clusters/local/metrics/source"): (None, (403, 403, 404, 401)),
    ("GET", "/clusters/local/panels"): (None, READ),
    ("POST", "/clusters/local/panels"): ({"title": "t", "query": "up"}, (403, 201, 201, 401)),
    ("PATCH", "/clusters/local/panels/0"): ({"title": "t"}, (403, 404, 404, 401)),
    ("DELETE", "/clusters/local/panels/0"): (None, (403, 404, 404, 401)),
    # Whoever sees no secret finds none; a token has no proof of who its owner is.
    ("GET", "/clusters/local/secrets"): (None, (404, 200, 200, 401)),
    ("POST", "/clusters/local/secrets"): (VALUE | {"name": "n"}, (404, 403, 403, 401)),
    ("GET", SECRET): (None, (404, 200, 200, 401)),
    ("POST", f"{SECRET}/rotate"): (VALUE, (404, 403, 403, 401)),
    ("POST", f"{SECRET}/rotate?dry_run=true"): (VALUE, (404, 403, 403, 401)),
    ("DELETE", SECRET): (None, (404, 403, 403, 401)),
    ("GET", "/clusters/local/configs"): (None, (404, 200, 200, 401)),
    ("POST", "/clusters/local/configs"): (VALUE | {"name": "n"}, (404, 503, 503, 401)),
    ("GET", CONFIG): (None, (404, 200, 200, 401)),
    ("GET", f"{CONFIG}/data"): (None, (404, 200, 200, 401)),
    ("POST", f"{CONFIG}/rotate"): (VALUE, (404, 202, 202, 401)),  # its worker will see
    ("POST", f"{CONFIG}/rotate?dry_run=true"): (VALUE, (404, 200, 200, 401)),
    ("DELETE", CONFIG): (None, (404, 403, 403, 401)),
    ("GET", "/operations"): (None, READ),
    ("GET", OPERATION): (None, READ),
    ("POST", f"{OPERATION}/approve"): ({}, (403, 403, 403, 401)),  # never with a token
    ("POST", f"{OPERATION}/decline"): ({}, (403, 403, 403, 401)),
    ("POST", f"{OPERATION}/cancel"): ({"how": "stop"}, (403, 202, 202, 401)),
    ("GET", "/audit"): (None, (403, 403, 403, 401)),  # a role of its own
    ("GET", "/audit/export"): (None, (403, 403, 403, 401)),
    ("GET", "/audit/heads"): (None, (403, 403, 403, 401)),
    ("GET", "/audit/verify"): (None, (403, 403, 403, 401)),
    ("GET", "/access/tokens"): (None, READ),
    ("POST", "/access/tokens"): ({"name": "t"}, (403, 403, 403, 401)),  # not with a token
    ("DELETE", "/access/tokens/0"): (None, (404, 404, 404, 401)),
    ("GET", "/access/users"): (None, ADMINS),
    ("POST", "/access/users"): ({"username": "new"}, BY_HAND),
    ("GET", "/access/users/kim"): (None, ADMINS),
    ("PATCH", "/access/users/kim"): ({"is_active": False}, BY_HAND),
    ("POST", "/access/users/kim/link"): (None, BY_HAND),
    ("GET", "/access/users/kim/rights"): (None, ADMINS),
    ("GET", "/access/grants"): (None, ADMINS),
    ("POST", "/access/grants"): ({"user": "kim", "role": "viewer"}, BY_HAND),
    ("DELETE", "/access/grants/0"): (None, BY_HAND),
    ("GET", "/access/groups"): (None, ADMINS),
    ("POST", "/access/groups"): ({"name": "new"}, BY_HAND),
    ("GET", "/access/groups/ops"): (None, ADMINS),
    ("DELETE", "/access/groups/ops"): (None, BY_HAND),
    ("PUT", "/access/groups/ops/members/kim"): (None, BY_HAND),
    ("DELETE", "/access/groups/ops/members/kim"): (None, BY_HAND),
    ("GET", "/access/who?action=service.scale"): (None, ADMINS),
    ("GET", "/access/protections"): (None, ADMINS),
    ("POST", "/access/protections"): ({"cluster": "local"}, BY_HAND),
    ("DELETE", "/access/protections/0"): (None, BY_HAND),
    ("GET", "/access/emergencies"): (None, READ),
    ("POST", "/access/emergencies"): ({"reason": "All is down."}, BY_HAND),
    ("GET", "/access/emergencies/0"): (None, (404, 404, 404, 401)),
    ("POST", "/access/emergencies/0/end"): (None, (404, 404, 404, 401)),
    ("POST", "/access/emergencies/0/review"): (
        {"review": "It was needed."},
        (404, 404, 404, 401),
    ),
}


@pytest.mark.parametrize("number", range(4), ids=[str(role) for role in ROLES])
@pytest.mark.parametrize(("method", "path"), MATRIX)
def test_roles(method: str, path: str, number: int) -> None:
    cluster = make_cluster()
    make_service(cluster)
    make_secret(cluster)
    make_config(cluster)
    make_cluster("bare", Cluster.State.NOT_A_SWARM)
    Operation.objects.create(
        id=OPERATION.removeprefix("/operations/"), kind="scale", cluster=cluster, target="other",
        target_id="other", requested_by=make_user(),
    )  # fmt: skip
    User.objects.create(username="kim").groups.create(name="ops")
    body, expected = MATRIX[method, path]
    role = ROLES[number]
    client = client_of(role) if role else ApiClient(None)
    answer = client.post(path, body) if method == "POST" else client.request(method, path, body)
    assert answer.status_code == expected[number], answer.content


def test_every_operation_of_the_document_stands_in_the_matrix() -> None:
    document = client_of(Role.VIEWER).get("/openapi.json").json()
    documented = {(m.upper(), p) for p, methods in document["paths"].items() for m in methods}
    tried = {(method, _template(path.partition("?")[0])) for method, path in MATRIX}
    assert tried == documented


def _template(path: str) -> str:
    for name, value in (
        ("/clusters/{cluster}/services/{service}", WEB),
        ("/clusters/{cluster}/secrets/{secret}", SECRET),
        ("/clusters/{cluster}/configs/{config}", CONFIG),
        ("/clusters/{cluster}", "/clusters/local"),
        ("/clusters/{cluster}", "/clusters/bare"),
        ("/operations/{operation}", OPERATION),
        ("/tokens/{token}", "/tokens/0"),
        ("/users/{name}", "/users/kim"),
        ("/grants/{grant}", "/grants/0"),
        ("/members/{user}", "/members/kim"),
        ("/groups/{name}", "/groups/ops"),
        ("/protections/{protection}", "/protections/0"),
        ("/emergencies/{emergency}", "/emergencies/0"),
        ("/panels/{panel}", "/panels/0"),
    ):
        path = path.replace(value, name)
    return f"/api/v1{path}"


def test_forbidden_equals_absent_to_one_who_may_not_even_look() -> None:
    make_service(make_cluster())
    nobody = ApiClient(make_user())
    for path in (f"{WEB}/scale", "/clusters/local/services/ghost/scale"):
        assert_problem(nobody.post(path, {"replicas": 1}), 404)
    assert_problem(nobody.get("/audit"), 404)


# --- The audit trail, tokens, clusters -----------------------------------------------------------


def test_an_auditor_of_one_cluster_finds_no_other() -> None:
    make_cluster()
    auditor = client_of(Role.AUDITOR, cluster="local")
    assert auditor.get("/audit", cluster="local").status_code == 200
    assert auditor.get("/audit").status_code == 200
    assert auditor.get("/audit", cluster="other").status_code == 404


def test_ones_tokens_are_ones_own() -> None:
    mine, other = make_user(Role.VIEWER), make_user(Role.VIEWER)
    issue_token(other, "theirs")
    client = ApiClient(mine)
    listed = client.get("/access/tokens").json()["items"]
    assert [token["name"] for token in listed] == ["test"]
    theirs = ApiToken.objects.get(name="theirs").pk
    assert_problem(client.request("DELETE", f"/access/tokens/{theirs}"), 404)
    assert client.request("DELETE", f"/access/tokens/{listed[0]['id']}").status_code == 204
    assert_problem(client.get("/access/tokens"), 401)
    assert AuditEntry.objects.get(action="token.revoke").target == "test"


def test_issue_token_prints_a_token_that_works() -> None:
    make_cluster()
    user = make_user(Role.VIEWER)
    printed = StringIO()
    call_command("issue_token", user.username, "--days", "1", stdout=printed)
    headers = {"authorization": f"Bearer {printed.getvalue().strip()}"}
    assert Client().get("/api/v1/clusters/local", headers=headers).status_code == 200


def test_a_printed_token_is_kept_to_its_role_and_place() -> None:
    make_cluster()
    user = make_user(Role.ADMIN)
    asked = ("--role", "viewer", "--cluster", "elsewhere")
    call_command("issue_token", user.username, *asked, stdout=StringIO())
    token = ApiToken.objects.get()
    assert (token.role, token.cluster) == ("viewer", "elsewhere")
    assert AuditEntry.objects.get(action="token.issue").detail["after"]["owner"] == user.username


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("ghost",), "no user named ghost"), (("{user}", "--days", "0"), "--days must be 1 to 366")],
)
def test_issue_token_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    user = make_user()
    with pytest.raises(CommandError, match=said):
        call_command("issue_token", *[part.format(user=user.username) for part in arguments])
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a b", "addresses": ["tcp://192.0.2.1:2376"]}, "name"),
        ({"name": "a", "addresses": []}, "addresses"),
        ({"name": "a", "addresses": ["http://host"]}, "addresses.0"),
        ({"name": "a", "addresses": ["tcp://host"]}, "addresses.0"),
        ({"name": "a", "addresses": ["ssh://me:password@host"]}, "addresses.0"),
        ({"name": "a", "addresses": ["ssh://-oProxyCommand=x"]}, "addresses.0"),
        ({"name": "a", "addresses": ["tcp://h:1"], "tls": {**TLS, "ca": "x"}}, "tls.ca"),
        ({"name": "local", "addresses": ["tcp://192.0.2.1:2376"]}, "name"),
    ],
)  # fmt: skip
def test_a_cluster_that_makes_no_sense_is_not_registered(body: Any, field: str) -> None:
    make_cluster()
    problem = assert_problem(client_of(Role.ADMIN).post("/clusters", body), 422)
    assert problem["errors"][0]["field"] == field
    assert Cluster.objects.count() == 1


def test_an_operation_that_is_not_there_is_absent() -> None:
    assert_problem(client_of(Role.VIEWER).get(f"/operations/{uuid4()}"), 404)


def test_an_unknown_host_gets_a_problem_document() -> None:
    answer = Client().get("/api/v1/clusters", headers={"host": "elsewhere.example"})
    assert_problem(answer, 400)
