"""Remove a secret or config, put a kept secret back, forget it: at once, or by two persons.

Where nothing is protected `making` does it in the request itself. In a protected scope it becomes
an operation that awaits a second person; `disposing` carries it out. No value is in it: what is put
back lies sealed in the panel already.
"""

from collections.abc import Callable
from typing import Any

from access.authorize import Actor, authorize
from access.policy import Action
from clusters.models import Cluster, Config, KeptSecret, Operation, Secret
from clusters.operations import approvals, making
from clusters.operations.announcing import Wake
from clusters.operations.requests import write_down
from clusters.ports import Engine, Noun

REMOVALS: dict[Noun, Operation.Kind] = {
    "secret": Operation.Kind.SECRET_REMOVE,
    "config": Operation.Kind.CONFIG_REMOVE,
}
Waits = Operation | None  # what awaits a second person; None: it is done


def remove(actor: Actor, found: Secret | Config, *, engine: Engine, wake: Wake) -> Waits:
    """Raises Forbidden, ProofNeeded, Invalid with the services' names, Busy, EngineError."""
    authorize(actor, found.REMOVE, found.scope)
    if not approvals.needed(actor.user, found.scope):
        making.remove(actor, found, engine=engine)
        return None
    making.refuse_in_use(actor, found)
    operation = _operation(found.cluster, REMOVALS[found.noun], found.name, found.stack)
    operation.target_id = f"{found.noun}:{found.engine_id}"
    operation.base_version = found.version
    operation.plan = {"id": found.engine_id}
    return _ask(actor, operation, found.REMOVE, wake)


def put_back(actor: Actor, kept: KeptSecret, *, engine: Engine, wake: Wake) -> Waits:
    """Raises Forbidden, ProofNeeded, Invalid, EngineError."""

    def now() -> None:
        making.put_back(actor, kept, engine=engine)

    return _with_kept(
        actor, kept, Operation.Kind.SECRET_PUT_BACK, Action.SECRET_WRITE, now=now, wake=wake
    )


def forget(actor: Actor, kept: KeptSecret, *, wake: Wake) -> Waits:
    """Raises Forbidden, ProofNeeded."""

    def now() -> None:
        making.forget(actor, kept)

    return _with_kept(
        actor, kept, Operation.Kind.SECRET_FORGET, Action.SECRET_REMOVE, now=now, wake=wake
    )


def _with_kept(
    actor: Actor,
    kept: KeptSecret,
    kind: Operation.Kind,
    action: Action,
    *,
    now: Callable[[], None],
    wake: Wake,
) -> Waits:
    authorize(actor, action, kept.scope)
    if not approvals.needed(actor.user, kept.scope):
        now()
        return None
    operation = _operation(kept.cluster, kind, kept.name, kept.stack)
    operation.target_id = f"kept:{kept.pk}"
    operation.plan = {"sealed": approvals.sealed_hash(kept)}
    return _ask(actor, operation, action, wake)


def _operation(cluster: Cluster, kind: Operation.Kind, name: str, stack: str) -> Operation:
    noun, _, what = str(kind.value).partition("-")
    fields: dict[str, Any] = {"change": {what.replace("-", "_"): noun}, "unit": f"{noun}s"}
    return Operation(kind=kind, cluster=cluster, target=name, stack=stack, total=1, **fields)


def _ask(actor: Actor, operation: Operation, action: Action, wake: Wake) -> Operation:
    """Write it down; the same that this person asked for already and nobody decided is that one."""
    waiting = Operation.objects.filter(
        state=Operation.State.AWAITING,
        requested_by=actor.user,
        cluster=operation.cluster,
        target_id=operation.target_id,
        kind=operation.kind,
        base_version=operation.base_version,
    )
    known = next((one for one in waiting if one.plan == operation.plan), None)
    return known or write_down(actor, operation, action, wake)
