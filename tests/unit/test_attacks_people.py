"""Attacks on invitations, on the access of who has left, and on the rule of two persons.

The numbers are those of test_attacks.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from access.models import ApiToken, AuditEntry, Grant, Protection, SignInLink, User
from access.policy import Role
from access.tokens import issue_token
from clusters.api import objects as api_objects
from clusters.models import Approval, Operation, Service
from tests.unit.panel import (
    ANSWER,
    MARKS,
    browser_of,
    make_cluster,
    make_secret,
    make_service,
    make_user,
    mounted,
)
from tests.unit.world import (
    HERE,
    NOWHERE,
    OPERATIONS,
    ask,
    calls,
    undone,
    values_of,
    world,
)

pytestmark = MARKS
__all__ = ["calls", "world"]
JSON = "application/json"
S = Operation.State


def body(answer: ANSWER) -> str:
    return str(answer.content.decode())


# --- 6: invitations ------------------------------------------------------------------------------


@pytest.fixture
def admin() -> Client:
    return browser_of(make_user(Role.ADMIN))


def invite(admin: Client, name: str) -> str:
    """The address in the invitation of a new person."""
    found = re.search(r"/sign-in/link/[^/\"]+/", body(admin.post(NEW, {"username": name})))
    assert found
    return found[0]


NEW = "/access/new-person/"


def who(browser: Client) -> str:
    """The name of whoever is signed in; empty if nobody is."""
    answer = browser.get("/account/password/")
    return str(answer.wsgi_request.user.username) if answer.status_code == 200 else ""


def test_an_invitation_is_kept_as_a_hash_alone(
    admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack 6, Coolify CVE-2025-64423: invitations could be read, and used by the reader."""
    address = invite(admin, "newcomer")
    secret = address.split("/")[3]
    kept = str([list(m.objects.values()) for m in (SignInLink, AuditEntry, User)])
    assert secret not in kept and secret not in caplog.text
    pages = ("/access/", "/access/people/newcomer/", "/access/people/newcomer/rights/")
    api = ("/api/v1/access/users", "/api/v1/access/users/newcomer")
    for path in (*pages, *api, "/access/grants/"):
        assert "/sign-in/link/" not in body(admin.get(path)), path
    assert Client().post(f"/sign-in/link/{SignInLink.objects.get().digest}/").status_code == 410


def test_an_invitation_lets_in_once(admin: Client) -> None:
    """Attack 6."""
    address, first, second = invite(admin, "newcomer"), Client(), Client()
    assert (first.post(address).status_code, who(first)) == (302, "newcomer")
    assert (second.post(address).status_code, who(second)) == (410, "")
    assert first.post(address).status_code == 410


@pytest.mark.parametrize("claim", ["username", "user", "name", "login", "next", "secret"])
def test_an_invitation_is_its_recipients(admin: Client, claim: str) -> None:
    """Attack 6: whatever else is sent along, and whoever was signed in."""
    address = invite(admin, "newcomer")
    boss = make_user(Role.ADMIN)
    invite(admin, "another")
    browser = browser_of(make_user(Role.OPERATOR))
    browser.post(f"{address}?{claim}={boss.username}", {claim: boss.username})
    assert who(browser) == "newcomer"
    assert not Grant.objects.filter(user__username="newcomer").exists()
    assert SignInLink.objects.get(user__username="another").used_at is None


ENDINGS: dict[str, Callable[[User], Any]] = {
    "expired": lambda user: SignInLink.objects.update(expires_at=Now()),
    "disabled": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "removed": lambda user: user.delete(),
}


@pytest.mark.parametrize("ending", [*ENDINGS, "newer"])
def test_an_invitation_that_ended_lets_nobody_in(admin: Client, ending: str) -> None:
    """Attack 6: after a day, once its person is disabled or gone, and once there is a newer one."""
    address, browser = invite(admin, "newcomer"), Client()
    newcomer = User.objects.get(username="newcomer")
    assert SignInLink.objects.get().expires_at <= timezone.now() + timedelta(hours=24)
    if ending == "newer":
        admin.post("/access/people/newcomer/link/")
    else:
        ENDINGS[ending](newcomer)
    assert browser.get(address).status_code == 410
    assert (browser.post(address).status_code, who(browser)) == (410, "")


def test_a_guessed_invitation_says_nothing(admin: Client) -> None:
    """Attack 6: neither who was invited, nor that it was nearly right."""
    address = invite(admin, "newcomer")
    told = set()
    for guess in (address[:-2] + "/", address[:-1] + "x/", "/sign-in/link/x/", address.swapcase()):
        answer = Client().post(guess)
        assert answer.status_code in (404, 410)
        assert "newcomer" not in body(answer)
        told.add(answer.status_code)
    assert 410 in told


# --- 16: who has left ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["page", "api", "revoked", "expired"])
def test_a_token_that_ended_opens_nothing_at_all(
    how: str, world: None, calls: list[str], admin: Client
) -> None:
    """Attack 16, Rancher GHSA-c45c-39f6-6gw9: tokens outlived their users. The next request, at
    every address of the API, is refused as that of a stranger is."""
    gone = make_user(Role.ADMIN)
    secret = issue_token(gone, "ci")
    listed = Client().get("/api/v1/clusters", headers={"authorization": f"Bearer {secret}"})
    assert listed.status_code == 200
    if how == "page":
        assert admin.post(f"/access/people/{gone}/disable/").status_code == 302
    elif how == "api":
        path = f"/api/v1/access/users/{gone}"
        assert admin.patch(path, {"is_active": False}, JSON).status_code == 200
    else:
        fields = {"revoked": {"revoked_at": Now()}, "expired": {"expires_at": Now()}}
        ApiToken.objects.filter(user=gone).update(**fields[how])
    for entry in OPERATIONS:
        for place in (HERE, NOWHERE):
            values = values_of(entry, place)
            for method in entry.methods:
                with undone():
                    answer = ask(entry, method, values, secret)
                    stranger = ask(entry, method, values, "ph_nobodys")
                assert (answer.status_code, body(answer)) == (401, body(stranger)), entry
    assert calls == []


def test_a_disabled_persons_browser_is_signed_out_with_its_next_request(admin: Client) -> None:
    """Attack 16, and 10: the socket's end within a second is in tests/integration/test_live."""
    gone = make_user(Role.ADMIN)
    browser = browser_of(gone)
    assert browser.get("/").status_code == 200
    admin.post(f"/access/people/{gone}/disable/")
    for path in ("/", "/account/", "/access/", "/operations/"):
        assert browser.get(path)["Location"].startswith("/sign-in/")
    assert browser.get("/api/v1/clusters").status_code == 401


# --- Two persons ---------------------------------------------------------------------------------


@pytest.fixture
def service() -> Service:
    cluster = make_cluster()
    Protection.objects.create(cluster="local", stack="shop")
    key = make_secret(cluster, "key", stack="shop")
    return make_service(cluster, stack="shop", **mounted(key))


class Engine:
    """Takes what is created."""

    def create(self, noun: str, spec: Any) -> str:
        return "new-id"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_objects, "engine_for", lambda cluster: Engine())
    monkeypatch.setattr(api_objects, "wake", lambda operation_id: None)


def scale(person: User) -> Operation:
    path = "/api/v1/clusters/local/services/web/scale"
    assert browser_of(person).post(path, {"replicas": 5}, JSON).status_code == 202
    return Operation.objects.get()


def scale_by_token(person: User) -> Operation:
    headers = {"authorization": f"Bearer {issue_token(person, 'ci')}"}
    path = "/api/v1/clusters/local/services/web/scale"
    assert Client().post(path, {"replicas": 5}, JSON, headers=headers).status_code == 202
    return Operation.objects.get()


def rotate(person: User) -> Operation:
    path = "/api/v1/clusters/local/secrets/key/rotate"
    assert browser_of(person).post(path, {"value": "new"}, JSON).status_code == 202
    return Operation.objects.get()


WAYS_TO_ASK: dict[str, Callable[[User], Operation]] = {
    "browser": scale,
    "token": scale_by_token,
    "rotation": rotate,
}


def approve(person: User, operation: Operation, way: str) -> ANSWER:
    path = f"/operations/{operation.pk}"
    if way == "page":
        return browser_of(person).post(f"{path}/decide/", {"answer": "approve"})
    if way == "api":
        return browser_of(person).post(f"/api/v1{path}/approve", {}, JSON)
    headers = {"authorization": f"Bearer {issue_token(person, 'own')}"}
    return Client().post(f"/api/v1{path}/approve", {}, JSON, headers=headers)


@pytest.mark.parametrize("way", ["page", "api", "token"])
@pytest.mark.parametrize("asked", WAYS_TO_ASK)
def test_nobody_approves_what_they_asked_for(
    service: Service, engine: None, asked: str, way: str
) -> None:
    """Two persons are two: whichever way one asks, and whichever way one approves."""
    ada = make_user(Role.ADMIN)
    operation = WAYS_TO_ASK[asked](ada)
    assert operation.state == S.AWAITING
    assert approve(ada, operation, way).status_code == 403
    operation.refresh_from_db()
    assert operation.state == S.AWAITING
    assert not Approval.objects.get().approved


@pytest.mark.parametrize("asked", WAYS_TO_ASK)
def test_a_token_approves_nothing_of_anybodys(service: Service, engine: None, asked: str) -> None:
    operation = WAYS_TO_ASK[asked](make_user(Role.ADMIN))
    assert approve(make_user(Role.ADMIN), operation, "token").status_code == 403
    operation.refresh_from_db()
    assert operation.state == S.AWAITING


CHANGES: dict[str, Callable[[Service], Any]] = {
    "image": lambda s: _respec(s, image="lab/web:9"),
    "environment": lambda s: _respec(s, env=["A=2"]),
    "version alone": lambda s: Service.objects.update(version=s.version + 1),
    "spec alone": lambda s: Service.objects.update(spec={**s.spec, "Name": "other"}),
    "gone": lambda s: s.delete(),
    "asked spec": lambda s: Operation.objects.update(after={**s.spec, "Name": "other"}),
    "too late": lambda s: Approval.objects.update(expires_at=Now()),
}


def _respec(service: Service, **of: Any) -> None:
    container = service.spec["TaskTemplate"]["ContainerSpec"]
    container |= {"Image": of["image"]} if "image" in of else {"Env": of["env"]}
    service.version += 1
    service.save()


@pytest.mark.parametrize("way", ["page", "api"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_approval_is_void_after_any_change(service: Service, change: str, way: str) -> None:
    """What was looked at is what is approved, or nothing is."""
    operation = scale(make_user(Role.OPERATOR))
    CHANGES[change](service)
    answer = approve(make_user(Role.OPERATOR), operation, way)
    assert answer.status_code == (409 if way == "page" else 422), body(answer)
    operation.refresh_from_db()
    assert operation.state == S.AWAITING
    assert not Approval.objects.get().approved


ROTATION_CHANGES: dict[str, Callable[[Service], Any]] = {
    "another service": lambda s: make_service(
        s.cluster, "other", stack="shop", **mounted(s.cluster.secrets.get(name="key"))
    ),
    "one less": lambda s: s.delete(),
    "gone": lambda s: s.cluster.secrets.all().delete(),
    "another version": lambda s: _replan(),
}


def _replan() -> None:
    plan = Operation.objects.get().plan
    Operation.objects.update(plan={**plan, "new": {"id": "", "name": "stolen"}})


@pytest.mark.parametrize("change", ROTATION_CHANGES)
def test_an_approval_of_a_rotation_is_void_after_any_change(
    service: Service, engine: None, change: str
) -> None:
    operation = rotate(make_user(Role.ADMIN))
    ROTATION_CHANGES[change](service)
    assert approve(make_user(Role.ADMIN), operation, "api").status_code == 422
    operation.refresh_from_db()
    assert operation.state == S.AWAITING


def test_what_nothing_happened_to_is_approved_by_another(service: Service, engine: None) -> None:
    """Or the rules above would prove nothing."""
    operation = rotate(make_user(Role.ADMIN))
    assert approve(make_user(Role.ADMIN), operation, "api").status_code == 202
    operation.refresh_from_db()
    assert operation.state == S.PENDING
