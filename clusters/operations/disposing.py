"""Carry out what a second person agreed to: a removal, a kept secret's return or its end.

Like every step it looks first, does one thing, and tells its own doing from another's afterwards,
so that a worker can die anywhere.
"""

from contextlib import suppress

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from access.policy import Action
from access.vault import CannotUnseal
from clusters import specs
from clusters.models import KeptSecret, Operation
from clusters.operations import approvals, lease, making
from clusters.operations.steps import noted
from clusters.ports import Engine, Noun, ObjectMissing, Raw, Refused

S, Kind = Operation.State, Operation.Kind
ACTIONS: dict[str, Action] = {
    Kind.SECRET_REMOVE: Action.SECRET_REMOVE,
    Kind.CONFIG_REMOVE: Action.CONFIG_REMOVE,
    Kind.SECRET_PUT_BACK: Action.SECRET_WRITE,
    Kind.SECRET_FORGET: Action.SECRET_REMOVE,
}


def step(operation: Operation, engine: Engine) -> None:
    """All of it, in one step. Raises EngineUnreachable: whoever calls tries again, or gives up."""
    sent = operation.sent_version is not None
    if not sent and (reason := approvals.disposal_void_because(operation)):
        return _failed(operation, f"{reason} Nothing was changed.")
    if operation.kind == Kind.SECRET_FORGET:
        return _forget(operation)
    try:
        there = _there(operation, engine)
        if operation.kind == Kind.SECRET_PUT_BACK:
            return _put_back(operation, engine, there)
        return _remove(operation, engine, there)
    except Refused as error:
        return _failed(operation, f"The engine refused; nothing was changed: {error}")


def _noun(operation: Operation) -> Noun:
    if operation.disposes is None:
        raise ValueError(f"{operation} is about no secret or config")
    return operation.disposes


def _there(operation: Operation, engine: Engine) -> Raw | None:
    """What bears the name in the Swarm now."""
    try:
        return engine.named(_noun(operation), operation.target)
    except ObjectMissing:
        return None


def _remove(operation: Operation, engine: Engine, there: Raw | None) -> None:
    mine = there is not None and there["ID"] == operation.plan["id"]
    if not mine and operation.sent_version is None:
        return _failed(operation, f"{operation.target} no longer exists in the Swarm.")
    if mine and there and there["Version"]["Index"] != operation.base_version:
        return _failed(operation, f"{operation.target} was changed since. Nothing was removed.")
    if mine:
        _note_sending(operation, "remove")
        with suppress(ObjectMissing):  # then it is gone, as was asked
            engine.remove(_noun(operation), operation.plan["id"])
    return _succeeded(operation, "remove", f"{operation.target} was removed.")


@sensitive_variables("spec")
def _put_back(operation: Operation, engine: Engine, there: Raw | None) -> None:
    if there is None:
        kept = KeptSecret.objects.filter(cluster=operation.cluster, name=operation.target).first()
        if kept is None:
            return _failed(operation, f"Nothing is kept of {operation.target} any more.")
        try:
            spec = making.kept_spec(kept, mark=str(operation.pk))
        except CannotUnseal as error:
            return _failed(operation, str(error))
        _note_sending(operation, "put-back")
        engine.create("secret", spec)
    elif (there["Spec"].get("Labels") or {}).get(specs.OPERATION_LABEL) != str(operation.pk):
        return _failed(operation, f"There is a secret named {operation.target} again.")
    return _succeeded(operation, "put-back", f"{operation.target} was put back.")


def _forget(operation: Operation) -> None:
    with transaction.atomic():
        KeptSecret.objects.filter(cluster=operation.cluster, name=operation.target).delete()
        words = f"What was kept of {operation.target} was deleted."
        _succeeded(operation, "forget", words)


def _note_sending(operation: Operation, name: str) -> None:
    lease.write(operation, sent_version=0, error="", steps=noted(operation, name, "running"))


def _succeeded(operation: Operation, name: str, result: str) -> None:
    steps = noted(operation, name, "done")
    lease.move(operation, S.SUCCEEDED, error="", result=result, done=1, steps=steps)


def _failed(operation: Operation, error: str) -> None:
    lease.move(operation, S.FAILED, error=error)
