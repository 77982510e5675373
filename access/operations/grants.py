"""Give somebody a role in a scope, and take it away again."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from access.authorize import Actor
from access.models import Grant, User
from access.operations.changing import (
    announce_revoked,
    authorize_manage,
    describe,
    keeping_a_manager,
    record,
)
from access.policy import Role, Scope
from access.problems import Invalid

Holder = User | Group
MOST = 10_000  # replicas


def give(
    actor: Actor,
    holder: Holder,
    role: Role,
    scope: Scope,
    *,
    expires_at: datetime | None = None,
    most_replicas: int | None = None,
) -> Grant:
    """Give a role, or set another end or bound to the one that is there.

    Raises Forbidden outside the actor's own scope, and Invalid.
    """
    authorize_manage(actor, scope)
    _refuse_senseless(holder, role, scope, expires_at, most_replicas)
    bound = (most_replicas or Grant.MOST_REPLICAS) if role == Role.ON_CALL else None
    key = {**_of(holder), "role": role, "cluster": scope.cluster, "stack": scope.stack}
    with transaction.atomic(), keeping_a_manager(actor):
        present = Grant.objects.select_for_update().filter(**key, break_glass=None).first()
        before = describe(present) if present else None
        grant = present or Grant(**key)
        grant.expires_at, grant.most_replicas = expires_at, bound
        grant.save()
        _note(actor, "access.grant", grant, before, describe(grant))
    return grant


def withdraw(actor: Actor, grant: Grant) -> None:
    """Take a grant away: open pages lose it at once. Raises Forbidden, Invalid."""
    authorize_manage(actor, grant.scope)
    with transaction.atomic(), keeping_a_manager(actor):
        if Grant.objects.filter(pk=grant.pk, break_glass=None).delete()[0]:
            _note(actor, "access.withdraw", grant, describe(grant), None)


def _note(
    actor: Actor,
    action: str,
    grant: Grant,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    target, kind = str(grant.user or grant.group), "person" if grant.user else "group"
    record(actor, action, target, grant.scope, kind=kind, before=before, after=after)
    announce_revoked(grant.user)


def _of(holder: Holder) -> dict[str, Any]:
    return (
        {"user": holder, "group": None}
        if isinstance(holder, User)
        else {
            "user": None,
            "group": holder,
        }
    )


def _refuse_senseless(
    holder: Holder,
    role: Role,
    scope: Scope,
    expires_at: datetime | None,
    most_replicas: int | None,
) -> None:
    if scope.stack and not scope.cluster:
        raise Invalid("A stack is a stack of a cluster: say which cluster, too.", "cluster")
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The end lies in the past: the grant would give nothing.", "expires_at")
    if most_replicas is not None and role != Role.ON_CALL:
        raise Invalid("A bound for scaling belongs to the on-call role alone.", "most_replicas")
    if most_replicas is not None and not 1 <= most_replicas <= MOST:
        raise Invalid(f"The bound must be 1 to {MOST:,} replicas.", "most_replicas")
    if isinstance(holder, User) and not holder.is_active:
        raise Invalid(f"{holder} is disabled: enable them first.", "user")
