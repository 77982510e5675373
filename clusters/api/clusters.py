"""Clusters."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.declared import SIGNED_IN, needs
from access.paging import Page, Paging, page_of
from access.policy import Action
from clusters import shown
from clusters.api.answers import accepted, actor_of, address_of
from clusters.operations.clusters import register_cluster
from clusters.operations.requests import request_swarm_init
from clusters.registration import NewCluster, NewSwarm
from clusters.schemas.clusters import ClusterDetail, ClusterRow
from clusters.schemas.operations import OperationRow
from clusters.selectors.clusters import cluster_seen_by, cluster_summary, clusters_seen_by
from clusters.selectors.nodes import networks_seen_by, nodes_of
from clusters.selectors.stacks import stacks_of
from clusters.tasks import wake

router = Router(tags=["Clusters"])


@router.get("", response=Page[ClusterRow], summary="List the clusters")
@needs(SIGNED_IN)
def list_clusters(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The clusters that you may see, each with how fresh its picture is."""
    user = actor_of(request).user
    rows = clusters_seen_by(user).order_by("name")
    return page_of(rows, paging, lambda row: shown.cluster(cluster_summary(user, row)))


@router.post("", response={201: ClusterRow}, summary="Register a cluster")
@needs(Action.CLUSTER_REGISTER)
def register(request: HttpRequest, response: HttpResponse, new: NewCluster) -> Status:
    """By the addresses of its managers. The watcher looks at it within a second."""
    tls = new.tls.material() if new.tls else None
    cluster = register_cluster(actor_of(request), new.name, new.addresses, tls)
    response["Location"] = address_of(request, "cluster", cluster=cluster.name)
    summary = cluster_summary(actor_of(request).user, cluster)
    return Status(201, shown.cluster(summary))


@router.get("{slug:cluster}", response=ClusterDetail, url_name="cluster", summary="Show a cluster")
@needs(Action.CLUSTER_VIEW)
def show_cluster(request: HttpRequest, cluster: str) -> dict[str, Any]:
    """With its nodes (`members`), networks and stacks, and which managers answered."""
    user = actor_of(request).user
    row = cluster_seen_by(user, cluster)
    return {
        **shown.cluster(cluster_summary(user, row)),
        "members": [shown.node(node) for node in nodes_of(row)],
        "networks": [shown.network(network) for network in networks_seen_by(user, row)],
        "stacks": [shown.stack(stack) for stack in stacks_of(user, row)],
    }


@router.post("{slug:cluster}/swarm/init", response={202: OperationRow}, summary="Start a Swarm")
@needs(Action.SWARM_INIT)
def init_swarm(request: HttpRequest, response: HttpResponse, cluster: str, new: NewSwarm) -> Status:
    """Make the cluster's engine, which is outside Swarm mode, the first manager of a new Swarm."""
    actor = actor_of(request)
    row = cluster_seen_by(actor.user, cluster)
    return accepted(request, response, request_swarm_init(actor, row, new.advertise, wake=wake))
