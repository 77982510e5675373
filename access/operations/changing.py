"""What every change of access needs: the right to make it, its audit row, and those it concerns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from access import audit
from access.authorize import Actor, authorize, live_grants
from access.models import AuditEntry, Grant, User
from access.policy import EVERYWHERE, Action, Role, Scope
from access.problems import Invalid
from live import changes, hub

# Whoever has the panel's command line has its database: it is trusted, and recorded.
COMMAND_LINE = Actor(User(username="command line"), "command")


def authorize_manage(actor: Actor, scope: Scope = EVERYWHERE) -> None:
    """Raise Forbidden or ProofNeeded unless the actor may change access in this scope."""
    if actor is not COMMAND_LINE:
        authorize(actor, Action.ACCESS_MANAGE, scope)


def record(
    actor: Actor, action: str, target: str, scope: Scope = EVERYWHERE, **detail: Any
) -> None:
    audit.record(actor, action, AuditEntry.Phase.EVENT, scope=scope, target=target, detail=detail)


def announce_revoked(user: User | None = None) -> None:
    """Let every web process look at once whose rights are others, when the transaction commits."""
    hub.announce_revoked(user.pk if user else None)


def announce_alarm(scope: Scope, key: object) -> None:
    """Push what stands above every page; the last statement of its transaction."""
    changes.record([changes.Touched(scope.cluster, "alarm", str(key), stack=scope.stack)])


# --- Somebody can always manage access -----------------------------------------------------------


def describe(grant: Grant) -> dict[str, Any]:
    """A grant as the audit trail keeps it."""
    return {
        "role": grant.role,
        "cluster": grant.cluster,
        "stack": grant.stack,
        "expires_at": grant.expires_at,
        "most_replicas": grant.most_replicas,
    }


@contextmanager
def keeping_a_manager(actor: Actor) -> Iterator[None]:
    """Around a change, in its transaction: raises Invalid if it leaves nobody to manage access.

    Such changes wait for each other, so that two that are harmless alone are not made at once.
    """
    if actor is COMMAND_LINE:  # it can give the right again
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('access.manager'))")
    before = _somebody_manages()
    yield
    if before and not _somebody_manages():
        raise Invalid(
            "Nobody could manage access everywhere after this; nothing was changed."
            " Make somebody else an administrator of everything first, without an end."
        )


def _somebody_manages() -> bool:
    """Whether an active person is administrator of everything, for good."""
    found = live_grants().filter(
        role=Role.ADMIN, cluster="", stack="", break_glass=None, expires_at=None
    )
    by_group = found.filter(group__user__is_active=True)
    return found.filter(user__is_active=True).exists() or by_group.exists()
