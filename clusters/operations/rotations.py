"""Ask for a rotation: a new version of a secret or config, and every service led over to it.

The new value goes straight to the engine, in the request. What a worker needs to know stands in the
operation's plan: names and ids, no value.
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.views.decorators.debug import sensitive_variables

from access.authorize import Actor, Forbidden, authorize, may
from access.policy import Scope
from clusters import specs
from clusters.models import Config, Operation, Secret, Service
from clusters.operations import approvals, lease, making
from clusters.operations.announcing import Wake
from clusters.operations.requests import by_key, write_down
from clusters.ports import Engine, EngineError, Noun, Raw, Refused
from clusters.problems import Invalid
from clusters.readings import Health
from clusters.selectors.usage import consumers_of
from clusters.specs import Reference

KINDS: dict[Noun, Operation.Kind] = {
    "secret": Operation.Kind.SECRET_ROTATE,
    "config": Operation.Kind.CONFIG_ROTATE,
}
# In which the request surely has brought the new version to the engine, or never will.
ARRIVES = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A service that is led over to the new version, and how it mounts the file."""

    service: Service
    references: list[Reference]

    @property
    def rollout(self) -> Raw:
        """Its own update_config."""
        return self.service.spec.get("UpdateConfig") or {}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rotation would do, by the present picture."""

    found: Secret | Config
    scope: Scope
    name: str  # of the new version
    number: int
    consumers: list[Consumer]
    warnings: list[str]
    awaits: bool = False  # a second person: it is done once somebody else has approved it

    @property
    def restarts(self) -> int:
        """Tasks that Swarm will replace."""
        return sum(consumer.service.desired for consumer in self.consumers)


def preview(actor: Actor, found: Secret | Config) -> Preview:
    """Foresee a rotation. Raises Forbidden, ProofNeeded, Invalid."""
    authorize(actor, found.WRITE, found.scope)
    if getattr(found, "driver", ""):
        raise Invalid(f"The value of {found.name} comes from {found.driver}: change it there.")  # type: ignore[union-attr]
    consumers = [Consumer(service, _of(service, found)) for service in consumers_of(found)]
    scope = _scope(found, consumers)
    _refuse_strangers(actor, found, scope)
    _refuse_held(consumers)
    siblings = type(found)._default_manager.filter(cluster=found.cluster)
    taken = set(siblings.values_list("name", flat=True))
    newest = max(other.number for other in siblings if other.family == found.family)
    name, number = making.fresh_name(found.noun, found.family, newest, taken)
    stacks = {found.stack, *(consumer.service.stack for consumer in consumers)}
    awaits = approvals.needed_in_any(actor.user, found.cluster.name, stacks)
    return Preview(found, scope, name, number, consumers, _warnings(found, consumers), awaits)


def _of(service: Service, found: Secret | Config) -> list[Reference]:
    return [r for r in specs.references(service.spec, found.noun) if r.id == found.engine_id]


def _scope(found: Secret | Config, consumers: list[Consumer]) -> Scope:
    """Its stack; the whole cluster if it is also used outside of that.

    Every service is changed, and whoever sees the rotation sees their names.
    """
    outside = any(consumer.service.stack != found.stack for consumer in consumers)
    return found.cluster.scope if outside else found.scope


def _refuse_strangers(actor: Actor, found: Secret | Config, scope: Scope) -> None:
    if not may(actor.user, found.WRITE, scope):
        why = (
            f"{found.name} is also used by a service outside of its stack."
            " Ask somebody whose grant reaches the whole cluster."
        )
        raise Forbidden(found.WRITE, scope, visible=True, why=why)


def _refuse_held(consumers: list[Consumer]) -> None:
    """A rollout that somebody stopped half way would never bring the new version to all tasks."""
    held = [c.service.name for c in consumers if specs.is_held(c.service.spec)]
    if held:
        raise Invalid(
            f"The rollout of {', '.join(held)} was stopped half way: resume it or roll it back"
            " first."
        )


def _warnings(found: Secret | Config, consumers: list[Consumer]) -> list[str]:
    """What a careful colleague would say before the button is pressed."""
    return [*_own_warnings(found), *(w for c in consumers for w in _service_warnings(c))]


def _own_warnings(found: Secret | Config) -> list[str]:
    warnings = []
    if found.stack:
        warnings.append(
            f"It belongs to the stack {found.stack}: its file still names the old version, and"
            " another docker stack deploy goes back to that. Change the file as well."
        )
    return warnings


def _service_warnings(consumer: Consumer) -> list[str]:
    service, found = consumer.service, []
    if service.mode.endswith("-job"):
        found.append(f"{service.name} is a job: changing it runs it once more.")
    if service.health == Health.UPDATING:
        found.append(f"A rollout of {service.name} is under way: its turn comes once that ended.")
    elif service.health in (Health.PAUSED, Health.FAILING, Health.PENDING):
        found.append(
            f"{service.name} is not well as it is. If it does not come up with the new version,"
            " all services go back to the old one."
        )
    if consumer.rollout.get("FailureAction") == "continue":
        found.append(f"{service.name} goes on after failures; the panel itself watches its tasks.")
    if consumer.rollout.get("Parallelism") == 0:
        found.append(f"All tasks of {service.name} are replaced at the same time.")
    return found


# --- Asking --------------------------------------------------------------------------------------


@sensitive_variables("data", "spec")
def request(
    actor: Actor,
    found: Secret | Config,
    data: bytes,
    *,
    engine: Engine,
    wake: Wake,
    keep: bool = False,
    idempotency_key: str | None = None,
) -> Operation:
    """Write the rotation down, give the engine the new version, and wake a worker.

    A repeated key returns the same operation. Raises what `preview` raises, Busy while an operation
    on one of the services is under way, and EngineError if the engine refused the new version.
    """
    authorize(actor, found.WRITE, found.scope)
    if idempotency_key and (known := by_key(actor, idempotency_key)):
        return known
    making.check_size(found.noun, data)
    refuse_same(found, data)
    foreseen = preview(actor, found)
    asked = _operation(foreseen, idempotency_key)
    operation = write_down(actor, asked, found.WRITE, _later)
    if operation.pk != asked.pk:
        return operation
    spec = making.version_spec(found, foreseen.name, foreseen.number, data, str(operation.pk))
    _create(operation, engine, spec)
    if keep and isinstance(found, Secret):
        making.keep_value(actor, found.cluster, foreseen.name, spec["Labels"], data)
    wake(str(operation.pk))
    return operation


@sensitive_variables("data")
def refuse_same(found: Secret | Config, data: bytes) -> None:
    """Raises Invalid for a config that would not change. What a secret holds, nobody can tell."""
    if isinstance(found, Config) and bytes(found.data) == data:
        raise Invalid(f"{found.name} has this very content already: nothing would change.", "value")


def _later(_: str) -> None:
    """No worker is woken before the engine has the new version."""


def _operation(foreseen: Preview, idempotency_key: str | None) -> Operation:
    found = foreseen.found
    names = [consumer.service.name for consumer in foreseen.consumers]
    return Operation(
        id=uuid.uuid4(),
        kind=KINDS[found.noun],
        cluster=found.cluster,
        target_id=f"{found.noun}:{found.engine_id}",
        target=found.name,
        stack=foreseen.scope.stack,
        change={"version": foreseen.name, "services": names},
        holds=[consumer.service.engine_id for consumer in foreseen.consumers],
        plan=_plan(foreseen),
        unit="services",
        total=len(names),
        idempotency_key=idempotency_key or None,
        next_step_at=Now() + ARRIVES,
    )


def _plan(foreseen: Preview) -> dict[str, Any]:
    consumers = [
        {
            "id": consumer.service.engine_id,
            "name": consumer.service.name,
            "state": "waiting",
        }
        for consumer in foreseen.consumers
    ]
    found = foreseen.found
    return {
        "old": {"id": found.engine_id, "name": found.name},
        "new": {"id": "", "name": foreseen.name},
        "consumers": consumers,
    }


@sensitive_variables("spec")
def _create(operation: Operation, engine: Engine, spec: Raw) -> None:
    """Give the engine the new version. Whether one that fell silent took it, a worker sees."""
    noun = operation.rotates
    try:
        if noun:
            engine.create(noun, spec)
    except Refused as error:
        told = f"The engine refused the new version; nothing was changed: {error}"
        lease.move(operation, Operation.State.FAILED, error=told)
        raise
    except EngineError as error:
        with suppress(lease.Fenced):  # cancelled meanwhile
            lease.write(operation, error=str(error))
    lease.release(operation, 0.0)
