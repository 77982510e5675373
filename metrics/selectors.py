"""Which saved panels somebody sees: a stack's with it, a cluster's own with all of it."""

from django.db.models import QuerySet

from access.authorize import may
from access.models import User
from access.policy import Action, Scope
from clusters.models import Cluster
from clusters.problems import NotFound
from clusters.selectors.services import services_seen_by
from metrics.models import SavedPanel


def panels_seen_in(user: User, cluster: Cluster, stack: str) -> Scope:
    """Where the panels of this stack are, or ("") the cluster's own.

    Raises NotFound for a stack that is not there, or that the user may not see.
    """
    if not stack:
        return _whole_cluster_seen_by(user, cluster)
    if not services_seen_by(user, cluster).filter(stack=stack).exists():
        raise NotFound(f"There is no stack named {stack} in {cluster.name}.")
    return Scope(cluster.name, stack)


def _whole_cluster_seen_by(user: User, cluster: Cluster) -> Scope:
    if not may(user, Action.SERVICE_VIEW, cluster.scope):
        raise NotFound(f"You do not see the whole of {cluster.name}.")
    return cluster.scope


def panels_of(scope: Scope) -> QuerySet[SavedPanel]:
    """In their order, without those that were removed."""
    return SavedPanel.objects.filter(
        cluster__name=scope.cluster, stack=scope.stack, removed_at=None
    ).select_related("cluster")


def removed_of(scope: Scope) -> QuerySet[SavedPanel]:
    """The newest first."""
    found = SavedPanel.objects.filter(cluster__name=scope.cluster, stack=scope.stack)
    return found.exclude(removed_at=None).order_by("-removed_at")


def panels_seen_by(user: User, cluster: Cluster) -> QuerySet[SavedPanel]:
    """Of the cluster and of each of its stacks, as far as the user sees them."""
    found = SavedPanel.objects.filter(cluster=cluster, removed_at=None).select_related("cluster")
    if may(user, Action.SERVICE_VIEW, cluster.scope):
        return found.order_by("stack", "position", "pk")
    stacks = services_seen_by(user, cluster).exclude(stack="").values("stack")
    return found.filter(stack__in=stacks).order_by("stack", "position", "pk")


def panel_seen_by(user: User, cluster: Cluster, panel: int, *, removed: bool = False) -> SavedPanel:
    """Raises NotFound, also for one that the user may not see."""
    found = SavedPanel.objects.filter(cluster=cluster, pk=panel, removed_at__isnull=not removed)
    known = found.select_related("cluster").first()
    if known is None or not may(user, Action.SERVICE_VIEW, known.scope):
        raise NotFound(f"There is no panel {panel} in {cluster.name}.")
    return known
