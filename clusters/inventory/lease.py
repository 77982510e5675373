"""Who watches a cluster: one process, proven by a fencing token with every write."""

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from clusters.models import Cluster


class Fenced(Exception):
    """Another watcher has taken the cluster over; this one must write no more."""


def _expiry() -> object:
    return Now() + timedelta(seconds=settings.WATCHER_LEASE)


def take(cluster_id: int, holder: str) -> int | None:
    """The fencing token, if the cluster's lease was free or already the holder's; else None."""
    free = Q(watcher_until=None) | Q(watcher_until__lt=Now()) | Q(watcher=holder)
    taken = Cluster.objects.filter(free, pk=cluster_id).update(
        watcher=holder, watcher_token=F("watcher_token") + 1, watcher_until=_expiry()
    )
    if not taken:
        return None
    return Cluster.objects.values_list("watcher_token", flat=True).get(pk=cluster_id)


def hold(cluster_id: int, token: int, *, seen: bool) -> None:
    """Renew the lease; `seen` says that the picture is true now. Raises Fenced.

    Inside a transaction it also locks the row, so that nothing is written after a takeover.
    """
    fields: dict[str, object] = {"watcher_until": _expiry()}
    if seen:
        fields["seen_at"] = Now()
    if not Cluster.objects.filter(pk=cluster_id, watcher_token=token).update(**fields):
        raise Fenced


def give_up(cluster_id: int, token: int) -> None:
    """Let another watcher take over at once."""
    Cluster.objects.filter(pk=cluster_id, watcher_token=token).update(watcher_until=None)
