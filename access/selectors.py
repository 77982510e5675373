"""Reads about people."""

from datetime import timedelta

from django.utils import timezone

from access.models import AuditEntry, User

FAILURES = 10  # wrong passwords for one name, or from one address, within WINDOW
WINDOW = timedelta(minutes=5)
LOOKED_AT = 200  # of the newest entries: a guess costs the same however long the trail is
SIGN_IN_FAILED = "sign-in.failed"


def too_many_failures(username: str, address: str) -> bool:
    """Whether somebody is guessing: a name or an address with many failed sign-ins of late."""
    since = timezone.now() - WINDOW
    newest = AuditEntry.objects.values_list("at", "action", "actor_name", "address")[:LOOKED_AT]
    failures = sum(
        at > since and action == SIGN_IN_FAILED and (name == username or place == address)
        for at, action, name, place in newest
    )
    return failures >= FAILURES


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
