"""Foresee a change of a service, by the present picture: nothing here is written down."""

from dataclasses import dataclass, field

from access.authorize import Actor, Forbidden, authorize, may, most_replicas
from access.policy import Action
from clusters import readings, specs
from clusters.changes import Restart, Resume, Scale, ServiceChange, Update
from clusters.models import Operation, Service, SwarmTask
from clusters.operations import approvals
from clusters.operations.cautions import warnings_of
from clusters.operations.rights import ACTIONS
from clusters.operations.rollbacks import returned_spec
from clusters.ports import Raw
from clusters.problems import Clash, Conflict, Invalid
from clusters.readings import Health
from clusters.selectors.revisions import revisions_of
from clusters.specs import Difference


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a change makes of a service: all that asking for it needs to know."""

    service: Service
    kind: Operation.Kind
    after: Raw
    differences: list[Difference]
    awaits: bool  # a second person: it is done once somebody else has approved it

    @property
    def changes_nothing(self) -> bool:
        # Written once more, a spec sets the rollout that Swarm paused going again.
        goes_on = self.kind == Operation.Kind.RESUME and self.service.health == Health.PAUSED
        return not (self.differences or goes_on)


@dataclass(frozen=True, slots=True)
class Preview(Foreseen):
    """That, and what a person wants to see of it before they confirm."""

    restarts: list[SwarmTask]  # the running tasks that Swarm will replace
    adds: int  # tasks
    removes: int
    warnings: list[str] = field(default_factory=list)


def preview(actor: Actor, service: Service, change: ServiceChange) -> Preview:
    """Foresee a change. Raises Forbidden, Invalid, or Conflict when `change.version` is stale."""
    authorize(actor, ACTIONS[type(change)][1], service.scope)
    foreseen = foresee(actor, service, change)
    after = foreseen.after
    before_count, after_count = _count(service.spec), _count(after)
    return Preview(
        service=service,
        kind=foreseen.kind,
        after=after,
        differences=foreseen.differences,
        awaits=foreseen.awaits,
        restarts=_restarts(service, change, after),
        adds=max(0, after_count - before_count),
        removes=max(0, before_count - after_count),
        warnings=warnings_of(service, change, after),
    )


def foresee(actor: Actor, service: Service, change: ServiceChange) -> Foreseen:
    """The same without its tasks, which may be many; whoever calls has authorized the change.

    What it widens or scales is judged here: that is known only by what it does.
    """
    _refuse_beyond_bounds(actor, service, change)
    after = _after(service, change)
    _refuse_widening(actor, service, after)
    _refuse_stale(service, change, after)
    return Foreseen(
        service=service,
        kind=ACTIONS[type(change)][0],
        after=after,
        differences=specs.differences(service.spec, after),
        awaits=approvals.needed(actor.user, service.scope),
    )


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
        return returned_spec(service, change)
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
