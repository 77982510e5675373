"""What several of the API's addresses need."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Status

from access.authorize import Actor, authorize
from access.policy import Action
from clusters import shown
from clusters.models import Operation, Service
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.services import service_seen_by


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, as the API's root found out."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


def service_of(request: HttpRequest, cluster: str, name: str) -> tuple[Service, frozenset[Action]]:
    """The service and what the actor may do there."""
    actor = actor_of(request)
    here = cluster_seen_by(actor.user, cluster)
    row = service_seen_by(actor.user, here, name)
    return row, authorize(actor, Action.SERVICE_VIEW, row.scope)


def accepted(request: HttpRequest, response: HttpResponse, operation: Operation) -> Status:
    response["Location"] = address_of(request, "operation", operation=operation.id)
    return Status(202, shown.operation(operation))


def address_of(request: HttpRequest, name: str, **arguments: Any) -> str:
    match = request.resolver_match
    return reverse(f"{match.namespace}:{name}" if match else name, kwargs=arguments)
