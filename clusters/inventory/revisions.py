"""Keep every spec that a service has had."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from clusters import specs
from clusters.models import Cluster, Operation, Revision
from clusters.ports import Raw

KEEP = 50  # per service; the oldest go first
BATCH = 500  # rows an INSERT


@dataclass(frozen=True, slots=True)
class Seen:
    """A service's spec, and the version at which the engine told it."""

    service_id: str
    version: int
    spec: Raw


def is_newest(cluster: Cluster, service_id: str, spec: Raw) -> bool:
    """Whether the spec is the newest revision, so that `keep` would add none; locks nothing.

    A revision never changes, so that one read a moment ago is as good as one read under the lock.
    """
    known = Revision.objects.filter(cluster=cluster, service_engine_id=service_id)
    return known.values_list("spec_hash", flat=True).first() == specs.spec_hash(spec)


def lock(cluster: Cluster) -> None:
    """Until the transaction's end nobody else gives out numbers in this cluster."""
    Cluster.objects.select_for_update(no_key=True).only("pk").get(pk=cluster.pk)


def keep(cluster: Cluster, seen: Iterable[Seen]) -> None:
    """Add each spec as its service's newest revision, unless it is that already.

    A held spec is no revision: nobody wants to return to a rollout that stands still.
    Call it in a transaction that has locked the cluster's row, so that numbers are given out once.
    """
    found = {one.service_id: one for one in seen if not specs.is_held(one.spec)}
    newest = _newest(cluster, found)
    fresh = []
    for key, one in found.items():
        last, spec_hash = newest.get(key), specs.spec_hash(one.spec)
        if last and (last.spec_hash == spec_hash or last.version > one.version):
            continue
        fresh.append(
            Revision(
                cluster=cluster,
                service_engine_id=key,
                number=last.number + 1 if last else 1,
                version=one.version,
                spec=one.spec,
                spec_hash=spec_hash,
            )
        )
    _name_authors(fresh)
    Revision.objects.bulk_create(fresh, BATCH)
    for revision in fresh:
        if revision.number > KEEP:
            known = cluster.revisions.filter(service_engine_id=revision.service_engine_id)
            known.filter(number__lte=revision.number - KEEP).delete()


def _newest(cluster: Cluster, service_ids: Iterable[str]) -> dict[str, Revision]:
    known = cluster.revisions.filter(service_engine_id__in=list(service_ids)).defer("spec")
    newest = known.order_by("service_engine_id", "-number").distinct("service_engine_id")
    return {revision.service_engine_id: revision for revision in newest}


def _name_authors(fresh: list[Revision]) -> None:
    """The operations that wrote these specs. A label outlives its operation's spec, so the spec
    must be its own."""
    labels = [_label(revision.spec) for revision in fresh]
    operations = Operation.objects.in_bulk({label for label in labels if label})
    for revision, label in zip(fresh, labels, strict=True):
        operation = operations.get(label) if label else None
        if operation and revision.spec_hash in _written(operation):
            revision.operation = operation


def _label(spec: Raw) -> UUID | None:
    try:
        return UUID(specs.operation_of(spec))
    except ValueError:
        return None


def _written(operation: Operation) -> list[str]:
    """A rotation writes a spec for each of its services, and notes the hash of each."""
    return [
        specs.spec_hash(operation.after),
        *(part.get("hash") for part in operation.plan.get("consumers", ())),
    ]
