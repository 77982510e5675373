"""Ask for an operation: authorize, foresee, and write it down with its intent, in one transaction.

Nothing here speaks to an engine. The pending row is the outbox; the message that wakes a worker is
sent after the commit, and the sweep repeats it if it is lost.
"""

from dataclasses import dataclass, field

from django.db import IntegrityError, models, transaction

from access import audit
from access.authorize import Actor, Forbidden, authorize, may, most_replicas
from access.models import AuditEntry
from access.policy import Action
from clusters import readings, specs
from clusters.changes import Restart, Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Cluster, Operation, Revision, Service, SwarmTask
from clusters.operations import approvals
from clusters.operations.announcing import Wake, announce
from clusters.operations.holding import busy, refuse_if_held
from clusters.ports import Raw
from clusters.problems import Clash, Conflict, Invalid
from clusters.readings import Health
from clusters.specs import Difference

S = Operation.State

ACTIONS: dict[type[ServiceChange], tuple[Operation.Kind, Action]] = {
    Scale: (Operation.Kind.SCALE, Action.SERVICE_SCALE),
    Update: (Operation.Kind.UPDATE, Action.SERVICE_UPDATE),
    Rollback: (Operation.Kind.ROLLBACK, Action.SERVICE_ROLLBACK),
    Restart: (Operation.Kind.RESTART, Action.SERVICE_RESTART),
    Resume: (Operation.Kind.RESUME, Action.SERVICE_UPDATE),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do, computed from the present picture."""

    service: Service
    kind: Operation.Kind
    after: Raw
    differences: list[Difference]
    restarts: list[SwarmTask]  # the running tasks that Swarm will replace
    adds: int  # tasks
    removes: int
    awaits: bool = False  # a second person: it is done once somebody else has approved it
    warnings: list[str] = field(default_factory=list)

    @property
    def changes_nothing(self) -> bool:
        # Written once more, a spec sets the rollout that Swarm paused going again.
        goes_on = self.kind == Operation.Kind.RESUME and self.service.health == Health.PAUSED
        return not (self.differences or goes_on)


def preview(actor: Actor, service: Service, change: ServiceChange) -> Preview:
    """Foresee a change. Raises Forbidden, Invalid, or Conflict when `change.version` is stale."""
    kind, action = ACTIONS[type(change)]
    authorize(actor, action, service.scope)
    _refuse_beyond_bounds(actor, service, change)
    after = _after(service, change)
    _refuse_widening(actor, service, after)
    _refuse_stale(service, change, after)
    before_count, after_count = _count(service.spec), _count(after)
    return Preview(
        service=service,
        kind=kind,
        after=after,
        differences=specs.differences(service.spec, after),
        restarts=_restarts(service, change, after),
        adds=max(0, after_count - before_count),
        removes=max(0, before_count - after_count),
        awaits=approvals.needed(actor.user, service.scope),
        warnings=_warnings(service, change, after),
    )


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
    foreseen = preview(actor, service, change)
    if foreseen.changes_nothing:
        raise Invalid("The service is already as you ask: nothing would change.")
    _refuse_unless_insisted(service, change)
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
    return write_down(actor, operation, action, wake)


def _awaiting(actor: Actor, service: Service, after: Raw) -> Operation | None:
    """The same, asked for already and not yet decided."""
    waiting = Operation.objects.filter(
        state=Operation.State.AWAITING,
        requested_by=actor.user,
        cluster=service.cluster,
        target_id=service.engine_id,
    )
    return next((operation for operation in waiting if operation.after == after), None)


def write_down(actor: Actor, operation: Operation, action: Action, wake: Wake) -> Operation:
    """Save a new operation with its intent, announce it, and wake a worker once it is committed."""
    operation.requested_by = actor.user
    operation.requested_via = actor.via
    operation.requested_from = actor.address
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


def _after(service: Service, change: ServiceChange) -> Raw:
    try:
        if isinstance(change, Scale):
            return specs.scaled(service.spec, change.replicas)
        if isinstance(change, Update):
            return specs.updated(released(service), change)
        if isinstance(change, Restart):
            return specs.restarted(released(service))
        if isinstance(change, Resume):
            return released(service)
        return _revision_spec(service, change)
    except specs.NotScalable as error:
        raise Invalid(str(error), "replicas") from error


def released(service: Service) -> Raw:
    """The spec with the update_config from before a stopped rollout, so that tasks move again."""
    if not specs.is_held(service.spec):
        return service.spec
    earlier = revisions_of(service).values_list("spec", flat=True)
    config = next((spec.get("UpdateConfig") for spec in earlier if not specs.is_held(spec)), None)
    spec = {key: value for key, value in service.spec.items() if key != "UpdateConfig"}
    return {**spec, "UpdateConfig": config} if config else spec


def revisions_of(service: Service) -> models.QuerySet[Revision]:
    """The kept specs of the service, newest first."""
    return Revision.objects.filter(cluster=service.cluster, service_engine_id=service.engine_id)


def _revision_spec(service: Service, change: Rollback) -> Raw:
    led = _rotations_of(service)
    revision = _revision(service, change.revision, led)
    present = specs.spec_hash(service.spec)
    old = _with_present_versions(revision.spec, led)
    after = specs.returned_to(service.spec, old, keep_replicas=change.keep_replicas)
    if specs.spec_hash(after) == present:  # they differ in nothing but the count
        after = specs.returned_to(service.spec, old, keep_replicas=False)
    return after


def _rotations_of(service: Service) -> list[Operation]:
    """The rotations that led the service to another version, the first one first."""
    kinds = (Operation.Kind.SECRET_ROTATE, Operation.Kind.CONFIG_ROTATE)
    done = Operation.objects.filter(cluster=service.cluster, holds__contains=[service.engine_id])
    return list(done.filter(kind__in=kinds, state=S.SUCCEEDED).order_by("finished_at"))


def _with_present_versions(spec: Raw, led: list[Operation]) -> Raw:
    """The spec with the secrets and configs that took the place of those that it refers to.

    A rotation removed these, and the engine refuses a spec that refers to what is gone.
    """
    for rotation in led:
        if noun := rotation.rotates:
            old, new = rotation.plan["old"], rotation.plan["new"]
            spec = specs.rereferenced(spec, noun, old["id"], new["id"], new["name"])
    return spec


def _revision(service: Service, number: int | None, led: list[Operation]) -> Revision:
    """The revision with this number; without one, the newest other one that did not fail.

    Among those it prefers one with another task template: after a scale, "back" means the tasks.
    """
    found = revisions_of(service)
    if number is not None:
        revision = found.filter(number=number).first()
        if revision is None:
            raise Invalid(f"{service.name} has no revision {number}.", "revision")
        return revision
    others = [
        (r, spec)
        for r in found.select_related("operation")
        if not (r.operation and r.operation.state in (S.FAILED, S.ROLLED_BACK))
        and specs.spec_hash(spec := _with_present_versions(r.spec, led))
        != specs.spec_hash(service.spec)
    ]
    by_template = (r for r, spec in others if specs.replaces_tasks(service.spec, spec))
    revision = next(by_template, others[0][0] if others else None)
    if revision is None:
        raise Invalid(f"{service.name} has no earlier revision to return to.", "revision")
    return revision


def _refuse_stale(service: Service, change: ServiceChange, after: Raw) -> None:
    """The version also counts rollout progress; only another spec makes it stale."""
    seen = change.version
    if seen is None or seen == service.version:
        return
    revision = revisions_of(service).filter(version__lte=seen).first()
    if revision is not None and seen < service.version:
        if revision.spec_hash == specs.spec_hash(service.spec):
            return
        theirs = specs.differences(revision.spec, service.spec)
    else:
        theirs = []
    raise Conflict(Clash(service.version, theirs, specs.differences(service.spec, after)))


def _count(spec: Raw) -> int:
    return specs.replicas_of(spec) or 0


def _restarts(service: Service, change: ServiceChange, after: Raw) -> list[SwarmTask]:
    """The running tasks that Swarm will replace."""
    if not specs.replaces_tasks(service.spec, after) and not isinstance(change, Resume):
        return []
    aim = readings.template_hash(after["TaskTemplate"])
    # A rollout that stopped half way leaves tasks that are already as they shall be.
    return [task for task in _running_tasks(service) if task.template_hash != aim]


def _running_tasks(service: Service) -> list[SwarmTask]:
    return list(
        SwarmTask.objects.filter(
            cluster=service.cluster, service_engine_id=service.engine_id, desired_state="running"
        )
    )


def _refuse_beyond_bounds(actor: Actor, service: Service, change: ServiceChange) -> None:
    """Who scales by a grant with a bound stays inside it, and leaves at least one task."""
    if not isinstance(change, Scale):
        return
    bound = most_replicas(actor.user, service.scope)
    if bound is not None and not 1 <= change.replicas <= bound:
        why = f"Your grant lets you scale services here to between 1 and {bound} replicas."
        raise Forbidden(Action.SERVICE_SCALE, service.scope, visible=True, why=why)


def _refuse_widening(actor: Actor, service: Service, after: Raw) -> None:
    """Who may not mount a secret or the host's files must not get them back by a rollback."""
    paths = specs.widened(service.spec, after)
    if paths and not may(actor.user, Action.SERVICE_WIDEN, service.scope):
        names = ", ".join(path.rpartition(".")[2] for path in paths)
        why = (
            f"That revision gives {service.name} back what was taken from it: {names}."
            " Ask an administrator to return to it."
        )
        raise Forbidden(Action.SERVICE_WIDEN, service.scope, visible=True, why=why)
    if paths:
        authorize(actor, Action.SERVICE_WIDEN, service.scope)


def _refuse_unless_insisted(service: Service, change: ServiceChange) -> None:
    """A scale during a rollout. Raises Invalid, with Swarm's reason."""
    if not isinstance(change, Scale) or change.insist:
        return
    if warning := _rollout_warning(service, change):
        raise Invalid(f"{warning} Wait for it, or say that you insist.", "insist")


def _rollout_warning(service: Service, change: ServiceChange) -> str:
    if service.health == Health.PAUSED:
        if isinstance(change, Rollback):
            return ""  # it leads away from what was paused
        if isinstance(change, Update):
            return "A rollout is paused: this update is made on top of its spec."
        return "A rollout is paused: this change sets it going again with the new tasks."
    if service.health == Health.UPDATING:
        return "A rollout is under way: this change cuts it short."
    return ""


def _warnings(service: Service, change: ServiceChange, after: Raw) -> list[str]:
    """What a careful colleague would say before the button is pressed."""
    if isinstance(change, Resume):
        return _resume_warnings(service)
    found = [_rollout_warning(service, change)]
    if isinstance(change, Scale) and change.replicas == 0:
        found.append("The service will run no task at all.")
    update = after.get("UpdateConfig") or {}
    if specs.replaces_tasks(service.spec, after) and update.get("Parallelism") == 0:
        found.append("The parallelism is 0: all tasks are replaced at the same time.")
    return [warning for warning in found if warning]


def _resume_warnings(service: Service) -> list[str]:
    if specs.is_held(service.spec) or not service.last_error:
        return []
    return [f"New tasks failed: {service.last_error}. Unless the cause is gone, they fail again."]


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
