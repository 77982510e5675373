"""Services: by name, and as the pages of a table."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from access.models import User
from clusters.models import Cluster, Service
from clusters.problems import NotFound
from clusters.selectors.scopes import in_sight

PAGE_SIZE = 100
SORTS = {
    "name": "name",
    "image": "image",
    "replicas": "running",
    "state": "health",
    "updated": "updated_at",
    "error": "last_error_at",
}


def all_services_seen_by(user: User) -> QuerySet[Service]:
    """Of every cluster."""
    visible = in_sight(user, "cluster__name", "stack")
    return Service.objects.filter(visible).select_related("cluster")


def services_seen_by(user: User, cluster: Cluster) -> QuerySet[Service]:
    return all_services_seen_by(user).filter(cluster=cluster)


def service_health(user: User, cluster: Cluster) -> dict[str, int]:
    """Health → how many of the services that the user sees are in it; zeros left out."""
    services = services_seen_by(user, cluster).order_by()
    return dict(services.values_list("health").annotate(Count("pk")))


def service_seen_by(user: User, cluster: Cluster, name: str) -> Service:
    """By name or by engine id. Raises NotFound, also for one that the user may not see."""
    found = services_seen_by(user, cluster).filter(Q(name=name) | Q(engine_id=name)).first()
    if found is None:
        raise NotFound(f"There is no service named {name} in {cluster.name}.")
    return found


def service_in_sight(user: User, cluster: str, name: str) -> Service | None:
    """By name or by engine id, with its cluster, in one query: who sees a service sees that, too.

    None if either is not there for the user; `cluster_seen_by` tells which.
    """
    named = Q(name=name) | Q(engine_id=name)
    return all_services_seen_by(user).filter(named, cluster__name=cluster).first()


def without_specs(services: QuerySet[Service]) -> QuerySet[Service]:
    """Without the large fields that a table does not show."""
    return services.defer("spec", "previous_spec", "endpoint")


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """What the table shows: `state` is a Health, `sort` a key of SORTS, "-" before it descends."""

    q: str = ""
    stack: str | None = None  # "" asks for services without a stack
    state: str = ""
    image: str = ""
    sort: str = "name"
    group: bool = False  # by stack
    page: int = 1

    @property
    def narrows(self) -> bool:
        """Whether it leaves any service out."""
        return bool(self.q or self.state or self.image) or self.stack is not None


@dataclass(frozen=True, slots=True)
class ServicePage:
    """One page of the table. Rows carry no specs: the table shows none, and they are large."""

    rows: list[Service]
    total: int
    page: int
    pages: int
    query: ServiceQuery
    by_health: dict[str, int]  # of all the user sees, for the filter
    stacks: list[str]

    @property
    def seen(self) -> int:
        """How many there are without the filter."""
        return sum(self.by_health.values())


def service_page(
    user: User, cluster: Cluster, query: ServiceQuery, size: int = PAGE_SIZE
) -> ServicePage:
    visible = services_seen_by(user, cluster)
    by_health, stacks = _kinds(visible)
    found = _matching(visible, query)
    total = found.count() if query.narrows else sum(by_health.values())
    pages = max(1, -(-total // size))
    page = min(max(1, query.page), pages)
    rows = without_specs(found).select_related(None).order_by(*_order(query))
    shown = list(rows[(page - 1) * size : page * size])
    for row in shown:
        row.cluster = cluster  # once, not with each row
    return ServicePage(
        rows=shown,
        total=total,
        page=page,
        pages=pages,
        query=query,
        by_health=by_health,
        stacks=stacks,
    )


def _kinds(services: QuerySet[Service]) -> tuple[dict[str, int], list[str]]:
    """How many there are of each health, and the stacks there are, in one query."""
    by_health: Counter[str] = Counter()
    stacks = set()
    counted = services.order_by().values_list("stack", "health").annotate(Count("pk"))
    for stack, health, count in counted:
        by_health[health] += count
        stacks.add(stack)
    return dict(by_health), sorted(stacks)


def _matching(services: QuerySet[Service], query: ServiceQuery) -> QuerySet[Service]:
    for word in query.q.split():
        services = services.filter(
            Q(name__icontains=word) | Q(image__icontains=word) | Q(last_error__icontains=word)
        )
    if query.stack is not None:
        services = services.filter(stack=query.stack)
    if query.state:
        services = services.filter(health=query.state)
    if query.image:
        services = services.filter(image__icontains=query.image)
    return services


def _order(query: ServiceQuery) -> list[Any]:
    column = F(SORTS.get(query.sort.removeprefix("-"), "name"))
    ordered = (
        column.desc(nulls_last=True) if query.sort.startswith("-") else column.asc(nulls_last=True)
    )
    return [*(["stack"] if query.group else []), ordered, "name"]
