"""Who may do what where, and the secrets that people sign in with."""

import hashlib
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.db import connection, transaction
from django.utils import timezone

from access import audit
from access.authorize import (
    Actor,
    Forbidden,
    ProofNeeded,
    allowed,
    allowed_by,
    authorize,
    grants_of,
    may,
    one_look,
    visible_scopes,
)
from access.models import ApiToken, AuditEntry, Grant, SignInLink, User
from access.operations.first import ensure_admin
from access.policy import (
    ALLOWED,
    EMERGENCY,
    EVERYWHERE,
    PROOF_SECONDS,
    STEP_UP,
    Action,
    Role,
    Scope,
)
from access.tokens import find_token, issue_link, issue_token, link_works, use_link
from access.vault import CannotUnseal, seal, unseal

pytestmark = pytest.mark.django_db
SHOP = Scope("prod", "shop")


@pytest.fixture
def user() -> User:
    return User.objects.create(username="kim")


# --- Roles and scopes ----------------------------------------------------------------------------


def test_each_role_may_what_the_lesser_one_may() -> None:
    assert (
        ALLOWED[Role.VIEWER] < ALLOWED[Role.ON_CALL] < ALLOWED[Role.OPERATOR] < ALLOWED[Role.ADMIN]
    )


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.AUDITOR}))
def test_a_role_changes_nothing_that_it_may_not_see(role: Role) -> None:
    assert {Action.SERVICE_VIEW, Action.OPERATION_VIEW} <= ALLOWED[role]


def test_auditing_is_a_role_of_its_own() -> None:
    assert ALLOWED[Role.AUDITOR] == {Action.AUDIT_VIEW}
    assert [role for role in Role if Action.AUDIT_VIEW in ALLOWED[role]] == [Role.AUDITOR]


def test_breaking_the_glass_gives_no_say_over_access_and_audit() -> None:
    assert not EMERGENCY & {Action.ACCESS_MANAGE, Action.ACCESS_VIEW, Action.AUDIT_VIEW}


def test_a_viewer_sees_no_secrets_and_changes_nothing() -> None:
    assert ALLOWED[Role.VIEWER] == {
        Action.CLUSTER_VIEW,
        Action.SERVICE_VIEW,
        Action.OPERATION_VIEW,
    }


@pytest.mark.parametrize(
    ("granted", "asked", "reaches"),
    [
        (EVERYWHERE, EVERYWHERE, True),
        (EVERYWHERE, SHOP, True),
        (Scope("prod"), Scope("prod"), True),
        (Scope("prod"), SHOP, True),
        (Scope("prod"), Scope("test", "shop"), False),
        (Scope("prod"), EVERYWHERE, False),
        (SHOP, SHOP, True),
        (SHOP, Scope("prod"), False),
        (SHOP, Scope("prod", "shop2"), False),
        (SHOP, Scope("test", "shop"), False),
        (SHOP, EVERYWHERE, False),
    ],
)
def test_a_grant_reaches_down_and_never_up_or_aside(
    granted: Scope, asked: Scope, reaches: bool
) -> None:
    assert granted.holds(asked) is reaches


def test_nothing_is_allowed_without_a_grant(user: User) -> None:
    assert allowed(user) == frozenset()
    with pytest.raises(Forbidden) as caught:
        authorize(Actor(user, "api"), Action.SERVICE_VIEW, SHOP)
    assert not caught.value.visible


def test_a_superuser_of_djangos_own_is_nobody_here() -> None:
    root = User.objects.create(username="root", is_superuser=True, is_staff=True)
    assert allowed(root) == frozenset()


def test_nobody_signed_in_may_nothing() -> None:
    nobody: Any = AnonymousUser()
    assert grants_of(nobody) == []
    assert not may(nobody, Action.SERVICE_VIEW)


def test_a_right_ends_with_its_grant_and_with_its_user(user: User) -> None:
    grant = Grant.objects.create(user=user, role=Role.OPERATOR, cluster="prod", stack="shop")
    assert may(user, Action.SERVICE_SCALE, SHOP)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not may(user, Action.SERVICE_SCALE, SHOP)
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert may(user, Action.SERVICE_SCALE, SHOP)
    grant.delete()
    assert not may(user, Action.SERVICE_SCALE, SHOP)


def test_one_look_reads_a_persons_rights_once_and_the_next_anew(
    user: User, django_assert_num_queries: Any
) -> None:
    grant = Grant.objects.create(user=user, role=Role.OPERATOR)
    with one_look():
        with django_assert_num_queries(1):
            assert may(user, Action.SERVICE_SCALE) and may(user, Action.SERVICE_VIEW)
        Grant.objects.filter(pk=grant.pk).delete()
        with one_look():  # is part of the first
            assert may(user, Action.SERVICE_VIEW)
        assert may(user, Action.SERVICE_VIEW)
    assert not may(user, Action.SERVICE_VIEW)


def test_grants_add_up_by_scope(user: User) -> None:
    Grant.objects.create(user=user, role=Role.VIEWER, cluster="prod")
    Grant.objects.create(user=user, role=Role.OPERATOR, cluster="prod", stack="shop")
    grants = grants_of(user)
    assert allowed_by(grants, SHOP) == ALLOWED[Role.OPERATOR]
    assert allowed_by(grants, Scope("prod", "blog")) == ALLOWED[Role.VIEWER]
    assert allowed_by(grants, Scope("test")) == frozenset()
    assert visible_scopes(user) == [Scope("prod"), SHOP]


def test_a_refusal_tells_whether_the_object_may_be_known_of(user: User) -> None:
    Grant.objects.create(user=user, role=Role.VIEWER, cluster="prod")
    with pytest.raises(Forbidden, match="does not allow “service.scale”") as caught:
        authorize(Actor(user, "api"), Action.SERVICE_SCALE, SHOP)
    assert caught.value.visible


def test_a_group_gives_what_it_holds_to_its_members_alone(user: User) -> None:
    group = Group.objects.create(name="shop team")
    Grant.objects.create(group=group, role=Role.OPERATOR, cluster="prod", stack="shop")
    assert not may(user, Action.SERVICE_SCALE, SHOP)
    user.groups.add(group)
    assert may(user, Action.SERVICE_SCALE, SHOP)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not may(user, Action.SERVICE_SCALE, SHOP)


def test_a_grant_ends_by_itself(user: User) -> None:
    Grant.objects.create(user=user, role=Role.OPERATOR, expires_at=timezone.now())
    assert allowed(user) == frozenset()


def test_what_needs_a_proof_is_refused_without_a_fresh_one(user: User) -> None:
    Grant.objects.create(user=user, role=Role.ADMIN)
    now = time.time()
    for proven_at in (None, now - PROOF_SECONDS - 1):
        with pytest.raises(ProofNeeded):
            authorize(Actor(user, "browser", "", proven_at), Action.ACCESS_MANAGE)
    authorize(Actor(user, "browser", "", now - PROOF_SECONDS + 60), Action.ACCESS_MANAGE)


@pytest.mark.parametrize(
    ("role", "scope", "may_scale_shop"),
    [
        ("", EVERYWHERE, True),
        (Role.VIEWER, EVERYWHERE, False),
        (Role.ADMIN, SHOP, True),
        (Role.ADMIN, Scope("test"), False),
    ],
)
def test_a_token_narrows_what_its_owner_may(
    user: User, role: str, scope: Scope, may_scale_shop: bool
) -> None:
    Grant.objects.create(user=user, role=Role.OPERATOR, cluster="prod")
    token = find_token(issue_token(user, "t", role=role, scope=scope))
    assert token
    assert may(token.user, Action.SERVICE_SCALE, SHOP) is may_scale_shop
    assert not may(token.user, Action.CLUSTER_REGISTER)


def test_a_token_can_do_nothing_that_needs_a_proof(user: User) -> None:
    Grant.objects.create(user=user, role=Role.ADMIN)
    token = find_token(issue_token(user, "t"))
    assert token
    assert not allowed(token.user) & STEP_UP


# --- Tokens --------------------------------------------------------------------------------------


def test_a_token_is_found_and_only_its_digest_is_kept(user: User) -> None:
    secret = issue_token(user, "ci")
    token = find_token(secret)
    assert token is not None
    assert token.user == user
    kept = ApiToken.objects.values().get()
    assert secret not in repr(kept)
    assert kept["digest"] == hashlib.sha256(secret.encode()).hexdigest()
    assert kept["last_used_at"] is not None


def test_no_two_tokens_are_alike_and_a_scanner_knows_them(user: User) -> None:
    secrets = {issue_token(user, "ci") for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith("ph_") and len(secret) > 40 for secret in secrets)


@pytest.mark.parametrize("guess", ["", "ph_", "ph_unknown", "é", "x" * 10_000])
def test_an_unknown_token_is_nobodys(user: User, guess: str) -> None:
    issue_token(user, "ci")
    assert find_token(guess) is None


def test_the_digest_is_no_token(user: User) -> None:
    issue_token(user, "ci")
    assert find_token(ApiToken.objects.get().digest) is None


@pytest.mark.parametrize("how", ["expired", "revoked", "disabled"])
def test_a_token_that_has_ended_is_not_found_nor_marked_as_used(user: User, how: str) -> None:
    secret = issue_token(user, "ci")
    if how == "disabled":
        User.objects.filter(pk=user.pk).update(is_active=False)
    else:
        field = {"expired": "expires_at", "revoked": "revoked_at"}[how]
        ApiToken.objects.update(**{field: timezone.now() - timedelta(seconds=1)})
    assert find_token(secret) is None
    assert ApiToken.objects.get().last_used_at is None


# --- Sign-in links -------------------------------------------------------------------------------


def test_a_link_signs_in_once(user: User) -> None:
    secret = issue_link(user)
    assert link_works(secret)
    assert link_works(secret)  # looking does not use it up: mail scanners look
    assert use_link(secret) == user
    assert use_link(secret) is None
    assert not link_works(secret)
    assert secret not in repr(SignInLink.objects.values().get())


def test_an_expired_or_unknown_link_does_not(user: User) -> None:
    secret = issue_link(user, life=timedelta(seconds=-1))
    assert not link_works(secret)
    assert use_link(secret) is None
    assert use_link("unknown") is None


def test_a_newer_link_ends_the_older(user: User) -> None:
    older, newer = issue_link(user), issue_link(user)
    assert not link_works(older)
    assert use_link(newer) == user


def test_a_disabled_users_link_does_not_work(user: User) -> None:
    secret = issue_link(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not link_works(secret)
    assert use_link(secret) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_link_at_once_one_signs_in() -> None:
    secret = issue_link(User.objects.create(username="kim"))
    found: list[User | None] = []

    def use() -> None:
        found.append(use_link(secret))
        connection.close()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sum(1 for user in found if user) == 1


# --- The first administrator ---------------------------------------------------------------------


def test_the_first_run_prints_a_link_and_knows_no_default_password() -> None:
    path = ensure_admin(None)
    assert path is not None
    admin = User.objects.get(username="admin")
    assert not admin.has_usable_password()
    assert may(admin, Action.CLUSTER_REGISTER)
    assert use_link(path.removeprefix("/sign-in/link/").rstrip("/")) == admin


def test_a_given_password_makes_no_link_and_survives_a_start_without_it() -> None:
    assert ensure_admin("correct horse battery") is None
    assert ensure_admin(None) is None
    assert User.objects.get(username="admin").check_password("correct horse battery")
    assert set(Grant.objects.values_list("role", flat=True)) == {Role.ADMIN, Role.AUDITOR}


# --- Audit and vault -----------------------------------------------------------------------------


def test_an_audit_row_stands_and_falls_with_what_it_tells_of(user: User) -> None:
    actor = Actor(user, "api", "192.0.2.7")
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record(actor, Action.SERVICE_SCALE, AuditEntry.Phase.INTENT, scope=SHOP)
        raise RuntimeError
    assert not AuditEntry.objects.exists()
    entry = audit.record(actor, Action.SERVICE_SCALE, AuditEntry.Phase.INTENT, scope=SHOP)
    entry.refresh_from_db()
    assert (entry.actor_name, entry.via, entry.address) == ("kim", "api", "192.0.2.7")
    assert (entry.action, entry.cluster, entry.stack) == ("service.scale", "prod", "shop")
    assert entry.at is not None


def test_a_sealed_secret_is_read_again_and_shows_nothing() -> None:
    sealed = seal("the private key")
    assert b"private" not in sealed
    assert sealed != seal("the private key")
    assert unseal(sealed) == unseal(memoryview(sealed)) == "the private key"


def test_a_secret_sealed_under_another_key_is_told_as_such(settings: Any) -> None:
    sealed = seal("the private key")
    settings.SECRET_KEY = "another"
    with pytest.raises(CannotUnseal, match="PILOTHOUSE_SECRET_KEY was changed"):
        unseal(sealed)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\0" * 100])
def test_what_was_never_sealed_is_not_unsealed(garbage: bytes) -> None:
    with pytest.raises(CannotUnseal):
        unseal(garbage)
