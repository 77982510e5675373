"""The stacks of a cluster, as their services are."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from access.models import User
from clusters.models import Cluster
from clusters.readings import Health
from clusters.selectors.services import services_seen_by


@dataclass(frozen=True, slots=True)
class StackSummary:
    name: str
    services: int
    running: int
    desired: int
    troubled: int


def stacks_of(user: User, cluster: Cluster) -> list[StackSummary]:
    """The stacks (services grouped by Docker's own label), by name; "" holds those without one."""
    troubled = Count("pk", filter=Q(health__in=[Health.FAILING, Health.PENDING, Health.PAUSED]))
    rows = (
        services_seen_by(user, cluster)
        .order_by("stack")
        .values("stack")
        .annotate(n=Count("pk"), up=Sum("running"), want=Sum("desired"), troubled=troubled)
    )
    return [StackSummary(r["stack"], r["n"], r["up"], r["want"], r["troubled"]) for r in rows]
