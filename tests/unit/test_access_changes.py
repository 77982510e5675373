"""Changing who may do what: in one's own scope alone, never to nobody, and always on record."""

import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from access.authorize import Actor, Forbidden, may
from access.models import (
    ApiToken,
    AuditEntry,
    BreakGlass,
    Grant,
    Protection,
    SignInLink,
    Unprotected,
    User,
)
from access.operations import emergencies, grants, groups, people, protections, tokens
from access.policy import Action, Role, Scope
from access.problems import Invalid
from access.tokens import find_token, issue_link, issue_token, use_link
from tests.unit.panel import MARKS, browser_of, make_cluster, make_service, make_user

pytestmark = MARKS
SHOP = Scope("prod", "shop")


@pytest.fixture(autouse=True)
def clusters() -> None:
    make_service(make_cluster("prod"), stack="shop")
    make_cluster("test")


@pytest.fixture
def kim() -> User:
    return User.objects.create(username="kim")


@pytest.fixture
def admin() -> Client:
    return browser_of(make_user(Role.ADMIN))


@pytest.fixture
def admin_of_prod() -> Client:
    return browser_of(make_user(Role.ADMIN, cluster="prod"))


def give(client: Client, place: str, role: str = "operator", **more: Any) -> Any:
    data = {"holder_name": "user:kim", "role": role, "place": place, **more}
    return client.post("/access/grants/new/", data)


def body(answer: Any) -> str:
    return str(answer.content.decode())


def trail(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


# --- Grants --------------------------------------------------------------------------------------


def test_a_grant_gives_its_right_and_is_on_record(admin: Client, kim: User) -> None:
    assert give(admin, "prod/shop").status_code == 302
    assert may(kim, Action.SERVICE_UPDATE, SHOP)
    assert not may(kim, Action.SERVICE_UPDATE, Scope("prod"))
    entry = trail("access.grant")
    assert (entry.target, entry.cluster, entry.stack) == ("kim", "prod", "shop")
    assert entry.detail["before"] is None
    assert entry.detail["after"]["role"] == "operator"


def test_given_again_it_gets_another_end_and_both_are_on_record(admin: Client, kim: User) -> None:
    give(admin, "prod/")
    until = timezone.now() + timedelta(days=1)
    give(admin, "prod/", expires_at=until.strftime("%Y-%m-%dT%H:%M"))
    grant = Grant.objects.get(user=kim)
    assert grant.expires_at is not None
    entry = AuditEntry.objects.filter(action="access.grant").latest("id")
    assert entry.detail["before"]["expires_at"] is None
    assert entry.detail["after"]["expires_at"] is not None


def test_an_end_in_the_past_is_refused(admin: Client, kim: User) -> None:
    answer = give(admin, "prod/", expires_at="2020-01-01T00:00")
    assert answer.status_code == 422
    assert "The end lies in the past" in body(answer)
    assert not Grant.objects.filter(user=kim).exists()


@pytest.mark.parametrize(("typed", "bound"), [("", Grant.MOST_REPLICAS), ("25", 25)])
def test_on_call_always_has_a_bound(admin: Client, kim: User, typed: str, bound: int) -> None:
    give(admin, "prod/", "on-call", most_replicas=typed)
    assert Grant.objects.get(user=kim).most_replicas == bound


@pytest.mark.parametrize("place", ["/", "test/", "test/shop", "prod2/"])
def test_who_manages_a_cluster_gives_nothing_beyond_it(
    admin_of_prod: Client, kim: User, place: str
) -> None:
    assert give(admin_of_prod, place).status_code == 422
    assert not Grant.objects.filter(user=kim).exists()


@pytest.mark.parametrize("place", ["prod/", "prod/shop"])
def test_who_manages_a_cluster_gives_rights_in_it(
    admin_of_prod: Client, kim: User, place: str
) -> None:
    assert give(admin_of_prod, place).status_code == 302
    assert Grant.objects.filter(user=kim, cluster="prod").exists()


@pytest.mark.parametrize("scope", [Scope(), Scope("test"), Scope("test", "shop")])
def test_who_manages_a_cluster_withdraws_nothing_beyond_it(
    admin_of_prod: Client, kim: User, scope: Scope
) -> None:
    grant = Grant.objects.create(
        user=kim, role=Role.VIEWER, cluster=scope.cluster, stack=scope.stack
    )
    answer = admin_of_prod.post(f"/access/grants/{grant.pk}/withdraw/")
    assert answer.status_code in (403, 404)
    assert Grant.objects.filter(pk=grant.pk).exists()


def test_a_withdrawn_grant_ends_and_is_on_record(admin: Client, kim: User) -> None:
    grant = Grant.objects.create(user=kim, role=Role.OPERATOR, cluster="prod")
    assert admin.get(f"/access/grants/{grant.pk}/withdraw/").status_code == 200
    assert may(kim, Action.SERVICE_UPDATE, SHOP)
    admin.post(f"/access/grants/{grant.pk}/withdraw/")
    assert not may(kim, Action.SERVICE_UPDATE, SHOP)
    assert trail("access.withdraw").detail["before"]["role"] == "operator"


def test_auditing_is_given_by_admins_and_on_record(admin: Client, kim: User) -> None:
    give(admin, "/", "auditor")
    assert may(kim, Action.AUDIT_VIEW)
    assert trail("access.grant").detail["after"]["role"] == "auditor"


def test_without_a_fresh_proof_nothing_changes(kim: User) -> None:
    client = Client()
    client.force_login(make_user(Role.ADMIN))
    assert client.get("/access/").status_code == 200
    assert give(client, "/").status_code == 403
    assert client.post("/access/people/kim/disable/").status_code == 403
    assert not Grant.objects.filter(user=kim).exists()
    assert User.objects.get(username="kim").is_active


# --- Somebody can always manage access -----------------------------------------------------------


def only_admin(**of: Any) -> tuple[Client, Grant]:
    """The only one who manages everything: by a grant of their own, or of their group."""
    user = User.objects.create(username="root")
    grant = Grant.objects.create(role=Role.ADMIN, **(of or {"user": user}))
    return browser_of(user), grant


def is_refused(answer: Any) -> None:
    assert answer.status_code == 422
    assert "Nobody could manage access everywhere" in body(answer)


def test_the_last_who_manages_everything_stays() -> None:
    client, grant = only_admin()
    is_refused(client.post(f"/access/grants/{grant.pk}/withdraw/"))
    is_refused(client.post("/access/people/root/disable/", {"sure": "on"}))
    soon = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    limited = {"holder_name": "user:root", "role": "admin", "place": "/", "expires_at": soon}
    is_refused(client.post("/access/grants/new/", limited))
    assert Grant.objects.get(pk=grant.pk).expires_at is None
    assert User.objects.get(username="root").is_active


def test_the_last_who_manages_everything_by_their_group_stays() -> None:
    group = Group.objects.create(name="ops")
    client, _ = only_admin(group=group)
    User.objects.get(username="root").groups.add(group)
    is_refused(client.post("/access/groups/ops/remove/"))
    assert client.post("/access/groups/ops/members/root/").status_code == 422
    assert group.user_set.count() == 1


@pytest.mark.parametrize("other", ["disabled", "of-a-cluster", "for-a-while"])
def test_another_who_cannot_for_good_does_not_count(other: str) -> None:
    client, grant = only_admin()
    second = make_user(Role.ADMIN, cluster="prod" if other == "of-a-cluster" else "")
    if other == "disabled":
        User.objects.filter(pk=second.pk).update(is_active=False)
    if other == "for-a-while":
        Grant.objects.filter(user=second).update(expires_at=timezone.now() + timedelta(hours=1))
    is_refused(client.post(f"/access/grants/{grant.pk}/withdraw/"))


def test_the_last_but_one_may_go() -> None:
    client, grant = only_admin()
    make_user(Role.ADMIN)
    assert client.post(f"/access/grants/{grant.pk}/withdraw/").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_two_who_withdraw_each_other_at_once_leave_one() -> None:
    admins = [make_user(Role.ADMIN) for _ in range(2)]
    refusals: list[Exception] = []

    def withdraw_other(me: User, other: User) -> None:
        try:
            actor = Actor(me, "browser", proven_at=time.time())
            grants.withdraw(actor, Grant.objects.get(user=other))
        except (Invalid, Forbidden) as refusal:
            refusals.append(refusal)
        finally:
            connection.close()

    for _ in range(5):
        Grant.objects.all().delete()
        refusals.clear()
        for admin in admins:
            Grant.objects.create(user=admin, role=Role.ADMIN)
        threads = [
            threading.Thread(target=withdraw_other, args=pair) for pair in (admins, admins[::-1])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Grant.objects.count() == 1
        assert len(refusals) == 1


# --- People --------------------------------------------------------------------------------------


def test_a_new_person_is_let_in_once_and_may_nothing(admin: Client) -> None:
    answer = admin.post("/access/new-person/", {"username": "newcomer"})
    page = body(answer)
    secret = re.search(r"/sign-in/link/([^/]+)/", page).group(1)  # type: ignore[union-attr]
    assert "no-store" in answer["Cache-Control"]
    assert secret not in repr(list(SignInLink.objects.values()))
    assert secret not in repr(list(AuditEntry.objects.values()))
    newcomer = User.objects.get(username="newcomer")
    assert not newcomer.has_usable_password()
    assert not Grant.objects.filter(user=newcomer).exists()
    assert use_link(secret) == newcomer
    assert use_link(secret) is None


def test_a_newer_link_ends_the_older_and_both_are_on_record(admin: Client, kim: User) -> None:
    links = []
    for _ in range(2):
        page = body(admin.post("/access/people/kim/link/"))
        links.append(re.search(r"/sign-in/link/([^/]+)/", page).group(1))  # type: ignore[union-attr]
    assert use_link(links[0]) is None
    assert use_link(links[1]) == kim
    assert AuditEntry.objects.filter(action="access.link", target="kim").count() == 2


@pytest.mark.parametrize("name", ["kim", "a b", "a/b", "..", ""])
def test_a_name_that_cannot_be_is_refused(admin: Client, kim: User, name: str) -> None:
    assert admin.post("/access/new-person/", {"username": name}).status_code in (200, 422)
    assert User.objects.exclude(pk=kim.pk).count() == 1


def test_a_disabled_person_loses_all_and_gets_the_grants_back(admin: Client, kim: User) -> None:
    Grant.objects.create(user=kim, role=Role.VIEWER)
    theirs, token, link = browser_of(kim), issue_token(kim, "ci"), issue_link(kim)
    assert theirs.get("/").status_code == 200
    admin.post("/access/people/kim/disable/")
    assert theirs.get("/").status_code == 302
    assert not may(kim, Action.SERVICE_VIEW)
    admin.post("/access/people/kim/enable/")
    assert may(kim, Action.SERVICE_VIEW)
    assert trail("access.disable").detail == {
        "before": {"is_active": True},
        "after": {"is_active": False},
        "tokens": ["ci"],
    }
    assert theirs.get("/").status_code == 302, "the session has ended for good"
    assert find_token(token) is None
    assert use_link(link) is None


def test_disabling_oneself_asks_twice() -> None:
    make_user(Role.ADMIN)
    me = make_user(Role.ADMIN)
    client = browser_of(me)
    answer = client.post(f"/access/people/{me}/disable/")
    assert answer.status_code == 422
    assert User.objects.get(pk=me.pk).is_active
    client.post(f"/access/people/{me}/disable/", {"sure": "on"})
    assert not User.objects.get(pk=me.pk).is_active


@pytest.mark.parametrize(
    "path",
    ["new-person/", "people/kim/link/", "people/kim/disable/", "new-group/", "groups/ops/remove/",
     "groups/ops/members/", "groups/ops/members/kim/", "people/kim/enable/"],
)  # fmt: skip
def test_people_and_groups_are_for_who_manages_everything(
    admin_of_prod: Client, kim: User, path: str
) -> None:
    Group.objects.create(name="ops")
    data = {"username": "x", "name": "x", "user": "kim"}
    assert admin_of_prod.post(f"/access/{path}", data).status_code in (403, 404)
    assert not User.objects.filter(username="x").exists()
    assert Group.objects.count() == 1
    assert User.objects.get(username="kim").is_active
    assert not kim.groups.exists()


# --- Groups --------------------------------------------------------------------------------------


def test_a_group_gives_while_one_is_in_it(admin: Client, kim: User) -> None:
    admin.post("/access/new-group/", {"name": "shop team"})
    data = {"holder_name": "group:shop team", "role": "operator", "place": "prod/shop"}
    assert admin.post("/access/grants/new/", data).status_code == 302
    admin.post("/access/groups/shop team/members/", {"user": "kim"})
    assert may(kim, Action.SERVICE_UPDATE, SHOP)
    assert trail("access.member").detail["after"] == {"members": ["kim"]}
    admin.post("/access/groups/shop team/members/kim/")
    assert not may(kim, Action.SERVICE_UPDATE, SHOP)
    admin.post("/access/groups/shop team/members/", {"user": "kim"})
    admin.post("/access/groups/shop team/remove/")
    assert not may(kim, Action.SERVICE_UPDATE, SHOP)
    assert trail("access.group-remove").detail["before"]["members"] == ["kim"]


# --- Each change asks by itself, whoever calls it -------------------------------------------------

CHANGES: dict[str, Callable[[Actor, User, Group], Any]] = {
    "give": lambda actor, kim, ops: grants.give(actor, kim, Role.VIEWER, Scope("test")),
    "withdraw": lambda actor, kim, ops: grants.withdraw(actor, Grant.objects.get(user=kim)),
    "make a person": lambda actor, kim, ops: people.make_person(actor, "x"),
    "make a link": lambda actor, kim, ops: people.new_link(actor, kim),
    "disable": lambda actor, kim, ops: people.disable(actor, kim),
    "enable": lambda actor, kim, ops: people.enable(actor, kim),
    "make a group": lambda actor, kim, ops: groups.make_group(actor, "x"),
    "remove a group": lambda actor, kim, ops: groups.remove_group(actor, ops),
    "add a member": lambda actor, kim, ops: groups.add_member(actor, ops, kim),
    "remove a member": lambda actor, kim, ops: groups.remove_member(actor, ops, kim),
    "protect": lambda actor, kim, ops: protections.protect(actor, Scope("test")),
    "unprotect": lambda actor, kim, ops: protections.unprotect(actor, Protection.objects.get()),
    "revoke": lambda actor, kim, ops: tokens.revoke(actor, ApiToken.objects.get()),
    "break the glass": lambda actor, kim, ops: emergencies.break_glass(
        actor, Scope("test"), "A reason that is long enough."
    ),
    "give back": lambda actor, kim, ops: emergencies.give_back(actor, BreakGlass.objects.get()),
    "review": lambda actor, kim, ops: emergencies.review(actor, BreakGlass.objects.get(), "Fine."),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", ["elsewhere", "operator", "unproven", "token"])
def test_a_change_asks_by_itself_for_the_right_to_it(kim: User, change: str, who: str) -> None:
    ops = Group.objects.create(name="ops")
    Grant.objects.create(user=kim, role=Role.VIEWER, cluster="test")
    Protection.objects.create(cluster="test")
    issue_token(kim, "t", scope=Scope("test"))
    BreakGlass.objects.create(user=kim, cluster="test", reason="", until=Now() + timedelta(hours=1))
    if who == "elsewhere":
        user = make_user(Role.ADMIN, cluster="prod")
    elif who == "operator":
        user = make_user(Role.VIEWER if change == "break the glass" else Role.OPERATOR)
    else:
        user = make_user(Role.ADMIN)
        user.token = ApiToken(user=user) if who == "token" else None
    proven_at = None if who == "unproven" else time.time()
    with pytest.raises(Forbidden):
        CHANGES[change](Actor(user, "browser", proven_at=proven_at), kim, ops)
    assert not AuditEntry.objects.exists()


# --- What one sees -------------------------------------------------------------------------------


def test_who_manages_a_cluster_sees_only_what_reaches_into_it(
    admin_of_prod: Client, kim: User
) -> None:
    Grant.objects.create(user=kim, role=Role.SECRET_MANAGER, cluster="test")
    Grant.objects.create(user=kim, role=Role.OPERATOR, cluster="prod", stack="shop")
    Grant.objects.create(user=kim, role=Role.VIEWER)
    hidden = Group.objects.create(name="hidden team")
    kim.groups.add(hidden)
    for path in (
        "/access/",
        "/access/people/kim/",
        "/access/grants/",
        "/access/people/kim/rights/",
    ):
        page = body(admin_of_prod.get(path))
        assert "in prod, stack shop" in page or "prod, stack shop" in page
        assert "everywhere" in page or "everything" in page
        assert "in test" not in page
        assert "hidden team" not in page
    assert admin_of_prod.get("/access/groups/hidden team/").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["", "people/kim/", "people/kim/rights/", "groups/", "grants/", "grants/new/", "who/", "roles/",
     "tokens/", "protections/", "new-person/"],
)  # fmt: skip
@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR, Role.AUDITOR])
def test_who_manages_nothing_sees_nothing(kim: User, role: Role | None, path: str) -> None:
    answer = browser_of(make_user(role)).get(f"/access/{path}")
    assert answer.status_code == (403 if role in (Role.VIEWER, Role.OPERATOR) else 404)


def test_the_pages_cost_the_same_for_many_people(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    group = Group.objects.create(name="ops")
    Grant.objects.create(group=group, role=Role.VIEWER)
    for number in range(40):
        user = User.objects.create(username=f"person-{number}")
        user.groups.add(group)
        Grant.objects.create(user=user, role=Role.OPERATOR, cluster="prod")
    for path in ("/access/", "/access/who/?action=service.scale&place=prod/shop"):
        with django_assert_max_num_queries(25):
            page = body(admin.get(path))
        assert "person-39" in page


# --- Protections ---------------------------------------------------------------------------------


def test_a_protection_is_switched_on_and_off_on_record(admin_of_prod: Client) -> None:
    admin_of_prod.post("/access/protections/", {"place": "prod/shop"})
    protection = Protection.objects.get()
    assert protection.scope == SHOP
    assert trail("access.protect").detail["after"] == {"persons": 2}
    admin_of_prod.post(f"/access/protections/{protection.pk}/remove/")
    assert not Protection.objects.exists()
    assert trail("access.unprotect").detail["after"] == {"persons": 1}
    assert Unprotected.objects.get().scope == SHOP


def test_that_a_protection_was_taken_away_is_told_to_its_administrators(
    admin: Client, admin_of_prod: Client
) -> None:
    protection = Protection.objects.create(cluster="prod")
    admin.post(f"/access/protections/{protection.pk}/remove/")
    told = "took the two-person rule off"
    assert told in body(admin_of_prod.get("/"))
    assert told in body(admin.get("/"))
    assert told not in body(browser_of(make_user(Role.ADMIN, cluster="test")).get("/"))
    assert told not in body(browser_of(make_user(Role.OPERATOR)).get("/"))
    assert "Taken away" in body(admin.get("/access/protections/"))


def test_a_protection_elsewhere_is_not_ones_own(admin_of_prod: Client) -> None:
    assert admin_of_prod.post("/access/protections/", {"place": "test/"}).status_code == 422
    other = Protection.objects.create(cluster="test")
    assert admin_of_prod.post(f"/access/protections/{other.pk}/remove/").status_code == 404
    assert Protection.objects.filter(pk=other.pk).exists()
