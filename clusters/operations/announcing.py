"""What the changes of an operation are followed by: a numbered change, and at its end a result."""

from collections.abc import Callable

from access import audit
from access.authorize import Actor
from access.models import AuditEntry
from clusters.models import Operation
from live import changes as live_changes

Wake = Callable[[str], None]  # tells a worker of an operation's id; must not raise


def announce(operation: Operation) -> None:
    """Number and push the operation's change; call it last in the transaction."""
    live_changes.record(
        live_changes.Touched(
            operation.cluster.name, "operation", str(operation.id), parent, operation.stack
        )
        for parent in (operation.target_id, *operation.holds)
    )


def note_result(operation: Operation, state: Operation.State, sentence: str) -> None:
    """The audit trail's row of how the operation ended."""
    actor = Actor(operation.requested_by, operation.requested_via, operation.requested_from or "")
    audit.record(
        actor,
        f"operation.{operation.kind}",
        AuditEntry.Phase.RESULT,
        scope=operation.scope,
        target=operation.target,
        operation=operation.id,
        outcome=state,
        detail={"result": sentence},
    )
