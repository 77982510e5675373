"""Begin a rotation, and take it one step further, there or back."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from access import audit
from access.authorize import Actor
from access.models import AuditEntry
from clusters.models import MODELS, Cluster, Operation
from clusters.operations import approvals, lease
from clusters.operations.rights import may_still
from clusters.operations.rotating.leading import Leading
from clusters.operations.rotating.returning import Returning
from clusters.operations.rotating.stage import ENGINE_AGAIN, Stage, fail, noun_of
from clusters.operations.steps import noted
from clusters.ports import Engine, EngineError

EXPIRES = timedelta(minutes=15)  # a request that no worker took up by then surprises if it acts
BEGINS_WITHIN = timedelta(seconds=30)  # of an engine's silence before anything was changed
S = Operation.State


def step(operation: Operation, engine_for: Callable[[Cluster], Engine]) -> float | None:
    """Take the rotation one step further; the seconds until the next, or None once it has ended."""
    if operation.state == S.PENDING:
        _begin(operation)
    try:
        return _stage(operation)(operation, engine_for(operation.cluster)).step()
    except EngineError as error:
        return _engine_away(operation, error)


def _stage(operation: Operation) -> type[Stage]:
    """There or back; once the old version goes, there is no way back, nor a need for one."""
    back = operation.state == S.CANCELLING or operation.plan.get("failed")
    return Returning if back and not operation.plan.get("removing") else Leading


def _begin(operation: Operation) -> None:
    """From pending to running. What must not be carried out any more goes back at once."""
    steps = noted(operation, "check", "done")
    lease.move(operation, S.RUNNING, started_at=timezone.now(), steps=steps)
    if not may_still(operation, MODELS[noun_of(operation)].WRITE):
        _refused(operation)
        fail(operation, "", "The right to do this was withdrawn before it began.")
    elif not approvals.stands(operation):
        fail(operation, "", "It is protected, and nobody else approved the change.")
    elif timezone.now() - operation.released_at > EXPIRES:
        fail(operation, "", "No worker took the request up within 15 minutes.")


def _refused(operation: Operation) -> None:
    actor = Actor(operation.requested_by, operation.requested_via, operation.requested_from or "")
    audit.record(
        actor,
        MODELS[noun_of(operation)].WRITE,
        AuditEntry.Phase.REFUSED,
        scope=operation.scope,
        target=operation.target,
        operation=operation.id,
    )


def _engine_away(operation: Operation, error: EngineError) -> float:
    """Wait for the engine. If it was away before anything was changed, do not begin later on."""
    lease.write(operation, error=str(error))
    started = operation.started_at or timezone.now()
    untouched = all(part["state"] == "waiting" for part in operation.plan["consumers"])
    forward = operation.state == S.RUNNING and not operation.plan.get("failed")
    if forward and untouched and timezone.now() - started > BEGINS_WITHIN:
        fail(operation, "", str(error))
    return ENGINE_AGAIN
