"""Write the audit trail. An intent row stands in the same transaction as what it intends."""

from typing import Any
from uuid import UUID

from access.authorize import Actor
from access.models import AuditEntry
from access.policy import EVERYWHERE, Action, Scope


def record(
    actor: Actor,
    action: Action | str,
    phase: AuditEntry.Phase,
    *,
    scope: Scope = EVERYWHERE,
    target: str = "",
    operation: UUID | None = None,
    outcome: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Add one row. `detail` must hold no secret: it is shown to auditors as it is."""
    return AuditEntry.objects.create(
        phase=phase,
        actor=actor.user if actor.user.pk else None,
        actor_name=actor.user.get_username(),
        via=actor.via,
        address=actor.address,
        action=str(action),
        cluster=scope.cluster,
        stack=scope.stack,
        target=target,
        operation=operation,
        outcome=outcome,
        detail=detail or {},
    )
