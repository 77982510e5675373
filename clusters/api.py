"""The API's addresses of clusters, services and operations."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Body, Header, Query, Router, Status

from access.authorize import Actor, authorize
from access.paging import Page, Paging, page_count, page_of
from access.policy import Action
from clusters import selectors, shown
from clusters.changes import Restart, Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Operation, Service
from clusters.operations.clusters import register_cluster
from clusters.operations.requests import preview, request_cancel, request_swarm_init
from clusters.operations.requests import request as request_change
from clusters.problems import Conflict, Invalid
from clusters.registration import NewCluster, NewSwarm
from clusters.schemas import (
    Cancel,
    ClusterDetail,
    ClusterRow,
    DryRun,
    OperationFilter,
    OperationRow,
    Preview,
    ServiceFilter,
    ServiceRow,
)
from clusters.schemas import Service as ServiceDetail
from clusters.tasks import wake

clusters = Router(tags=["Clusters"])
services = Router(tags=["Services"])
changes = Router(tags=["Changes of a service"])
operations = Router(tags=["Operations"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Of your making. A request with a key that you sent before does nothing again,"
        " and answers the operation that it made the first time.",
    ),
]
Outcome = dict[int, Any]
CHANGE: Outcome = {202: OperationRow, 200: Preview}


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


# --- Clusters ------------------------------------------------------------------------------------


@clusters.get("", response=Page[ClusterRow], summary="List the clusters")
def list_clusters(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The clusters that you may see, each with how fresh its picture is."""
    user = _actor(request).user
    rows = selectors.clusters_seen_by(user).order_by("name")
    return page_of(rows, paging, lambda row: shown.cluster(selectors.cluster_summary(user, row)))


@clusters.post("", response={201: ClusterRow}, summary="Register a cluster")
def register(request: HttpRequest, response: HttpResponse, new: NewCluster) -> Status:
    """By the addresses of its managers. The watcher looks at it within a second."""
    tls = new.tls.material() if new.tls else None
    cluster = register_cluster(_actor(request), new.name, new.addresses, tls)
    response["Location"] = _address(request, "cluster", cluster=cluster.name)
    summary = selectors.cluster_summary(_actor(request).user, cluster)
    return Status(201, shown.cluster(summary))


@clusters.get(
    "{slug:cluster}", response=ClusterDetail, url_name="cluster", summary="Show a cluster"
)
def show_cluster(request: HttpRequest, cluster: str) -> dict[str, Any]:
    """With its nodes (`members`), networks and stacks, and which managers answered."""
    user = _actor(request).user
    row = selectors.cluster_seen_by(user, cluster)
    return {
        **shown.cluster(selectors.cluster_summary(user, row)),
        "members": [shown.node(node) for node in selectors.nodes_of(row)],
        "networks": [shown.network(network) for network in selectors.networks_of(row)],
        "stacks": [shown.stack(stack) for stack in selectors.stacks_of(user, row)],
    }


@clusters.post("{slug:cluster}/swarm/init", response={202: OperationRow}, summary="Start a Swarm")
def init_swarm(request: HttpRequest, response: HttpResponse, cluster: str, new: NewSwarm) -> Status:
    """Make the cluster's engine, which is outside Swarm mode, the first manager of a new Swarm."""
    actor = _actor(request)
    row = selectors.cluster_seen_by(actor.user, cluster)
    return _accepted(request, response, request_swarm_init(actor, row, new.advertise, wake=wake))


# --- Services ------------------------------------------------------------------------------------


@services.get("", response=Page[ServiceRow], summary="List the services")
def list_services(
    request: HttpRequest, cluster: str, filters: Query[ServiceFilter]
) -> dict[str, Any]:
    user = _actor(request).user
    row = selectors.cluster_seen_by(user, cluster)
    query = selectors.ServiceQuery(
        q=filters.q,
        stack=filters.stack,
        state=filters.state or "",
        image=filters.image,
        sort=filters.sort,
        page=filters.page,
    )
    found = selectors.service_page(user, row, query, filters.page_size)
    rows = found.rows if filters.page <= found.pages else []
    return {
        "items": [shown.service(service) for service in rows],
        "total": found.total,
        "page": filters.page,
        "pages": page_count(found.total, filters.page_size),
    }


@services.get("{str:service}", response=ServiceDetail, summary="Show a service")
def show_service(request: HttpRequest, cluster: str, service: str) -> dict[str, Any]:
    """By name or id: its spec, tasks and revisions.

    Environment values are hidden (`•••`) from those who may not see them.
    """
    row, actions = _service(request, cluster, service)
    return shown.whole_service(row, env=Action.SERVICE_ENV in actions)


def _service(request: HttpRequest, cluster: str, name: str) -> tuple[Service, frozenset[Action]]:
    """The service and what the actor may do there."""
    user = _actor(request).user
    row = selectors.service_seen_by(user, selectors.cluster_seen_by(user, cluster), name)
    return row, authorize(user, Action.SERVICE_VIEW, row.scope)


# --- Changes of a service ------------------------------------------------------------------------


@changes.post("scale", response=CHANGE, summary="Scale")
def scale(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    change: Scale,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """Set the number of replicas of a replicated service. No running task is restarted."""
    return _change(request, response, cluster, service, change, options, key)


@changes.post("update", response=CHANGE, summary="Update, task by task")
def update(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    change: Update,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """Change the image, environment, labels, resources, constraints or the rollout's own settings.

    What you leave out stays as it is. In `env`, `labels` and `container_labels` a null removes the
    name. Durations are nanoseconds or texts like `10s`, memory is bytes or a text like `512M`.
    """
    return _change(request, response, cluster, service, change, options, key)


@changes.post("rollback", response=CHANGE, summary="Roll back to a revision")
def rollback(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Rollback | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """To the given revision, or without one to the newest whose tasks differ from the present."""
    return _change(request, response, cluster, service, change or Rollback(), options, key)


@changes.post("restart", response=CHANGE, summary="Restart every task")
def restart(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Restart | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """Replace every task by a fresh one of the same spec, by the service's own update_config."""
    return _change(request, response, cluster, service, change or Restart(), options, key)


@changes.post("resume", response=CHANGE, summary="Resume a stopped rollout")
def resume(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Resume | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """Let a rollout go on that was stopped half way by a cancellation."""
    return _change(request, response, cluster, service, change or Resume(), options, key)


def _change(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    name: str,
    change: ServiceChange,
    options: DryRun,
    key: str | None,
) -> Status:
    actor = _actor(request)
    row, actions = _service(request, cluster, name)
    env = Action.SERVICE_ENV in actions
    try:
        if options.dry_run == "true":
            return Status(200, shown.preview(preview(actor, row, change), env=env))
        operation = request_change(actor, row, change, wake=wake, idempotency_key=key)
    except Conflict as conflict:
        raise _shown_conflict(conflict, env=env) from conflict
    _refuse_other_use(operation, row, change, key)
    return _accepted(request, response, operation)


def _shown_conflict(conflict: Conflict, *, env: bool) -> Conflict:
    clash = conflict.clash
    theirs = shown.differences(clash.theirs, env=env)
    yours = shown.differences(clash.yours, env=env)
    return Conflict(replace(clash, theirs=theirs, yours=yours))


def _refuse_other_use(
    operation: Operation, service: Service, change: ServiceChange, key: str | None
) -> None:
    """One key is one request: the operation of another must not pass for this one's."""
    if key and (operation.target_id, operation.change) != (service.engine_id, change.asked()):
        raise Invalid(
            "This Idempotency-Key was used for another request; nothing was done.",
            "Idempotency-Key",
        )


def _accepted(request: HttpRequest, response: HttpResponse, operation: Operation) -> Status:
    response["Location"] = _address(request, "operation", operation=operation.id)
    return Status(202, shown.operation(operation))


def _address(request: HttpRequest, name: str, **arguments: Any) -> str:
    match = request.resolver_match
    return reverse(f"{match.namespace}:{name}" if match else name, kwargs=arguments)


# --- Operations ----------------------------------------------------------------------------------


@operations.get("", response=Page[OperationRow], summary="List the operations")
def list_operations(request: HttpRequest, filters: Query[OperationFilter]) -> dict[str, Any]:
    """The newest first."""
    found = selectors.operation_list(
        _actor(request).user, state=filters.state or "", cluster=filters.cluster
    )
    return page_of(found.order_by("-created_at", "-id"), filters, shown.operation)


@operations.get(
    "{uuid:operation}", response=OperationRow, url_name="operation", summary="Show an operation"
)
def show_operation(request: HttpRequest, operation: UUID) -> dict[str, Any]:
    return shown.operation(selectors.operation_seen_by(_actor(request).user, operation))


@operations.post("{uuid:operation}/cancel", response={202: OperationRow}, summary="Cancel")
def cancel(request: HttpRequest, response: HttpResponse, operation: UUID, body: Cancel) -> Status:
    """At once if nothing was sent to Docker yet; else stop the rollout, or go back."""
    actor = _actor(request)
    row = selectors.operation_seen_by(actor.user, operation)
    how = Operation.Cancel(body.how)
    return _accepted(request, response, request_cancel(actor, row, how, wake=wake))
