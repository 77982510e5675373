"""Clusters: which there are, how old their picture is, and each at a glance."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from access.authorize import visible_scopes
from access.models import User
from clusters.models import Cluster, Operation
from clusters.problems import NotFound
from clusters.readings import Health
from clusters.selectors.operations import operations_seen_by
from clusters.selectors.scopes import in_scopes
from clusters.selectors.services import service_health, services_seen_by

STALE_AFTER = timedelta(seconds=10)  # without a sign of life from the watcher the picture is old
ANSWERING = (Cluster.State.READY, Cluster.State.UNKNOWN, Cluster.State.NOT_A_SWARM)


def clusters_seen_by(user: User) -> QuerySet[Cluster]:
    return Cluster.objects.filter(in_scopes(visible_scopes(user), "name", None))


def cluster_seen_by(user: User, name: str) -> Cluster:
    """Raises NotFound, also for one that the user may not see."""
    cluster = clusters_seen_by(user).filter(name=name).first()
    if cluster is None:
        raise NotFound(f"There is no cluster named {name}.")
    return cluster


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the picture of a cluster is, and why it is, if it is."""

    fresh: bool
    seen_at: datetime | None
    reason: str


def freshness(cluster: Cluster) -> Freshness:
    seen = cluster.seen_at
    if cluster.state not in ANSWERING:
        return Freshness(False, seen, cluster.state_message or cluster.get_state_display())
    if seen is None:
        return Freshness(False, None, "The watcher has not looked at this cluster yet.")
    if timezone.now() - seen > STALE_AFTER:
        return Freshness(False, seen, "The watcher has fallen silent: is its process running?")
    return Freshness(True, seen, "")


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """One cluster at a glance."""

    cluster: Cluster
    freshness: Freshness
    nodes_ready: int
    nodes: int
    services: int
    by_health: dict[str, int]  # Health → number of services; zeros left out
    running: int  # tasks
    desired: int
    active_operations: int

    @property
    def troubled(self) -> int:
        """Services that somebody should look at."""
        return sum(
            self.by_health.get(h, 0) for h in (Health.FAILING, Health.PENDING, Health.PAUSED)
        )


def cluster_summary(user: User, cluster: Cluster) -> ClusterSummary:
    services = services_seen_by(user, cluster)
    health = service_health(user, cluster)
    tasks = services.aggregate(running=Sum("running", default=0), desired=Sum("desired", default=0))
    under_way = operations_seen_by(user).filter(cluster=cluster, state__in=Operation.ACTIVE)
    nodes = cluster.nodes.aggregate(all=Count("pk"), ready=Count("pk", filter=Q(state="ready")))
    return ClusterSummary(
        cluster=cluster,
        freshness=freshness(cluster),
        nodes_ready=nodes["ready"],
        nodes=nodes["all"],
        services=sum(health.values()),
        by_health=health,
        running=tasks["running"],
        desired=tasks["desired"],
        active_operations=under_way.count(),
    )
