"""Reads for a page, the API, and the live fragments. Rows only: never the engine.

Whatever a user may not see is not there: every read starts from their visible scopes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Length
from django.utils import timezone

from access.authorize import grants_of, scopes_with, visible_scopes
from access.models import User
from access.policy import Action, Scope
from clusters import specs
from clusters.models import (
    MODELS,
    Cluster,
    Config,
    KeptSecret,
    Network,
    Node,
    Operation,
    Revision,
    Secret,
    Service,
    SwarmTask,
)
from clusters.ports import Noun
from clusters.problems import NotFound
from clusters.readings import ENDED, FAILED, Health

STALE_AFTER = timedelta(seconds=10)  # without a sign of life from the watcher the picture is old
ANSWERING = (Cluster.State.READY, Cluster.State.UNKNOWN, Cluster.State.NOT_A_SWARM)
PAGE_SIZE = 100
SORTS = {
    "name": "name",
    "image": "image",
    "replicas": "running",
    "state": "health",
    "updated": "updated_at",
    "error": "last_error_at",
}


def _in_scopes(scopes: Iterable[Scope], cluster: str, stack: str | None) -> Q:
    """A filter that holds in any of the scopes; nothing is visible without one."""
    found = Q(pk__in=[])
    for scope in scopes:
        here = Q()
        if scope.cluster:
            here &= Q(**{cluster: scope.cluster})
        if scope.stack:
            here &= Q(**{stack: scope.stack}) if stack else Q()
        found |= here if here else Q(pk__isnull=False)
    return found


def in_sight(user: User, cluster: str, stack: str) -> Q:
    """A filter for rows of what the user may see, by the paths to their cluster and stack."""
    return _in_scopes(visible_scopes(user), cluster, stack)


# --- Clusters ------------------------------------------------------------------------------------


def clusters_seen_by(user: User) -> QuerySet[Cluster]:
    return Cluster.objects.filter(_in_scopes(visible_scopes(user), "name", None))


def cluster_seen_by(user: User, name: str) -> Cluster:
    """Raises NotFound, also for one that the user may not see."""
    cluster = clusters_seen_by(user).filter(name=name).first()
    if cluster is None:
        raise NotFound(f"There is no cluster named {name}.")
    return cluster


def places() -> dict[str, list[str]]:
    """Every cluster with its stacks: the scopes that there are, whoever may see them."""
    found: dict[str, list[str]] = {
        name: [] for name in Cluster.objects.values_list("name", flat=True)
    }
    rows = Service.objects.exclude(stack="").order_by("cluster__name", "stack")
    for cluster, stack in rows.values_list("cluster__name", "stack").distinct():
        found[cluster].append(stack)
    return found


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
        active_operations=cluster.operations.filter(state__in=Operation.ACTIVE).count(),
    )


def nodes_of(cluster: Cluster) -> QuerySet[Node]:
    """The nodes, each with `running`: how many tasks run on it."""
    tasks = SwarmTask.objects.filter(cluster=cluster, state="running", desired_state="running")
    counts = dict(tasks.order_by().values_list("node_engine_id").annotate(Count("pk")))
    nodes = cluster.nodes.all()
    for node in nodes:
        node.running = counts.get(node.engine_id, 0)  # type: ignore[attr-defined]
    return nodes


def networks_of(cluster: Cluster) -> QuerySet[Network]:
    return cluster.networks.all()


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


# --- Services ------------------------------------------------------------------------------------


def all_services_seen_by(user: User) -> QuerySet[Service]:
    """Of every cluster."""
    visible = _in_scopes(visible_scopes(user), "cluster__name", "stack")
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


@dataclass(frozen=True, slots=True)
class ServicePage:
    """One page of the table. Rows carry no specs: the table shows none, and they are large."""

    rows: list[Service]
    total: int
    page: int
    pages: int
    query: ServiceQuery
    by_health: dict[str, int] = field(default_factory=dict)  # of all the user sees, for the filter
    stacks: list[str] = field(default_factory=list)


def service_page(
    user: User, cluster: Cluster, query: ServiceQuery, size: int = PAGE_SIZE
) -> ServicePage:
    visible = services_seen_by(user, cluster)
    found = _matching(visible, query)
    total = found.count()
    pages = max(1, -(-total // size))
    page = min(max(1, query.page), pages)
    rows = without_specs(found).order_by(*_order(query))
    return ServicePage(
        rows=list(rows[(page - 1) * size : page * size]),
        total=total,
        page=page,
        pages=pages,
        query=query,
        by_health=service_health(user, cluster),
        stacks=list(visible.order_by("stack").values_list("stack", flat=True).distinct()),
    )


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


# --- One service's tasks -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One task in the matrix. `old`: it was made from an earlier task template."""

    task: SwarmTask
    node: str  # hostname, or "" when not placed
    node_ready: bool
    old: bool

    @property
    def state(self) -> str:
        """The task's state; `lost` when its node does not answer and it only claims to run."""
        if self.task.state == "running" and not self.node_ready:
            return "lost"
        return self.task.state

    @property
    def ended(self) -> bool:
        return self.task.state in ENDED

    @property
    def failed(self) -> bool:
        return self.task.state in FAILED


@dataclass(frozen=True, slots=True)
class Slot:
    """A replica's place: its present task and those that were there before, newest first."""

    label: str  # the slot's number, or the node's hostname for a global service
    key: str  # stable over the slot's life: slot number or node id
    current: Cell
    history: list[Cell]


def task_matrix(service: Service) -> list[Slot]:
    """Every slot of the service with its history as Swarm keeps it."""
    nodes = {node.engine_id: node for node in service.cluster.nodes.all()}
    tasks = SwarmTask.objects.filter(cluster=service.cluster, service_engine_id=service.engine_id)
    by_slot: dict[Any, list[Cell]] = {}
    for task in tasks.order_by("slot", "node_engine_id", "-created_at"):
        node = nodes.get(task.node_engine_id)
        cell = Cell(
            task=task,
            node=node.hostname if node else "",
            node_ready=node is not None and node.state == "ready",
            old=task.template_hash != service.template_hash,
        )
        by_slot.setdefault(task.slot or task.node_engine_id, []).append(cell)
    return [_slot(key, cells) for key, cells in by_slot.items()]


def _slot(key: Any, cells: list[Cell]) -> Slot:
    """The present task is the newest that is still wanted; else the newest of all."""
    current = next((c for c in cells if c.task.desired_state in ("running", "ready")), cells[0])
    label = str(key) if isinstance(key, int) else current.node or str(key)[:12]
    return Slot(label, str(key), current, [cell for cell in cells if cell is not current])


def revisions_of(service: Service) -> QuerySet[Revision]:
    """The kept specs, newest first, each with the operation that made it, if the panel did."""
    return Revision.objects.filter(
        cluster=service.cluster, service_engine_id=service.engine_id
    ).select_related("operation", "operation__requested_by")


def shown_spec(spec: dict[str, Any], *, env: bool) -> dict[str, Any]:
    """The spec, its environment's values hidden unless `env`."""
    return spec if env else specs.redacted(spec)


# --- Secrets and configs -------------------------------------------------------------------------


def objects_seen_by(
    user: User, cluster: Cluster, noun: Noun
) -> QuerySet[Secret] | QuerySet[Config]:
    """The cluster's secrets or configs. Raises NotFound for who may see none of any stack.

    A config's data is read when it is asked for; its `size` comes with the row.
    """
    model = MODELS[noun]
    scopes = [s for s in scopes_with(user, model.VIEW) if s.cluster in ("", cluster.name)]
    if not scopes:
        raise NotFound("There is nothing here that you may see.")
    visible = _in_scopes(scopes, "cluster__name", "stack") & Q(cluster=cluster)
    if noun == "secret":
        return Secret.objects.filter(visible).select_related("cluster")
    configs = Config.objects.filter(visible).select_related("cluster").defer("data")
    return configs.annotate(size=Length("data"))


def object_seen_by(user: User, cluster: Cluster, noun: Noun, name: str) -> Secret | Config:
    """By name or by engine id. Raises NotFound, also for one that the user may not see."""
    seen = objects_seen_by(user, cluster, noun)
    found = seen.filter(Q(name=name) | Q(engine_id=name)).first()
    if found is None:
        raise NotFound(f"There is no {noun} named {name} in {cluster.name}.")
    return found


def nouns_seen_by(user: User, cluster: Cluster) -> list[Noun]:
    """Whether the user may see secrets, and configs, of any stack of the cluster."""
    within = [held for held in grants_of(user) if held.scope.cluster in ("", cluster.name)]
    return [
        noun for noun, model in MODELS.items() if any(model.VIEW in held.actions for held in within)
    ]


def successor(user: User, cluster: Cluster, noun: Noun, engine_id: str) -> str:
    """The name of the version that took the place of one that is gone; "" if none did."""
    rotations = operations_seen_by(user).filter(
        cluster=cluster, target_id=f"{noun}:{engine_id}", state=Operation.State.SUCCEEDED
    )
    newest = rotations.first()
    return newest.plan["new"]["name"] if newest else ""


def consumers_of(found: Secret | Config) -> QuerySet[Service]:
    """The services whose containers get it, whoever may see them; by their specs."""
    title = found.noun.title()
    services = Service.objects.filter(cluster=found.cluster).select_related("cluster")
    reference = [{f"{title}ID": found.engine_id}]
    return services.filter(**{f"spec__TaskTemplate__ContainerSpec__{title}s__contains": reference})


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses a secret or config: services that the user sees, and how many others."""

    services: list[str] = field(default_factory=list)
    hidden: int = 0

    @property
    def total(self) -> int:
        return len(self.services) + self.hidden


def usage(user: User, cluster: Cluster, noun: Noun) -> dict[str, Usage]:
    """Engine id → who uses it; what nobody uses is left out. One query for the whole cluster."""
    title = noun.title()
    visible = set(services_seen_by(user, cluster).values_list("engine_id", flat=True))
    found: dict[str, tuple[list[str], list[str]]] = {}
    mounted = F(f"spec__TaskTemplate__ContainerSpec__{title}s")
    rows = Service.objects.filter(cluster=cluster).annotate(mounted=mounted)
    for key, name, references in (
        rows.filter(mounted__isnull=False)
        .order_by("name")
        .values_list("engine_id", "name", "mounted")
    ):
        for object_id in {reference.get(f"{title}ID", "") for reference in references or []}:
            found.setdefault(object_id, ([], []))[key not in visible].append(name)
    return {key: Usage(seen, len(hidden)) for key, (seen, hidden) in found.items()}


def family(user: User, found: Secret | Config) -> list[Secret | Config]:
    """The versions of its family that are in the Swarm, the newest first, itself among them."""
    others: Iterable[Secret | Config] = objects_seen_by(user, found.cluster, found.noun)
    own = [other for other in others if other.family == found.family]
    return sorted(own, key=lambda other: other.number, reverse=True)


def kept_secrets(user: User, cluster: Cluster) -> QuerySet[KeptSecret]:
    """Secrets whose sealed values the panel keeps though they are gone from the Swarm."""
    visible = _in_scopes(scopes_with(user, Action.SECRET_VIEW), "cluster__name", "stack")
    kept = KeptSecret.objects.filter(visible, cluster=cluster).select_related("cluster", "kept_by")
    return kept.exclude(name__in=Secret.objects.filter(cluster=cluster).values("name"))


def kept_secret_seen_by(user: User, cluster: Cluster, name: str) -> KeptSecret:
    """Raises NotFound, also for one that the user may not see."""
    found = kept_secrets(user, cluster).filter(name=name).first()
    if found is None:
        raise NotFound(f"No secret named {name} is kept for {cluster.name}.")
    return found


def rotation_of(user: User, found: Secret | Config) -> Operation | None:
    """The newest rotation of this secret or config."""
    target = f"{found.noun}:{found.engine_id}"
    return operations_seen_by(user).filter(cluster=found.cluster, target_id=target).first()


# --- Operations ----------------------------------------------------------------------------------


def operations_seen_by(user: User) -> QuerySet[Operation]:
    """A rotation of a secret or config is seen by those who may see that."""
    grants = grants_of(user)

    def within(action: Action) -> Q:
        scopes = [held.scope for held in grants if action in held.actions]
        return _in_scopes(scopes, "cluster__name", "stack")

    kind = Operation.Kind
    visible = within(Action.SERVICE_VIEW)
    visible &= ~Q(kind=kind.SECRET_ROTATE) | within(Action.SECRET_VIEW)
    visible &= ~Q(kind=kind.CONFIG_ROTATE) | within(Action.CONFIG_VIEW)
    return Operation.objects.filter(visible).select_related(
        "cluster", "requested_by", "cancelled_by"
    )


def operation_seen_by(user: User, operation_id: Any) -> Operation:
    """Raises NotFound, also for one that the user may not see."""
    found = operations_seen_by(user).filter(pk=operation_id).first()
    if found is None:
        raise NotFound("There is no such operation.")
    return found


def operation_list(
    user: User, *, state: str = "", cluster: str = "", service: Service | None = None
) -> QuerySet[Operation]:
    """Newest first; `state` may also be "active"."""
    found = operations_seen_by(user)
    if state == "active":
        found = found.filter(state__in=Operation.OPEN)
    elif state:
        found = found.filter(state=state)
    if cluster:
        found = found.filter(cluster__name=cluster)
    if service:
        here = Q(target_id=service.engine_id) | Q(holds__contains=[service.engine_id])
        found = found.filter(here, cluster=service.cluster)
    return found


def awaiting(service: Service) -> QuerySet[Operation]:
    """What was asked for of the service and awaits a second person, oldest first."""
    waiting = Operation.objects.filter(
        state=Operation.State.AWAITING, cluster=service.cluster, target_id=service.engine_id
    )
    return waiting.select_related("requested_by", "approval").order_by("created_at")


def tray(user: User) -> list[Operation]:
    """What the tray shows: all that is under way, and what ended within the last minutes."""
    recent = Q(finished_at__gt=timezone.now() - timedelta(minutes=5))
    return list(operations_seen_by(user).filter(Q(state__in=Operation.OPEN) | recent)[:20])
