"""Register and remove clusters, and find the local engine."""

from django.conf import settings
from django.db import transaction

from access import audit
from access.authorize import Actor, authorize
from access.models import AuditEntry
from access.policy import EVERYWHERE, Action
from access.vault import seal
from clusters import destinations
from clusters.models import Cluster
from clusters.ports import TLSMaterial
from clusters.problems import Invalid
from live import changes as live_changes


def register_cluster(
    actor: Actor, name: str, addresses: list[str], tls: TLSMaterial | None = None
) -> Cluster:
    """Add a cluster; the watcher picks it up within a second. Raises Forbidden, Invalid."""
    authorize(actor, Action.CLUSTER_REGISTER, EVERYWHERE)
    for address in addresses:
        try:
            destinations.refuse(
                address, refused=settings.ENGINE_REFUSED, sockets=settings.ENGINE_SOCKETS
            )
        except destinations.NotADestination as refusal:
            raise Invalid(str(refusal), "addresses") from refusal
    with transaction.atomic():
        if Cluster.objects.filter(name=name).exists():
            raise Invalid(f"There is a cluster named {name} already.", "name")
        cluster = Cluster.objects.create(
            name=name,
            addresses=addresses,
            tls_ca=tls.ca if tls else "",
            tls_certificate=tls.certificate if tls else "",
            tls_key_sealed=seal(tls.key) if tls else b"",
        )
        _record(actor, Action.CLUSTER_REGISTER, cluster, {"addresses": addresses})
    return cluster


def remove_cluster(actor: Actor, cluster: Cluster) -> None:
    """Forget a cluster and its inventory; the Swarm itself is left as it is."""
    authorize(actor, Action.CLUSTER_REMOVE, cluster.scope)
    with transaction.atomic():
        if cluster.operations.filter(state__in=("pending", "running", "cancelling")).exists():
            raise Invalid(
                f"{cluster.name} has operations under way: wait for them, or cancel them."
            )
        _record(actor, Action.CLUSTER_REMOVE, cluster, {})
        cluster.delete()


def _record(actor: Actor, action: Action, cluster: Cluster, detail: dict[str, object]) -> None:
    audit.record(
        actor,
        action,
        AuditEntry.Phase.EVENT,
        scope=cluster.scope,
        target=cluster.name,
        detail=detail,
    )
    live_changes.record([live_changes.Touched(cluster.name, "cluster", cluster.name)])


def found_locally(address: str, *, simulated: bool) -> Cluster:
    """The cluster of the local engine, made on first sight: `local`, or `simulated`.

    Once there is a real engine, the simulated Swarm that stood in for it is forgotten.
    """
    name = "simulated" if simulated else "local"
    if not simulated:
        Cluster.objects.filter(found_locally=True, simulated=True).delete()
    cluster, made = Cluster.objects.get_or_create(
        name=name, defaults={"addresses": [address], "found_locally": True, "simulated": simulated}
    )
    if not made and cluster.found_locally and cluster.addresses != [address]:
        cluster.addresses = [address]
        cluster.save(update_fields=["addresses"])
    return cluster
