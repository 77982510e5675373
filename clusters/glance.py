"""Every cluster and stack at a glance: what somebody on call looks at. Rows only, a fixed handful
of queries however many clusters, stacks and services there are.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from hashlib import sha256
from operator import or_
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from access.authorize import visible_scopes
from access.models import User
from access.policy import Scope
from clusters.models import Cluster, Node, Operation
from clusters.readings import Health
from clusters.selectors.clusters import Freshness, clusters_seen_by
from clusters.selectors.clusters import freshness as freshness_of
from clusters.selectors.operations import operations_seen_by
from clusters.selectors.services import all_services_seen_by, without_specs

UNSTABLE = "unstable"  # it runs now, and failed a moment ago: see clusters.inventory.trouble
URGENCY = (
    Health.FAILING, UNSTABLE, Health.PENDING, Health.PAUSED, Health.STARTING, Health.UPDATING,
    Health.RUNNING, Health.COMPLETE, Health.STOPPED,
)  # fmt: skip
WELL = (Health.RUNNING, Health.COMPLETE, Health.STOPPED)
TROUBLE = (Health.FAILING, UNSTABLE, Health.PENDING, Health.PAUSED)  # that somebody should look at
UNSETTLED = tuple(state for state in URGENCY if state not in WELL)
SHOWN = 3  # services that a card names
StackKey = tuple[str, str]  # cluster's name, stack's name


@dataclass(slots=True)
class StackGlance:
    """One stack of one cluster, as far as the user sees it; "" holds services without a stack."""

    cluster: Cluster
    name: str
    freshness: Freshness
    by_health: dict[str, int] = field(default_factory=dict)  # zeros left out
    running: int = 0  # tasks
    desired: int = 0
    worst: list[Any] = field(
        default_factory=list
    )  # Services with their `state`: the first few that are not well
    operations: list[Operation] = field(default_factory=list)  # under way

    @property
    def key(self) -> StackKey:
        return self.cluster.name, self.name

    @property
    def element(self) -> str:
        return element_of(*self.key)

    @property
    def services(self) -> int:
        return sum(self.by_health.values())

    @property
    def well(self) -> int:
        return sum(self.by_health.get(health, 0) for health in WELL)

    @property
    def troubled(self) -> int:
        return sum(self.by_health.get(health, 0) for health in TROUBLE)

    @property
    def health(self) -> str:
        """The worst that a service of it is in."""
        return next(health for health in URGENCY if self.by_health.get(health))

    @property
    def since(self) -> datetime | None:
        """Since when the worst service is in trouble; a rollout has a time of its own."""
        first = self.worst[0] if self.worst else None
        if first is None:
            return None
        return first.update_started_at if first.state == Health.UPDATING else first.unwell_since

    @property
    def more(self) -> int:
        """How many more are not well than the card names."""
        return self.services - self.well - len(self.worst)

    @property
    def rank(self) -> int:
        """Where it stands among the others: the worst first."""
        return URGENCY.index(self.health)


@dataclass(slots=True)
class ClusterGlance:
    """One cluster with its stacks, the worst first."""

    cluster: Cluster
    freshness: Freshness
    nodes_ready: int
    nodes: int
    stacks: list[StackGlance]

    @property
    def services(self) -> int:
        return sum(stack.services for stack in self.stacks)

    @property
    def well(self) -> int:
        return sum(stack.well for stack in self.stacks)

    @property
    def troubled(self) -> int:
        return sum(stack.troubled for stack in self.stacks)

    @property
    def running(self) -> int:
        return sum(stack.running for stack in self.stacks)

    @property
    def desired(self) -> int:
        return sum(stack.desired for stack in self.stacks)

    @property
    def is_swarm(self) -> bool:
        return self.cluster.state != Cluster.State.NOT_A_SWARM

    @property
    def rank(self) -> int:
        """One that nobody can see comes first; then the one with the worst stack."""
        if not self.freshness.fresh or self.nodes_ready < self.nodes:
            return -1 if self.freshness.fresh else -2
        return min((stack.rank for stack in self.stacks), default=len(URGENCY))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything in one sentence. What is not known is never told as well."""

    unknown: list[ClusterGlance]
    troubled: int  # services, of the clusters that are known
    stacks: int  # in which they are
    nodes_away: int
    services: int  # of the clusters that are known
    known: int  # clusters

    @property
    def tone(self) -> str:
        if self.unknown or self.nodes_away:
            return "bad" if self.unknown or self.troubled else "warn"
        return "bad" if self.troubled else "good" if self.services else "idle"


def verdict(clusters: Iterable[ClusterGlance]) -> Verdict:
    known: list[ClusterGlance] = []
    unknown: list[ClusterGlance] = []
    for glance in clusters:
        (known if glance.freshness.fresh else unknown).append(glance)
    return Verdict(
        unknown=unknown,
        troubled=sum(glance.troubled for glance in known),
        stacks=sum(bool(stack.troubled) for glance in known for stack in glance.stacks),
        nodes_away=sum(glance.nodes - glance.nodes_ready for glance in known),
        services=sum(glance.services for glance in known),
        known=len(known),
    )


def element_of(cluster: str, stack: str) -> str:
    """The id of the stack's card: an element's id has no spaces, and a label may have any."""
    if not re.fullmatch(r"[\w.-]*", stack):
        stack = sha256(stack.encode()).hexdigest()[:12]
    return f"stack-{cluster}-{stack}"


def would_see(user: User, cluster: str, stack: str | None = None) -> bool:
    """Whether the user may know that this is no more: they saw it while it was there."""
    scopes = [s for s in visible_scopes(user) if s.cluster in ("", cluster)]
    if stack is None:
        return bool(scopes)
    return any(scope.holds(Scope(cluster, stack)) for scope in scopes)


# --- Reading -------------------------------------------------------------------------------------


def look(user: User, details_of: set[StackKey] | None = None) -> list[ClusterGlance]:
    """Every cluster that the user sees, the worst first, each with all of its stacks.

    Which services are unwell and what is under way is read for the stacks `details_of` alone, or
    for all: whoever pushes one card needs no more.
    """
    clusters = {cluster.pk: cluster for cluster in clusters_seen_by(user)}
    nodes = _nodes(clusters)
    stacks: dict[int, list[StackGlance]] = {pk: [] for pk in clusters}
    for stack in _stacks(user, clusters):
        stacks[stack.cluster.pk].append(stack)
    _add_details(user, [s for found in stacks.values() for s in found], details_of)
    glances = [
        ClusterGlance(
            cluster=cluster,
            freshness=freshness_of(cluster),
            nodes_ready=nodes.get(pk, (0, 0))[1],
            nodes=nodes.get(pk, (0, 0))[0],
            stacks=sorted(stacks[pk], key=lambda stack: (stack.rank, stack.name)),
        )
        for pk, cluster in clusters.items()
    ]
    return sorted(glances, key=lambda glance: (glance.rank, glance.cluster.name))


def _seen(user: User, clusters: Iterable[int]) -> "QuerySet[Any]":
    """Each with its `state`: its health, or that it is unstable."""
    unstable = When(health__in=WELL, unwell_since__isnull=False, then=Value(UNSTABLE))
    state = Case(unstable, default=F("health"), output_field=CharField())
    rows = all_services_seen_by(user).filter(cluster__in=clusters)
    return rows.annotate(state=state)


def _nodes(clusters: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Cluster → how many nodes, and how many of them are ready."""
    rows = Node.objects.filter(cluster__in=clusters).order_by().values("cluster_id")
    counted = rows.annotate(all=Count("pk"), ready=Count("pk", filter=Q(state="ready")))
    return {row["cluster_id"]: (row["all"], row["ready"]) for row in counted}


def _stacks(user: User, clusters: dict[int, Cluster]) -> list[StackGlance]:
    ages = {pk: freshness_of(cluster) for pk, cluster in clusters.items()}
    rows = _seen(user, clusters).order_by().values_list("cluster_id", "stack", "state")
    told = rows.annotate(count=Count("pk"), up=Sum("running"), want=Sum("desired"))
    found: dict[tuple[int, str], StackGlance] = {}
    for pk, name, state, count, running, desired in told:
        if state not in URGENCY:
            continue  # no watcher has looked at it yet
        stack = found.setdefault((pk, name), StackGlance(clusters[pk], name, ages[pk]))
        stack.by_health[state] = count
        stack.running += running
        stack.desired += desired
    return list(found.values())


def _add_details(user: User, stacks: list[StackGlance], of: set[StackKey] | None) -> None:
    wanted = {(s.cluster.pk, s.name): s for s in stacks if of is None or s.key in of}
    if not wanted:
        return
    here = Q() if of is None else reduce(or_, (Q(cluster=pk, stack=s) for pk, s in wanted))
    for service in _worst(_seen(user, {pk for pk, _ in wanted}).filter(here)):
        if stack := wanted.get((service.cluster_id, service.stack)):  # or it came just now
            stack.worst.append(service)
    active = operations_seen_by(user).filter(state__in=Operation.OPEN)
    shown = active.filter(here).defer("before", "after", "plan", "clash", "steps")
    for operation in shown.order_by("created_at"):
        if stack := wanted.get((operation.cluster_id, operation.stack)):
            stack.operations.append(operation)


def _worst(services: "QuerySet[Any]") -> "QuerySet[Any]":
    """Of each stack the first few that are not well, the worst first."""
    whens: list[Any] = [When(state=s, then=Value(n)) for n, s in enumerate(URGENCY)]
    urgency = Case(*whens, default=Value(len(URGENCY)), output_field=IntegerField())
    order = [urgency.asc(), F("unwell_since").asc(nulls_last=True), F("name").asc()]
    place = Window(RowNumber(), partition_by=["cluster_id", "stack"], order_by=order)
    unwell = services.filter(state__in=UNSETTLED)
    shown: Any = without_specs(unwell).annotate(place=place)
    return shown.filter(place__lte=SHOWN).order_by("cluster_id", "stack", "place")
