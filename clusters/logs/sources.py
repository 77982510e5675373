"""Which tasks' logs a service has, by the rows."""

from dataclasses import dataclass

from access.authorize import Actor, authorize
from access.policy import Action, Scope
from clusters import readings
from clusters.logs.lines import Source
from clusters.models import Cluster, Node, Service, SwarmTask
from clusters.problems import NotFound
from clusters.selectors.clusters import cluster_seen_by, freshness
from clusters.selectors.services import service_seen_by

MOST_TASKS = 1_000  # rows; far more than are read


@dataclass(frozen=True, slots=True)
class Picture:
    """A service's tasks as they are now, those of most interest first."""

    cluster: Cluster
    scope: Scope
    sources: list[Source]
    stale: str  # why the picture is old; empty if it is not


def look(actor: Actor, cluster: str, service: str, task: str = "") -> Picture:
    """Raises NotFound and Forbidden; asked anew it notices what has changed, rights as well."""
    here = cluster_seen_by(actor.user, cluster)
    found = service_seen_by(actor.user, here, service)
    authorize(actor, Action.SERVICE_LOGS, found.scope)
    return Picture(here, found.scope, _sources(found, task), freshness(here).reason)


def _sources(service: Service, task_id: str) -> list[Source]:
    """Of the tasks that have, or had, a container: the others have no log."""
    tasks = SwarmTask.objects.filter(
        cluster=service.cluster, service_engine_id=service.engine_id
    ).exclude(container_id="")
    if task_id:
        tasks = tasks.filter(engine_id=task_id)
        if not tasks.exists():
            raise NotFound(f"{service.name} has no task {task_id} with a log.")
    nodes = {node.engine_id: node for node in service.cluster.nodes.all()}
    tty = bool((service.spec["TaskTemplate"].get("ContainerSpec") or {}).get("TTY"))
    rows = sorted(tasks.order_by("-state_at")[:MOST_TASKS], key=_has_ended)
    return [_source(service, row, nodes.get(row.node_engine_id), tty=tty) for row in rows]


def _has_ended(task: SwarmTask) -> bool:
    return task.state in readings.ENDED


def _source(service: Service, task: SwarmTask, node: Node | None, *, tty: bool) -> Source:
    hostname = node.hostname if node else ""
    return Source(
        task_id=task.engine_id,
        task=f"{service.name}.{task.slot or hostname or task.node_engine_id[:12]}",
        node=hostname,
        node_ready=node is not None and node.state == "ready",
        tty=tty,
        ended=_has_ended(task),
    )
