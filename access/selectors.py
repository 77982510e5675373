"""Reads about people and of the audit trail."""

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access.models import AuditEntry, Grant, Protection, User
from access.policy import Scope


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


def is_protected(scope: Scope) -> bool:
    """Whether a change in this scope needs a second person."""
    return Protection.objects.filter(cluster=scope.cluster, stack__in=("", scope.stack)).exists()


def grants_shown(user: User) -> list[dict[str, Any]]:
    """The user's grants in words: their own, and those of their groups."""
    lasting = Grant.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    theirs = lasting.filter(Q(user=user) | Q(group__user=user)).select_related("group")
    return [
        {
            "role": grant.role,
            "where": str(grant.scope),
            "group": grant.group.name if grant.group else "",
            "expires_at": grant.expires_at,
        }
        for grant in theirs.order_by("cluster", "stack", "role", "group__name")
    ]
