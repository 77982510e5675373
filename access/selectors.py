"""Reads about people and of the audit trail."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from access.models import AuditEntry, Protection, User
from access.policy import Scope

FAILURES = 10  # wrong passwords for one name, or from one address, within WINDOW
WINDOW = timedelta(minutes=5)
LOOKED_AT = 200  # of the newest entries: a guess costs the same however long the trail is
SIGN_IN_FAILED = "sign-in.failed"


def audit_trail(actor: str = "", action: str = "", target: str = "") -> QuerySet[AuditEntry]:
    """Newest first, narrowed by parts of the names."""
    found = AuditEntry.objects.all()
    if actor:
        found = found.filter(actor_name__icontains=actor)
    if action:
        found = found.filter(action__icontains=action)
    if target:
        found = found.filter(
            Q(target__icontains=target) | Q(cluster__icontains=target) | Q(stack__icontains=target)
        )
    return found


def too_many_failures(username: str, address: str) -> bool:
    """Whether somebody is guessing: a name or an address with many failed sign-ins of late."""
    since = timezone.now() - WINDOW
    newest = AuditEntry.objects.values_list("at", "action", "actor_name", "address")[:LOOKED_AT]
    failures = sum(
        at > since and action == SIGN_IN_FAILED and (name == username or place == address)
        for at, action, name, place in newest
    )
    return failures >= FAILURES


def is_protected(scope: Scope) -> bool:
    """Whether a change in this scope needs a second person."""
    return Protection.objects.filter(cluster=scope.cluster, stack__in=("", scope.stack)).exists()


def grants_shown(user: User) -> list[dict[str, str]]:
    """The user's grants in words."""
    return [
        {
            "role": grant.role,
            "where": f"{grant.cluster or 'every cluster'}"
            + (f", stack {grant.stack}" if grant.stack else ""),
        }
        for grant in user.grants.order_by("cluster", "stack", "role")
    ]
