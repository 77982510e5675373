"""Carry an operation out, one short step at a time.

Each step reads reality first, so that any worker can take the next one: after a crash nothing is
remembered that the rows and the engine do not tell. Between steps nobody holds anything.
"""

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from access import audit
from access.authorize import Actor
from access.models import AuditEntry
from access.policy import Action
from clusters import specs
from clusters.inventory import revisions
from clusters.models import Cluster, Operation
from clusters.operations import approvals, cancelling, disposing, following, lease
from clusters.operations.rights import ACTIONS, may_still
from clusters.operations.rotating import stepping
from clusters.operations.steps import noted
from clusters.ports import (
    Engine,
    EngineError,
    NotInSwarmMode,
    ObjectMissing,
    Raw,
    Refused,
    StaleVersion,
)

SEND_WITHIN = timedelta(
    seconds=30
)  # what is not accepted by then is told as such, not replayed later
EXPIRES = timedelta(
    minutes=15
)  # a request that no worker took up by then surprises if it still acts
AGAIN_SOON = 0.1  # seconds
ENGINE_AGAIN = 1.0

S = Operation.State
EngineFor = Callable[[Cluster], Engine]


def advance(operation_id: str, engine_for: EngineFor, holder: str) -> float | None:
    """Take the operation one step further; the seconds until the next, or None if it is not due.

    Returns None too when the operation has ended or is another worker's.
    """
    operation = lease.claim(operation_id, holder)
    if operation is None:
        return None
    try:
        rest = _step(operation, engine_for)
    except lease.Fenced:  # another worker's now; or still ours, but cancelled in the meantime
        return 0.0 if lease.release(operation, 0.0) else None
    if rest is not None:
        lease.release(operation, rest)
    return rest


def _step(operation: Operation, engine_for: EngineFor) -> float | None:
    if operation.rotates:
        return stepping.step(operation, engine_for)
    if operation.state == S.PENDING and not _may_begin(operation):
        return None
    if operation.state == S.CANCELLING and operation.sent_version is None:
        return _end(operation, S.CANCELLED, result="Cancelled before anything was changed.")
    try:
        engine = engine_for(operation.cluster)
        if operation.kind == Operation.Kind.SWARM_INIT:
            _begin(operation)
            return _init_swarm(operation, engine)
        if operation.disposes:
            _begin(operation)
            disposing.step(operation, engine)
            return None
        if operation.state == S.CANCELLING:
            return cancelling.step(operation, engine)
        if operation.accepted_version is None:
            return _send(operation, engine)
        return following.step(operation, engine)
    except ObjectMissing:
        _begin(operation)
        return _end(operation, S.FAILED, error=f"{operation.target} no longer exists in the Swarm.")
    except EngineError as error:
        return _engine_away(operation, error)


def _end(operation: Operation, state: Operation.State, **fields: object) -> float | None:
    """End the operation: no step is due any more."""
    lease.move(operation, state, **fields)
    return None


def _may_begin(operation: Operation) -> bool:
    """Whether the right still stands and the request is not stale; ends it otherwise."""
    action = next((a for kind, a in ACTIONS.values() if kind == operation.kind), None)
    action = action or disposing.ACTIONS.get(operation.kind) or following.SWARM_INIT_ACTION
    widens = specs.widened(operation.before, operation.after)
    for needed in (action, *([Action.SERVICE_WIDEN] if widens else [])):
        if not may_still(operation, needed):
            _refuse(operation, needed)
            return False
    if not approvals.stands(operation):
        error = "This scope is protected, and nobody else approved the change; nothing was changed."
        _end(operation, S.FAILED, error=error)
        return False
    if timezone.now() - operation.released_at > EXPIRES:
        _end(
            operation,
            S.FAILED,
            error="No worker took the request up within 15 minutes; nothing was changed.",
        )
        return False
    operation.steps = noted(operation, "check", "done")  # stored as it begins
    return True


def _begin(operation: Operation, **fields: object) -> None:
    """From pending to running, if it does not run yet; `fields` are stored with that."""
    if operation.state == S.PENDING:
        fields = {"steps": operation.steps, **fields}
        lease.move(operation, S.RUNNING, started_at=timezone.now(), **fields)


def _refuse(operation: Operation, action: object) -> None:
    with transaction.atomic():
        actor = Actor(
            operation.requested_by, operation.requested_via, operation.requested_from or ""
        )
        audit.record(
            actor,
            str(action),
            AuditEntry.Phase.REFUSED,
            scope=operation.scope,
            target=operation.target,
            operation=operation.id,
        )
        _end(
            operation,
            S.FAILED,
            error="The right to do this was withdrawn before it began; nothing was changed.",
        )


def _engine_away(operation: Operation, error: EngineError) -> float | None:
    """Wait for the engine; after a while give up on sending, lest it happen by surprise."""
    _begin(operation)
    lease.write(operation, error=str(error))
    started = operation.started_at or timezone.now()
    if operation.accepted_version is not None or timezone.now() - started < SEND_WITHIN:
        return ENGINE_AGAIN
    if operation.sent_version is None:
        _end(operation, S.FAILED, error=f"Nothing was changed: {error}")
    else:
        _end(
            operation,
            S.INTERRUPTED,
            error=f"The change was sent, but whether the engine took it is not known: {error}",
        )
    return None


# --- Sending: at most once -----------------------------------------------------------------------


def _send(operation: Operation, engine: Engine) -> float | None:
    """Send the spec at the version that was just read, if it is still the spec that was seen."""
    service = engine.service(operation.target_id)
    if specs.operation_of(service["Spec"]) == str(operation.id):
        _begin(operation)
        return _accepted(operation, service["Version"]["Index"], [])
    if specs.spec_hash(service["Spec"]) != specs.spec_hash(operation.before):
        _begin(operation)
        return _overtaken(operation, service)
    version = service["Version"]["Index"]
    _keep(operation, version, service["Spec"])
    sending = {"sent_version": version, "error": "", "steps": noted(operation, "send", "running")}
    _begin(operation, **sending)  # one commit for both: until it, the engine was only asked
    lease.write(operation, **sending)
    try:
        warnings = engine.update_service(
            operation.target_id, version, specs.marked(operation.after, str(operation.id))
        )
    except StaleVersion:  # rollout progress also counts as a version; the spec is compared anew
        lease.write(operation, sent_version=None)
        return AGAIN_SOON
    except Refused as error:
        return _end(operation, S.FAILED, error=f"The engine refused the change: {error}")
    return _accepted(operation, version + 1, warnings)


def _keep(operation: Operation, version: int, spec: Raw) -> None:
    """The spec that is replaced. The watcher has most often kept it: then nothing waits for it."""
    if not revisions.is_newest(operation.cluster, operation.target_id, spec):
        with transaction.atomic():
            revisions.lock(operation.cluster)
            seen = revisions.Seen(operation.target_id, version, spec)
            revisions.keep(operation.cluster, [seen])


def _accepted(operation: Operation, version: int, warnings: list[str]) -> float:
    steps = noted(operation, "send", "done", " ".join(warnings))
    lease.write(operation, accepted_version=version, error="", steps=steps)
    return AGAIN_SOON


def _overtaken(operation: Operation, service: Raw) -> float | None:
    """Another change came first, or came upon ours: tell both, change nothing."""
    ours = specs.operation_of(service.get("PreviousSpec") or {}) == str(operation.id)
    clash = following.clash(operation, service, operation.after if ours else operation.before)
    if ours:
        error = "The change was made, but somebody else changed the service right after it."
        return _end(operation, S.INTERRUPTED, error=error, clash=clash)
    if operation.sent_version is not None:
        error = (
            "The change was sent, and somebody else changed the service:"
            " which came first is not known."
        )
        return _end(operation, S.INTERRUPTED, error=error, clash=clash)
    error = (
        "Somebody else changed the service in the meantime; nothing was changed."
        " Compare both and decide."
    )
    return _end(operation, S.FAILED, error=error, clash=clash)


# --- docker swarm init ---------------------------------------------------------------------------


def _init_swarm(operation: Operation, engine: Engine) -> float | None:
    if engine.facts().swarm_state == "active":
        if operation.sent_version is None:
            return _end(operation, S.FAILED, error="The engine is in Swarm mode already.")
        return _end(
            operation, S.SUCCEEDED, done=1, result="The engine is the first manager of a new Swarm."
        )
    lease.write(operation, sent_version=0, steps=noted(operation, "init", "running"))
    try:
        engine.init_swarm(operation.change["advertise"])
    except (Refused, NotInSwarmMode) as error:
        return _end(operation, S.FAILED, error=f"The engine refused: {error}")
    return AGAIN_SOON
