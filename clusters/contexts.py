"""What each fragment of a page is rendered with: the views and the live push use the same ones.

One function per template of `templates/clusters/_*.html`, named as its root element's id. Whoever
calls has made sure that the user may see the object; `may` is what they may do with it.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from access.authorize import allowed, allowed_by, grants_of
from access.models import User
from clusters import specs
from clusters.models import (
    Approval,
    Cluster,
    Config,
    Node,
    Operation,
    Revision,
    Secret,
    Service,
)
from clusters.operations import approvals
from clusters.ports import Noun
from clusters.selectors.clusters import cluster_summary
from clusters.selectors.clusters import freshness as freshness_of
from clusters.selectors.objects import family, kept_secrets, objects_seen_by, rotation_of, successor
from clusters.selectors.operations import awaiting, operation_list
from clusters.selectors.operations import tray as in_tray
from clusters.selectors.revisions import revisions_of
from clusters.selectors.services import service_health, services_seen_by
from clusters.selectors.tasks import task_legend as legend_of
from clusters.selectors.tasks import task_matrix
from clusters.selectors.usage import Usage, consumers_of, usage

Context = dict[str, Any]
_ENDED_BADLY = (Operation.State.FAILED, Operation.State.ROLLED_BACK)


# --- Services ------------------------------------------------------------------------------------


def service_row(user: User, service: Service) -> Context:
    return {"service": service, "may": allowed(user, service.scope)}


def service_rows(user: User, services: list[Service]) -> list[Context]:
    """Many rows for one reading of the user's grants."""
    grants = grants_of(user)
    return [{"service": s, "may": allowed_by(grants, s.scope)} for s in services]


def service_totals(user: User, cluster: Cluster) -> Context:
    by_health = service_health(user, cluster)
    return {"cluster": cluster, "by_health": by_health, "total": sum(by_health.values())}


def service_head(user: User, service: Service) -> Context:
    """`ended` is the newest operation if it tells why the rollout stands still or went back."""
    operations = operation_list(user, service=service)
    newest = operations.first()
    active = newest if newest is None or newest.active else _active(operations)
    ended = newest if newest and newest.state in _telling(service) else None
    return {
        "service": service,
        "cluster": service.cluster,
        "may": allowed(user, service.scope),
        "freshness": freshness_of(service.cluster),
        "active": active,
        "ended": ended,
        "awaiting": operation_rows(user, list(awaiting(user, service))),
    }


def _active(operations: QuerySet[Operation]) -> Operation | None:
    """What is under way, though what somebody asked for since still awaits a second person."""
    return operations.filter(state__in=Operation.ACTIVE).first()


def _telling(service: Service) -> tuple[Operation.State, ...]:
    """How the newest operation has ended if it is the reason for the rollout's present state."""
    if specs.is_held(service.spec):
        return (Operation.State.CANCELLED,)
    badly = service.update_state not in ("", "updating", "completed")
    return _ENDED_BADLY if badly else ()


def tasks(service: Service, keys: Iterable[str] | None = None) -> Context:
    """For the matrix and the list: all slots, or those of these keys."""
    return {"service": service, "slots": task_matrix(service, keys), **task_legend(service)}


def task_legend(service: Service) -> Context:
    return {"legend": legend_of(service)}


def service_operations(user: User, service: Service) -> Context:
    operations = operation_list(user, service=service)
    return {"service": service, "operations": list(operations[:50])}


def revisions(user: User, service: Service) -> Context:
    """Each revision with its differences to the present spec: what a rollback to it would undo."""
    kept = list(revisions_of(service)[:50])
    return {
        "service": service,
        "may": allowed(user, service.scope),
        "revisions": [_revision(service, revision) for revision in kept],
    }


def _revision(service: Service, revision: Revision) -> Context:
    return {
        "revision": revision,
        "differences": specs.differences(service.spec, revision.spec),
        "present": revision.spec_hash == specs.spec_hash(service.spec),
        "image": specs.image_of(revision.spec),
        "replicas": specs.replicas_of(revision.spec),
    }


# --- Secrets and configs -------------------------------------------------------------------------


def object_rows(user: User, cluster: Cluster, noun: Noun) -> list[Context]:
    """Every row that the user sees, for one reading of their grants and of the services."""
    grants, used = grants_of(user), usage(user, cluster, noun)
    active = _rotating(user, cluster)
    return [
        {
            "object": found,
            "used": used.get(found.engine_id, Usage()),
            "may": allowed_by(grants, found.scope),
            "rotation": active.get(f"{noun}:{found.engine_id}"),  # or its removal
        }
        for found in objects_seen_by(user, cluster, noun)
    ]


def _rotating(user: User, cluster: Cluster) -> dict[str, Operation]:
    under_way = operation_list(user, state="active", cluster=cluster.name)
    return {operation.target_id: operation for operation in under_way}


def object_details(user: User, found: Secret | Config) -> Context:
    """`rotation` is the newest: under way, or ended badly. `hidden`: consumers one may not see."""
    consumers = list(consumers_of(found))
    seen = set(services_seen_by(user, found.cluster).values_list("pk", flat=True))
    newest = rotation_of(user, found)
    telling = newest and (newest.active or newest.state in (*_ENDED_BADLY, "cancelled"))
    return {
        "object": found,
        "cluster": found.cluster,
        "may": allowed(user, found.scope),
        "freshness": freshness_of(found.cluster),
        "consumers": [_consumer(service, found) for service in consumers if service.pk in seen],
        "hidden": sum(service.pk not in seen for service in consumers),
        "versions": family(user, found),
        "rotation": newest if telling else None,
        "awaiting": _waiting(user, found.cluster, f"{found.noun}:{found.engine_id}"),
        "labels": {k: v for k, v in found.labels.items() if not k.startswith("io.pilothouse.")},
    }


def _waiting(user: User, cluster: Cluster, target_id: str) -> list[Context]:
    """What awaits a second person there, the oldest first."""
    found = operation_list(user, state=Operation.State.AWAITING, cluster=cluster.name)
    here = found.filter(target_id=target_id).select_related("approval").order_by("created_at")
    return operation_rows(user, list(here))


def _consumer(service: Service, found: Secret | Config) -> Context:
    references = specs.references(service.spec, found.noun)
    return {
        "service": service,
        "references": [r for r in references if r.id == found.engine_id],
        "rollout": rollout(service.spec),
    }


def rollout(spec: dict[str, Any]) -> Context:
    """How Swarm will replace the tasks of a service."""
    config = spec.get("UpdateConfig") or {}
    return {
        "parallelism": config.get("Parallelism", 1),
        "delay": config.get("Delay", 0),
        "failure_action": config.get("FailureAction") or "pause",
        "order": config.get("Order") or "stop-first",
    }


def object_gone(user: User, cluster: Cluster, noun: Noun, engine_id: str) -> Context:
    name = successor(user, cluster, noun, engine_id)
    return {"cluster": cluster, "noun": noun, "successor": name}


def kept(user: User, cluster: Cluster) -> Context:
    grants, open_ones = grants_of(user), _rotating(user, cluster)
    return {
        "cluster": cluster,
        "kept": [
            {
                "secret": kept,
                "may": allowed_by(grants, kept.scope),
                "waits": open_ones.get(f"kept:{kept.pk}"),
            }
            for kept in kept_secrets(user, cluster)
        ],
    }


# --- Clusters ------------------------------------------------------------------------------------


def cluster_head(user: User, cluster: Cluster) -> Context:
    return {
        "summary": cluster_summary(user, cluster),
        "may": allowed(user, cluster.scope),
        "making": _making(user, cluster),
    }


def _making(user: User, cluster: Cluster) -> Operation | None:
    """The newest attempt to make a Swarm of an engine that is in none."""
    if cluster.state != Cluster.State.NOT_A_SWARM:
        return None
    attempts = operation_list(user, cluster=cluster.name)
    return attempts.filter(kind=Operation.Kind.SWARM_INIT).first()


def node_row(cluster: Cluster, node: Node) -> Context:
    """`node` is one of `nodes_of`: it knows how many tasks run on it."""
    return {"cluster": cluster, "node": node}


def freshness(cluster: Cluster) -> Context:
    return {"cluster": cluster, "freshness": freshness_of(cluster)}


# --- Operations ----------------------------------------------------------------------------------


def operation_row(user: User, operation: Operation) -> Context:
    return {"operation": operation, "may": allowed(user, operation.scope)}


def operation_rows(user: User, operations: list[Operation]) -> list[Context]:
    """Many rows for one reading of the user's grants."""
    grants = grants_of(user)
    return [{"operation": o, "may": allowed_by(grants, o.scope)} for o in operations]


def operation(user: User, operation: Operation) -> Context:
    """`clash` is {"theirs", "yours"}, lists of differences, after a conflict; else None."""
    approval = Approval.objects.filter(operation=operation).select_related("decided_by").first()
    return {
        "operation": operation,
        "approval": approval,
        "void": approvals.void_because(approval) if approval and operation.awaiting else "",
        "decides": operation.awaiting and operation.requested_by_id != user.pk,
        "may": allowed(user, operation.scope),
        "differences": specs.differences(operation.before, operation.after),
        "clash": operation.clash,
    }


def tray(user: User) -> Context:
    return {"operations": in_tray(user)}
