"""Create, put back and remove secrets and configs: in the request itself, with no worker between.

A value must not wait anywhere, neither in a row nor in a message: it goes from the request to the
engine. So there is no operation; the audit's intent is committed before the call, its result after.
What needs a second person (`disposals`) is no value, and is an operation.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from access import audit
from access.authorize import Actor, authorize, may
from access.models import AuditEntry
from access.policy import Action, Scope
from access.vault import CannotUnseal, seal, unseal
from clusters import specs
from clusters.changes import NAME_RULE, NewObject, is_name
from clusters.models import MODELS, Cluster, Config, KeptSecret, Operation, Secret
from clusters.operations import approvals
from clusters.ports import Engine, EngineError, EngineUnreachable, Noun, ObjectMissing, Raw
from clusters.problems import Busy, Invalid
from clusters.readings import STACK_LABEL
from clusters.selectors.usage import Usage, usage
from live import changes as live_changes

# The first size that the managers refuse.
TOO_LARGE: dict[Noun, int] = {"secret": 512_000, "config": 1_024_000}
LIMITS: dict[Noun, str] = {"secret": "500 KB", "config": "1,000 KB"}


def labels_of(new: NewObject) -> dict[str, str]:
    """The labels that it is created with, its stack's among them."""
    stack = {STACK_LABEL: new.stack} if new.stack else {}
    return {**new.labels, **stack}


@sensitive_variables("data")
def check_size(noun: Noun, data: bytes) -> None:
    """Raises Invalid, in words, for what the managers would refuse."""
    if not data:
        raise Invalid(f"A {noun} cannot be empty: give a value, or a file.", "value")
    if len(data) >= TOO_LARGE[noun]:
        raise Invalid(
            f"A {noun} holds at most {LIMITS[noun]} ({TOO_LARGE[noun] - 1:,} bytes);"
            f" this one has {len(data):,} bytes.",
            "value",
        )


@sensitive_variables("data", "spec")
def create(
    actor: Actor,
    cluster: Cluster,
    noun: Noun,
    new: NewObject,
    data: bytes,
    *,
    engine: Engine,
    keep: bool = False,
) -> str:
    """Create a secret or config; returns its id. Raises Forbidden, Invalid, EngineError.

    `keep`: seal a secret's value in the panel, so that it can be put back.
    """
    scope = Scope(cluster.name, new.stack)
    authorize(actor, MODELS[noun].WRITE, scope)
    check_size(noun, data)
    if not is_name(new.name):
        raise Invalid(NAME_RULE, "name")
    if MODELS[noun]._default_manager.filter(cluster=cluster, name=new.name).exists():
        raise Invalid(f"There is a {noun} named {new.name} already: choose another name.", "name")
    if noun == "secret":
        _refuse_over_kept(actor, cluster, new.name)
    labels = labels_of(new)
    spec = {"Name": new.name, "Labels": labels, "Data": base64.b64encode(data).decode()}
    detail = {"labels": labels, "bytes": len(data), "kept": keep}
    intent = _Intent(actor, MODELS[noun].WRITE, scope, new.name, {"create": noun, **detail})
    with _recorded(intent):
        made = engine.create(noun, spec)
    if noun == "secret":
        # What was kept of an earlier secret of this name must not be put back in its place.
        KeptSecret.objects.filter(cluster=cluster, name=new.name).delete()
        if keep:
            keep_value(actor, cluster, new.name, labels, data)
    return made


def _refuse_over_kept(actor: Actor, cluster: Cluster, name: str) -> None:
    """A new secret takes the place of what is kept under its name, maybe of another stack."""
    kept = KeptSecret.objects.filter(cluster=cluster, name=name).first()
    if kept and not may(actor.user, Action.SECRET_REMOVE, kept.scope):
        raise Invalid(
            f"The panel keeps an earlier secret named {name}, which is not yours to replace:"
            " choose another name.",
            "name",
        )
    if kept and approvals.needed(actor.user, kept.scope):
        raise Invalid(
            f"A value is kept under the name {name}, and two persons are needed to delete it:"
            " put it back, have it deleted, or choose another name.",
            "name",
        )


@sensitive_variables("data")
def keep_value(
    actor: Actor, cluster: Cluster, name: str, labels: dict[str, str], data: bytes
) -> None:
    """Keep a secret's value, sealed."""
    sealed = seal(base64.b64encode(data).decode())
    stack = labels.get(STACK_LABEL, "")[:64]
    with transaction.atomic():
        KeptSecret.objects.update_or_create(
            cluster=cluster,
            name=name,
            defaults={"stack": stack, "labels": labels, "sealed": sealed, "kept_by": actor.user},
        )
        live_changes.record([_kept_changed(cluster)])


@sensitive_variables("spec")
def put_back(actor: Actor, kept: KeptSecret, *, engine: Engine) -> None:
    """Create a kept secret once more, as it was. Raises Forbidden, Invalid, EngineError."""
    authorize(actor, Action.SECRET_WRITE, kept.scope)
    try:
        spec = kept_spec(kept)
    except CannotUnseal as error:
        raise Invalid(str(error)) from error
    detail: dict[str, object] = {"put back": "secret", "labels": spec["Labels"]}
    with _recorded(_Intent(actor, Action.SECRET_WRITE, kept.scope, kept.name, detail)):
        engine.create("secret", spec)


@sensitive_variables("value")
def kept_spec(kept: KeptSecret, mark: str = "") -> Raw:
    """A kept secret's spec, with its value. Raises CannotUnseal.

    It is no rotation's new version now, even if it once was. `mark`: the operation that creates it.
    """
    value = unseal(bytes(kept.sealed))
    labels = {k: v for k, v in kept.labels.items() if k != specs.OPERATION_LABEL}
    if mark:
        labels[specs.OPERATION_LABEL] = mark
    return {"Name": kept.name, "Labels": labels, "Data": value}


def forget(actor: Actor, kept: KeptSecret) -> None:
    """Delete a kept value for good."""
    authorize(actor, Action.SECRET_REMOVE, kept.scope)
    with transaction.atomic():
        kept.delete()
        audit.record(
            actor,
            Action.SECRET_REMOVE,
            AuditEntry.Phase.EVENT,
            scope=kept.scope,
            target=kept.name,
            detail={"forget": "the kept value"},
        )
        live_changes.record([_kept_changed(kept.cluster)])


def remove(actor: Actor, found: Secret | Config, *, engine: Engine) -> None:
    """Remove what no service uses. Raises Forbidden, Invalid with the services' names, Busy."""
    authorize(actor, found.REMOVE, found.scope)
    refuse_in_use(actor, found)
    intent = _Intent(actor, found.REMOVE, found.scope, found.name, {"remove": found.noun})
    with _recorded(intent):
        engine.remove(found.noun, found.engine_id)


def refuse_in_use(actor: Actor, found: Secret | Config) -> None:
    """Raises Invalid if services use it, and Busy while it is being rotated."""
    target = f"{found.noun}:{found.engine_id}"
    active = Operation.objects.filter(
        cluster=found.cluster, target_id=target, state__in=Operation.ACTIVE
    )
    if rotation := active.first():
        raise Busy(f"{found.name} is being rotated: wait for it, or cancel that.", rotation.id)
    used = usage(actor.user, found.cluster, found.noun).get(found.engine_id)
    if used:
        raise Invalid(f"{found.name} is in use by {in_words(used)}. Nothing was removed.")


def in_words(used: Usage) -> str:
    """The services by name, those that one may not see by their number."""
    hidden = f"{used.hidden} service{'s' if used.hidden > 1 else ''} that you may not see"
    return ", ".join([*used.services, *([hidden] if used.hidden else [])])


@dataclass(frozen=True, slots=True)
class _Intent:
    """What the audit trail is told before and after a call. No value is in it."""

    actor: Actor
    action: Action
    scope: Scope
    target: str
    detail: dict[str, object]

    def record(self, phase: AuditEntry.Phase, outcome: str, detail: dict[str, object]) -> None:
        audit.record(
            self.actor,
            self.action,
            phase,
            scope=self.scope,
            target=self.target,
            outcome=outcome,
            detail=detail,
        )


@contextmanager
def _recorded(intent: _Intent) -> Iterator[None]:
    """The intent, committed before the call, and its result after it, whatever comes of it."""
    with transaction.atomic():
        intent.record(AuditEntry.Phase.INTENT, "", intent.detail)
    try:
        yield
    except EngineError as error:
        known = not isinstance(error, EngineUnreachable)
        outcome = "failed" if known else "interrupted"  # the engine may have done it all the same
        intent.record(AuditEntry.Phase.RESULT, outcome, {"error": str(error)})
        raise
    intent.record(AuditEntry.Phase.RESULT, "succeeded", {})


def _kept_changed(cluster: Cluster) -> live_changes.Touched:
    return live_changes.Touched(cluster.name, "kept", cluster.name)


def told(error: EngineError, noun: Noun) -> str:
    """What an engine's failure means for the person who asked."""
    if isinstance(error, EngineUnreachable):
        return f"{error} Whether the {noun} was changed is not known: look at the list first."
    if isinstance(error, ObjectMissing):
        return f"The engine no longer has this {noun}."
    return f"The engine refused: {error}"


def fresh_name(noun: Noun, family: str, after: int, taken: set[str]) -> tuple[str, int]:
    """The name and number of the next version of a family whose name is not taken."""
    number = after + 1
    while (name := specs.version_name(family, number)) in taken:
        number += 1
    return name, number


@sensitive_variables("data")
def version_spec(found: Secret | Config, name: str, number: int, data: bytes, mark: str) -> Raw:
    """The new version's spec: like the old one but for name, value and our own labels."""
    labels = {
        **found.labels,
        specs.FAMILY_LABEL: found.family,
        specs.VERSION_LABEL: str(number),
        specs.OPERATION_LABEL: mark,
    }
    spec: Raw = {"Name": name, "Labels": labels, "Data": base64.b64encode(data).decode()}
    if found.templating:
        spec["Templating"] = {"Name": found.templating}
    return spec
