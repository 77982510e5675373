"""Two persons on protected scopes: who asked is one, who approves another.

An approval is of one spec on top of another: it binds the hashes of both and the version that the
service had, and any change since makes it void. Who broke the glass asks nobody.
"""

import hashlib
from collections.abc import Iterable
from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from access import audit
from access.authorize import Actor, Forbidden, authorize, emergency_of, may
from access.models import AuditEntry, User
from access.policy import Action, Scope
from clusters import specs, states
from clusters.models import (
    MODELS,
    Approval,
    KeptSecret,
    Operation,
    Secret,
    Service,
)
from clusters.operations.announcing import Wake, announce, note_result
from clusters.operations.holding import refuse_if_held
from clusters.ports import Noun
from clusters.problems import Busy, Invalid
from clusters.selectors.usage import consumers_of

LIFE = timedelta(hours=1)  # whoever has not decided by then would decide about another moment
S = Operation.State


def needed(user: User, scope: Scope) -> bool:
    """Whether a change of a service that this user asks for here waits for somebody else."""
    return needed_in_any(user, scope.cluster, [scope.stack])


def needed_for(user: User, operation: Operation) -> bool:
    """Whether the operation waits for somebody else: for any of the services that it changes."""
    if operation.kind == Operation.Kind.SWARM_INIT:
        return False
    services = Service.objects.filter(cluster=operation.cluster, engine_id__in=operation.holds)
    stacks = {operation.stack, *services.values_list("stack", flat=True)}
    return needed_in_any(user, operation.cluster.name, stacks)


def needed_in_any(user: User, cluster: str, stacks: Iterable[str]) -> bool:
    protected = _protected_among(cluster, stacks)
    return any(emergency_of(user, Scope(cluster, stack)) is None for stack in protected)


def _protected_among(cluster: str, stacks: Iterable[str]) -> list[str]:
    """Those of the cluster's stacks in which a change needs a second person."""
    with connection.cursor() as cursor:
        cursor.execute(_PROTECTED, {"cluster": cluster, "stacks": list(stacks)})
        return [stack for (stack,) in cursor.fetchall()]


# Asked for each change, by the request and by the worker, so it is written out. By any name of the
# cluster's Swarm: registered once more under another name, it is as protected.
_PROTECTED = """
    SELECT asked.stack FROM unnest(%(stacks)s::text[]) AS asked (stack)
    WHERE EXISTS (
        SELECT FROM access_protection AS protection
        WHERE protection.stack IN ('', asked.stack) AND protection.cluster IN (
            SELECT %(cluster)s
            UNION ALL
            SELECT other.name FROM clusters_cluster AS own
            JOIN clusters_cluster AS other USING (swarm_id)
            WHERE own.name = %(cluster)s AND own.swarm_id <> ''
        )
    )
"""


def ask(operation: Operation) -> Approval:
    """Bind what is asked for; called in the transaction that saves the operation."""
    return Approval.objects.create(
        operation=operation,
        version=operation.base_version,
        before_hash=specs.spec_hash(operation.before),
        after_hash=_asked(operation),
        expires_at=Now() + LIFE,
    )


def _asked(operation: Operation) -> str:
    """What is asked for, as a hash: the spec to be; of a rotation, the versions and services; of
    what goes or comes back, which one it is."""
    if operation.disposes:
        return specs.fingerprint({"kind": operation.kind, **operation.plan})
    if not operation.rotates:
        return specs.spec_hash(operation.after)
    plan = operation.plan
    names = [plan["old"]["name"], plan["new"]["name"]]
    return specs.fingerprint({"names": names, "services": sorted(operation.holds)})


def void_because(approval: Approval) -> str:
    """Why it can no longer be approved; empty if it can. Expiry is judged by the database."""
    operation = approval.operation
    if not Approval.objects.filter(pk=approval.pk, expires_at__gt=Now()).exists():
        return "Nobody decided within an hour."
    if noun := operation.rotates:
        return _rotation_void_because(approval, noun)
    if operation.disposes:
        same = approval.after_hash == _asked(operation)
        return disposal_void_because(operation) if same else "It is another request now."
    service = Service.objects.filter(
        cluster=operation.cluster, engine_id=operation.target_id
    ).first()
    if service is None:
        return f"{operation.target} no longer exists."
    if not _bound(approval, service):
        return f"{operation.target} was changed after this was asked for: ask anew."
    return ""


def _rotation_void_because(approval: Approval, noun: Noun) -> str:
    """The old version is there, and the same services use it."""
    operation = approval.operation
    old = operation.plan["old"]
    found = MODELS[noun].objects.filter(cluster=operation.cluster, engine_id=old["id"]).first()
    if found is None:
        return f"{old['name']} no longer exists."
    using = set(consumers_of(found).values_list("engine_id", flat=True))
    if using != set(operation.holds) or approval.after_hash != _asked(operation):
        return f"Other services use {old['name']} now than when this was asked for: ask anew."
    return ""


def disposal_void_because(operation: Operation) -> str:
    """What is to go, or to come back, is what it was, and nobody uses it."""
    cluster, name = operation.cluster, operation.target
    secrets = Secret.objects.filter(cluster=cluster, name=name)
    if "sealed" in operation.plan:
        kept = KeptSecret.objects.filter(cluster=cluster, name=name).first()
        if kept is None or sealed_hash(kept) != operation.plan["sealed"]:
            return f"What is kept of {name} is not what it was when this was asked for."
        again = operation.kind == Operation.Kind.SECRET_PUT_BACK and secrets.exists()
        return f"There is a secret named {name} again." if again else ""
    model = MODELS[operation.disposes or "secret"]
    found = model.objects.filter(cluster=cluster, engine_id=operation.plan["id"]).first()
    if found is None:
        return f"{name} no longer exists."
    if found.version != operation.base_version:
        return f"{name} was changed after this was asked for: ask anew."
    return f"{name} is in use by now." if consumers_of(found).exists() else ""


def sealed_hash(kept: KeptSecret) -> str:
    """Tells one kept value from another; of the sealed one, so it says nothing of the value."""
    return hashlib.sha256(bytes(kept.sealed)).hexdigest()


def _bound(approval: Approval, service: Service) -> bool:
    operation = approval.operation
    same = (service.version, specs.spec_hash(service.spec), _asked(operation))
    return same == (approval.version, approval.before_hash, approval.after_hash)


def stands(operation: Operation) -> bool:
    """Whether the operation may begin: nobody else is needed, or somebody else has approved it."""
    approval: Approval | None = getattr(operation, "approval", None)
    if approval is None:
        operation.requested_by.token = operation.api_token  # which carries no emergency
        return not needed_for(operation.requested_by, operation)
    by_whoever_may = approval.approved and _may_still(approval.decided_by, operation.scope)
    return by_whoever_may and approval.after_hash == _asked(operation)


def _may_still(user: User | None, scope: Scope) -> bool:
    """Whether who approved could do so now: a right that ended meanwhile ended for this as well."""
    return user is not None and may(user, Action.OPERATION_APPROVE, scope)


def decide(
    actor: Actor, operation: Operation, *, approve: bool, note: str = "", wake: Wake
) -> Operation:
    """Approve or decline. Raises Forbidden, ProofNeeded, Invalid, Busy."""
    authorize(actor, Action.OPERATION_APPROVE, operation.scope)
    if actor.user.pk == operation.requested_by_id:
        why = "You asked for this yourself: somebody else has to approve it."
        raise Forbidden(Action.OPERATION_APPROVE, operation.scope, visible=True, why=why)
    try:
        with transaction.atomic():
            approval = _locked(operation)
            operation = approval.operation
            if approve and (reason := void_because(approval)):
                raise Invalid(f"This cannot be approved any more. {reason}")
            _note(actor, approval, approve=approve, note=note)
            if approve:
                _release(operation)
                transaction.on_commit(lambda: wake(str(operation.pk)))
            else:
                declined = f"Declined by {actor.user.get_username()}"
                _close(operation, f"{declined}: {note.rstrip('.')}." if note else f"{declined}.")
            announce(operation)
    except IntegrityError as error:
        raise _busy(operation) from error
    return operation


def _locked(operation: Operation) -> Approval:
    """With its operation as it is now: of two who decide at once, or one who withdraws it, one is
    the first."""
    approval = (
        Approval.objects.select_for_update(of=("self", "operation"), no_key=True)
        .select_related("operation__cluster", "operation__requested_by")
        .filter(operation=operation)
        .first()
    )
    if approval is None:
        raise Invalid("This awaits nobody: what it changes is not protected.")
    if not approval.operation.awaiting:
        raise Invalid(f"This awaits nobody: it is {approval.operation.get_state_display()}.")
    return approval


def _note(actor: Actor, approval: Approval, *, approve: bool, note: str) -> None:
    operation = approval.operation
    Approval.objects.filter(pk=approval.pk).update(
        decided_by=actor.user, decided_at=Now(), approved=approve, note=note
    )
    audit.record(
        actor,
        Action.OPERATION_APPROVE,
        AuditEntry.Phase.EVENT,
        scope=operation.scope,
        target=operation.target,
        operation=operation.pk,
        outcome="approved" if approve else "declined",
        detail={"spec": approval.after_hash, "version": approval.version, "note": note},
    )


def _release(operation: Operation) -> None:
    """To the workers, as if it had been asked for now."""
    waiting = Operation.objects.filter(pk=operation.pk, state__in=states.sources(S.PENDING))
    waiting.update(state=S.PENDING, released_at=Now(), next_step_at=Now())
    operation.state = S.PENDING
    refuse_if_held(operation)


def _close(operation: Operation, result: str) -> None:
    """End what was never sent. The new version that a rotation left in the Swarm goes first."""
    waiting = Operation.objects.filter(pk=operation.pk, state=S.AWAITING)
    if operation.rotates:
        plan = {**operation.plan, "closed": result}
        way = {"cancel": Operation.Cancel.BACK, "released_at": Now(), "next_step_at": Now()}
        waiting.update(state=S.CANCELLING, plan=plan, **way)
        operation.state, operation.plan = S.CANCELLING, plan
        return
    waiting.update(state=S.CANCELLED, finished_at=Now(), result=result)
    operation.state, operation.result = S.CANCELLED, result
    note_result(operation, S.CANCELLED, result)


def _busy(operation: Operation) -> Busy:
    active = Operation.objects.filter(
        cluster=operation.cluster, target_id=operation.target_id, state__in=Operation.ACTIVE
    ).first()
    message = f"{operation.target} has another operation under way: wait for it, or cancel it."
    return Busy(message, active.pk if active else operation.pk)


def withdraw(actor: Actor, operation: Operation) -> None:
    """Take back what nobody has decided yet; called with the operation locked."""
    _close(operation, f"Withdrawn by {actor.user.get_username()}; nothing was changed.")


def close_void() -> None:
    """End what can no longer be approved, and write its result down."""
    waiting = Approval.objects.filter(operation__state=S.AWAITING).select_related(
        "operation__cluster", "operation__requested_by"
    )
    for approval in waiting:
        if reason := void_because(approval):
            _end_void(approval.operation, reason)


def _end_void(operation: Operation, reason: str) -> None:
    with transaction.atomic():
        approval = (
            Approval.objects.select_for_update(of=("self", "operation"), no_key=True)
            .select_related("operation")
            .filter(operation=operation, operation__state=S.AWAITING, decided_at=None)
            .first()
        )
        if approval is None:
            return  # decided in the meantime
        _close(operation, f"{reason} Nothing was changed.")
        announce(operation)
