"""Keep every spec that a service has had."""

from uuid import UUID

from clusters import specs
from clusters.models import Cluster, Operation, Revision
from clusters.ports import Raw

KEEP = 50  # per service; the oldest go first


def is_newest(cluster: Cluster, service_id: str, spec: Raw) -> bool:
    """Whether the spec is the newest revision, so that `keep` would add none; locks nothing.

    A revision never changes, so that one read a moment ago is as good as one read under the lock.
    """
    known = Revision.objects.filter(cluster=cluster, service_engine_id=service_id)
    return known.values_list("spec_hash", flat=True).first() == specs.spec_hash(spec)


def keep(cluster: Cluster, service_id: str, version: int, spec: Raw) -> Revision | None:
    """Add the spec as the newest revision, unless it is that already; call it in a transaction.

    A held spec is no revision: nobody wants to return to a rollout that stands still.

    The cluster's row is locked by the caller or here, so that numbers are given out once.
    """
    if specs.is_held(spec):
        return None
    Cluster.objects.select_for_update(no_key=True).only("pk").get(pk=cluster.pk)
    known = Revision.objects.filter(cluster=cluster, service_engine_id=service_id)
    newest = known.defer("spec").first()
    spec_hash = specs.spec_hash(spec)
    if newest and (newest.spec_hash == spec_hash or newest.version > version):
        return None
    revision = Revision.objects.create(
        cluster=cluster,
        service_engine_id=service_id,
        number=newest.number + 1 if newest else 1,
        version=version,
        spec=spec,
        spec_hash=spec_hash,
        operation=_author(spec, spec_hash),
    )
    if revision.number > KEEP:
        known.filter(number__lte=revision.number - KEEP).delete()
    return revision


def _author(spec: Raw, spec_hash: str) -> Operation | None:
    """The operation that wrote this spec. Its label outlives it, so the spec must be its own."""
    label = specs.operation_of(spec)
    try:
        operation = Operation.objects.filter(pk=UUID(label)).first() if label else None
    except ValueError:
        return None
    if operation is None:
        return None
    # A rotation writes a spec for each of its services, and notes the hash of each.
    written = [specs.spec_hash(operation.after)]
    written += [part.get("hash") for part in operation.plan.get("consumers", ())]
    return operation if spec_hash in written else None
