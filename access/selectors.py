"""Reads about people."""

from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from access.models import Grant, User


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
