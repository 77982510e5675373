"""Ask for an operation: authorize, foresee, and write it down with its intent, in one transaction.

Nothing here speaks to an engine. The pending row is the outbox; the message that wakes a worker is
sent after the commit, and the sweep repeats it if it is lost.
"""

from django.db import IntegrityError, transaction

from access import audit
from access.authorize import Actor, authorize
from access.models import AuditEntry
from access.policy import Action
from clusters.changes import ServiceChange
from clusters.models import Cluster, Operation, Service
from clusters.operations import approvals
from clusters.operations.announcing import Wake, announce
from clusters.operations.cautions import refuse_unless_insisted
from clusters.operations.holding import busy, refuse_if_held
from clusters.operations.previews import foresee
from clusters.operations.rights import ACTIONS
from clusters.ports import Raw
from clusters.problems import Invalid


def request(
    actor: Actor,
    service: Service,
    change: ServiceChange,
    *,
    wake: Wake,
    idempotency_key: str | None = None,
) -> Operation:
    """Write the operation down and wake a worker; a repeated key returns the same operation.

    Raises what `preview` raises, and Busy while another operation on the service is under way.
    """
    _, action = ACTIONS[type(change)]
    authorize(actor, action, service.scope)
    if idempotency_key and (known := by_key(actor, idempotency_key)):
        return known
    foreseen = foresee(actor, service, change)
    if foreseen.changes_nothing:
        raise Invalid("The service is already as you ask: nothing would change.")
    refuse_unless_insisted(service, change)
    if foreseen.awaits and (known := _awaiting(actor, service, foreseen.after)):
        return known
    operation = Operation(
        kind=foreseen.kind,
        cluster=service.cluster,
        target_id=service.engine_id,
        target=service.name,
        stack=service.stack,
        change=change.asked(),
        before=service.spec,
        after=foreseen.after,
        base_version=service.version,
        idempotency_key=idempotency_key or None,
    )
    return write_down(actor, operation, action, wake, awaits=foreseen.awaits)


def _awaiting(actor: Actor, service: Service, after: Raw) -> Operation | None:
    """The same, asked for already and not yet decided."""
    waiting = Operation.objects.filter(
        state=Operation.State.AWAITING,
        requested_by=actor.user,
        cluster=service.cluster,
        target_id=service.engine_id,
    )
    return next((operation for operation in waiting if operation.after == after), None)


def write_down(
    actor: Actor, operation: Operation, action: Action, wake: Wake, awaits: bool | None = None
) -> Operation:
    """Save a new operation with its intent, announce it, and wake a worker once it is committed.

    `awaits`: whether it waits for somebody else, if that was just asked. The worker asks once more.
    """
    operation.requested_by = actor.user
    operation.requested_via = actor.via
    operation.requested_from = actor.address
    if awaits is None:
        awaits = approvals.needed_for(actor.user, operation)
    if awaits:
        operation.state = Operation.State.AWAITING
    operation.api_token = actor.user.token
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
            if awaits:
                approvals.ask(operation)
            audit.record(
                actor,
                action,
                AuditEntry.Phase.INTENT,
                scope=operation.scope,
                target=operation.target,
                operation=operation.id,
                detail={"change": _without_values(operation.change), **_waits(awaits)},
            )
            refuse_if_held(operation)
            if not awaits:
                transaction.on_commit(lambda: wake(str(operation.id)))
            announce(operation)
    except IntegrityError as error:
        return _already_there(actor, operation, error)
    return operation


def _waits(awaits: bool) -> dict[str, str]:
    return {"awaits": "approval by somebody else"} if awaits else {}


def _already_there(actor: Actor, operation: Operation, error: IntegrityError) -> Operation:
    """A constraint refused a second row: the same request again, or another one under way."""
    if operation.idempotency_key and (known := by_key(actor, operation.idempotency_key)):
        return known
    active = Operation.objects.filter(
        cluster=operation.cluster, target_id=operation.target_id, state__in=Operation.ACTIVE
    ).first()
    if active is None:
        raise error
    if (
        active.requested_by == actor.user
        and active.kind == operation.kind
        and active.after == operation.after
        and not operation.rotates  # whose values might differ
    ):
        return active  # a form sent twice
    raise busy(active) from error


def by_key(actor: Actor, key: str) -> Operation | None:
    return Operation.objects.filter(requested_by=actor.user, idempotency_key=key).first()


def _without_values(change: dict[str, object]) -> dict[str, object]:
    """The change without the environment's values, which the audit trail must not keep."""
    env = change.get("env")
    return {**change, "env": sorted(env)} if isinstance(env, dict) else change


def request_cancel(
    actor: Actor, operation: Operation, how: Operation.Cancel, *, wake: Wake
) -> Operation:
    """Cancel: at once if it was not sent, a rollout by `how`. Raises Forbidden, Invalid."""
    authorize(actor, Action.OPERATION_CANCEL, operation.scope)
    if operation.rotates and how == Operation.Cancel.STOP:
        raise Invalid("A rotation does not stop half way: cancel it to go back.", "how")
    with transaction.atomic():
        operation = (
            Operation.objects.select_for_update(of=("self",), no_key=True)
            .select_related("cluster")
            .get(pk=operation.pk)
        )
        if not (operation.active or operation.awaiting):
            raise Invalid(f"The operation has already ended: {operation.get_state_display()}.")
        if operation.state == Operation.State.CANCELLING and operation.cancel == how:
            return operation
        operation.cancel, operation.cancelled_by = how, actor.user
        if operation.awaiting:
            approvals.withdraw(actor, operation)
        else:
            operation.state = Operation.State.CANCELLING
        operation.save(update_fields=["state", "cancel", "cancelled_by"])
        audit.record(
            actor,
            Action.OPERATION_CANCEL,
            AuditEntry.Phase.INTENT,
            scope=operation.scope,
            target=operation.target,
            operation=operation.id,
            detail={"how": how},
        )
        transaction.on_commit(lambda: wake(str(operation.id)))
        announce(operation)
    return operation


def request_swarm_init(actor: Actor, cluster: Cluster, advertise: str, *, wake: Wake) -> Operation:
    """Ask to make the cluster's engine the first manager of a new Swarm."""
    authorize(actor, Action.SWARM_INIT, cluster.scope)
    if cluster.state != Cluster.State.NOT_A_SWARM:
        raise Invalid(f"{cluster.name} is not an engine outside Swarm mode.")
    operation = Operation(
        kind=Operation.Kind.SWARM_INIT,
        cluster=cluster,
        target_id=f"cluster:{cluster.pk}",
        target=cluster.name,
        change={"advertise": advertise},
        unit="engines",
        total=1,
    )
    return write_down(actor, operation, Action.SWARM_INIT, wake)
