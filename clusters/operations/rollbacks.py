"""The spec that a rollback leads to: an earlier one, with what has been rotated since."""

from clusters import specs
from clusters.changes import Rollback
from clusters.models import Operation, Revision, Service
from clusters.ports import Raw
from clusters.problems import Invalid
from clusters.selectors.revisions import revisions_of

S = Operation.State


def returned_spec(service: Service, change: Rollback) -> Raw:
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
        for r in found
        if not (r.operation and r.operation.state in (S.FAILED, S.ROLLED_BACK))
        and specs.spec_hash(spec := _with_present_versions(r.spec, led))
        != specs.spec_hash(service.spec)
    ]
    by_template = (r for r, spec in others if specs.replaces_tasks(service.spec, spec))
    revision = next(by_template, others[0][0] if others else None)
    if revision is None:
        raise Invalid(f"{service.name} has no earlier revision to return to.", "revision")
    return revision
