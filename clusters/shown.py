"""Rows as the API shows them: the dictionaries behind `clusters.schemas`."""

import base64
import dataclasses
from collections.abc import Iterable
from typing import Any

from access.models import User
from clusters import specs, texts
from clusters.models import (
    Config,
    Network,
    Node,
    Operation,
    Revision,
    Secret,
    Service,
    SwarmTask,
)
from clusters.operations import rotations
from clusters.operations.previews import Preview
from clusters.selectors.clusters import ClusterSummary
from clusters.selectors.objects import family
from clusters.selectors.revisions import revisions_of, shown_spec
from clusters.selectors.stacks import StackSummary
from clusters.selectors.tasks import Cell, task_matrix
from clusters.selectors.usage import Usage, consumers_of, usage
from clusters.specs import Difference

REVISIONS = 20
HIDDEN = "•••"


def cluster(summary: ClusterSummary) -> dict[str, Any]:
    row = summary.cluster
    return {
        "name": row.name,
        "state": row.state,
        "message": row.state_message,
        "fresh": summary.freshness.fresh,
        "stale_because": summary.freshness.reason,
        "seen_at": summary.freshness.seen_at,
        "simulated": row.simulated,
        "swarm_id": row.swarm_id,
        "engine_version": row.engine_version,
        "api_version": row.api_version,
        "managers": row.managers,
        "nodes": {"ready": summary.nodes_ready, "total": summary.nodes},
        "services": {
            "total": summary.services,
            "troubled": summary.troubled,
            "by_state": summary.by_health,
        },
        "tasks": {"running": summary.running, "desired": summary.desired},
        "active_operations": summary.active_operations,
    }


def node(row: Node) -> dict[str, Any]:
    """`row` comes from `nodes_of`, which counts its tasks."""
    names = (
        "hostname", "role", "availability", "state", "message", "address", "leader",
        "reachability", "engine_version", "platform", "cpus", "memory", "labels", "running",
    )  # fmt: skip
    return {"id": row.engine_id, **{name: getattr(row, name) for name in names}}


def network(row: Network) -> dict[str, Any]:
    names = (
        "name", "stack", "driver", "scope", "attachable", "encrypted", "ingress", "subnets",
    )  # fmt: skip
    return {"id": row.engine_id, **{name: getattr(row, name) for name in names}}


def stack(summary: StackSummary) -> dict[str, Any]:
    return dataclasses.asdict(summary)


def secret_or_config(row: Secret | Config, used: Usage) -> dict[str, Any]:
    own = {k: v for k, v in row.labels.items() if not k.startswith("io.pilothouse.")}
    shown = {
        "id": row.engine_id,
        "name": row.name,
        "cluster": row.cluster.name,
        "stack": row.stack,
        "family": row.family,
        "version": row.number,
        "labels": own,
        "templating": row.templating,
        "used_by": used.services,
        "used_by_hidden": used.hidden,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    if isinstance(row, Secret):
        return {**shown, "driver": row.driver}
    return {**shown, "size": row.size}  # type: ignore[attr-defined]  # by objects_seen_by


def whole_object(user: User, row: Secret | Config) -> dict[str, Any]:
    """With how each service mounts it, and the versions of its family."""
    used = usage(user, row.cluster, row.noun).get(row.engine_id, Usage())
    seen = consumers_of(row).filter(name__in=used.services)
    return {
        **secret_or_config(row, used),
        "consumers": [
            {"service": found.name, **dataclasses.asdict(reference)}
            for found in seen
            for reference in specs.references(found.spec, row.noun)
            if reference.id == row.engine_id
        ],
        "versions": [
            {"name": other.name, "version": other.number, "created_at": other.created_at}
            for other in family(user, row)
        ],
    }


def config_data(row: Config) -> dict[str, Any]:
    data = bytes(row.data)
    return {
        "name": row.name,
        "size": len(data),
        "text": texts.text_of(data),
        "base64": base64.b64encode(data).decode(),
    }


def rotation(foreseen: rotations.Preview) -> dict[str, Any]:
    return {
        "dry_run": True,
        "kind": rotations.KINDS[foreseen.found.noun],
        "target": foreseen.found.name,
        "new_name": foreseen.name,
        "services": [
            {
                "service": consumer.service.name,
                "tasks": consumer.service.desired,
                "update_config": consumer.rollout,
            }
            for consumer in foreseen.consumers
        ],
        "warnings": foreseen.warnings,
    }


def service(row: Service) -> dict[str, Any]:
    return {
        "id": row.engine_id,
        "name": row.name,
        "cluster": row.cluster.name,
        "stack": row.stack,
        "image": row.image,
        "mode": row.mode,
        "state": row.health,
        "replicas": {"running": row.running, "desired": row.desired},
        "update": {"state": row.update_state, "message": row.update_message},
        "version": row.version,
        "placement": row.placement,
        "last_error": row.last_error,
        "last_error_at": row.last_error_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def whole_service(row: Service, *, env: bool) -> dict[str, Any]:
    """A service with specs, tasks and revisions; environment values only with `env`."""
    previous = row.previous_spec
    slots = task_matrix(row)
    return {
        **service(row),
        "spec": shown_spec(row.spec, env=env),
        "previous_spec": shown_spec(previous, env=env) if previous else None,
        "endpoint": row.endpoint,
        "tasks": [task(s.label, cell) for s in slots for cell in (s.current, *s.history)],
        "revisions": [revision(r, env=env) for r in revisions_of(row)[:REVISIONS]],
    }


def task(slot: str, cell: Cell) -> dict[str, Any]:
    row = cell.task
    return {
        "id": row.engine_id,
        "slot": slot,
        "node": cell.node,
        "node_ready": cell.node_ready,
        "state": cell.state,
        "desired_state": row.desired_state,
        "current": not cell.old,
        "message": row.message,
        "error": row.error,
        "exit_code": row.exit_code,
        "image": row.image,
        "container_id": row.container_id,
        "created_at": row.created_at,
        "state_at": row.state_at,
    }


def revision(row: Revision, *, env: bool) -> dict[str, Any]:
    made_by = row.operation
    return {
        "number": row.number,
        "version": row.version,
        "image": specs.image_of(row.spec),
        "seen_at": row.seen_at,
        "operation": made_by.id if made_by else None,
        "requested_by": made_by.requested_by.get_username() if made_by else "",
        "spec": shown_spec(row.spec, env=env),
    }


def operation(row: Operation) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "cluster": row.cluster.name,
        "target": row.target,
        "state": row.state,
        "progress": {"done": row.done, "total": row.total, "unit": row.unit},
        "steps": row.steps,
        "error": row.error,
        "result": row.result,
        "requested_by": row.requested_by.get_username(),
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


def operation_detail(row: Operation, *, env: bool) -> dict[str, Any]:
    """With both changes after a conflict."""
    return {**operation(row), "conflict": _conflict(row.clash, env=env) if row.clash else None}


def _conflict(clash: dict[str, Any], *, env: bool) -> dict[str, Any]:
    def side(name: str) -> list[dict[str, Any]]:
        found = differences((Difference(**kept) for kept in clash[name]), env=env)
        return [dataclasses.asdict(difference) for difference in found]

    return {
        "current_version": clash["current_version"],
        "theirs": side("theirs"),
        "yours": side("yours"),
    }


def preview(foreseen: Preview, *, env: bool) -> dict[str, Any]:
    return {
        "dry_run": True,
        "kind": foreseen.kind,
        "target": foreseen.service.name,
        "version": foreseen.service.version,
        "changes_nothing": foreseen.changes_nothing,
        "differences": [
            dataclasses.asdict(found) for found in differences(foreseen.differences, env=env)
        ],
        "restarts": _task_refs(foreseen.service, foreseen.restarts),
        "adds": foreseen.adds,
        "removes": foreseen.removes,
        "awaits_approval": foreseen.awaits,
        "warnings": foreseen.warnings,
    }


def _task_refs(row: Service, tasks: Iterable[SwarmTask]) -> list[dict[str, str]]:
    nodes = dict(row.cluster.nodes.values_list("engine_id", "hostname"))
    return [
        {
            "id": found.engine_id,
            "slot": str(found.slot) if found.slot else nodes.get(found.node_engine_id, ""),
            "node": nodes.get(found.node_engine_id, ""),
        }
        for found in tasks
    ]


def differences(found: Iterable[Difference], *, env: bool) -> list[Difference]:
    """The differences, environment values hidden unless `env`; what is absent stays absent."""
    if env:
        return list(found)
    return [_hidden(difference) if difference.secret else difference for difference in found]


def _hidden(found: Difference) -> Difference:
    before = None if found.before is None else HIDDEN
    after = None if found.after is None else HIDDEN
    return dataclasses.replace(found, before=before, after=after)
