"""What every view starts with: the actor, and the object that the address names."""

from django.http import HttpRequest

from access.authorize import Actor
from access.requests import actor_of
from clusters.models import Cluster, Config, Operation, Secret, Service
from clusters.ports import Noun
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.objects import object_seen_by
from clusters.selectors.operations import operation_seen_by
from clusters.selectors.services import service_in_sight, service_seen_by


def find_cluster(request: HttpRequest, name: str) -> tuple[Actor, Cluster]:
    """Raises SignedOut, NotFound."""
    actor = actor_of(request)
    return actor, cluster_seen_by(actor.user, name)


def find_service(request: HttpRequest, cluster: str, service: str) -> tuple[Actor, Service]:
    """Raises SignedOut, NotFound."""
    actor = actor_of(request)
    if found := service_in_sight(actor.user, cluster, service):
        return actor, found
    return actor, service_seen_by(actor.user, cluster_seen_by(actor.user, cluster), service)


def find_object(
    request: HttpRequest, cluster: str, noun: Noun, name: str
) -> tuple[Actor, Secret | Config]:
    """Raises SignedOut, NotFound."""
    actor, found = find_cluster(request, cluster)
    return actor, object_seen_by(actor.user, found, noun, name)


def find_operation(request: HttpRequest, operation: object) -> tuple[Actor, Operation]:
    """Raises SignedOut, NotFound."""
    actor = actor_of(request)
    return actor, operation_seen_by(actor.user, operation)
