"""Metrics of services, and where they come from."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field, field_validator

from access.authorize import authorize
from access.declared import needs
from access.policy import Action
from clusters.api.answers import actor_of, service_of
from clusters.models import Cluster
from clusters.problems import NotFound
from clusters.selectors.clusters import cluster_seen_by
from metrics import operations
from metrics.marks import marks_of
from metrics.models import Source
from metrics.pictures import Subject, as_json
from metrics.poller import POLLER
from metrics.ports import MetricsAway
from metrics.registration import Chosen, NewSource
from metrics.schemas import ServiceMetrics, SourceShape
from metrics.sources import source_of
from metrics.windows import DEFAULT, RANGES, is_range

router = Router(tags=["Metrics"])


class Range(Schema):
    model_config = ConfigDict(extra="forbid")

    range: str = Field(
        DEFAULT,
        description=f"One of {', '.join(RANGES)}, or two moments in seconds since 1970:"
        " “1767225600-1767229200”.",
        pattern=rf"^({'|'.join(RANGES)}|[0-9]{{1,11}}-[0-9]{{1,11}})$",
    )

    @field_validator("range")
    @classmethod
    def known(cls, text: str) -> str:
        if not is_range(text):
            raise ValueError("must end after its beginning, within a year")
        return text


@router.get(
    "{slug:cluster}/services/{str:service}/metrics",
    response=ServiceMetrics,
    summary="Read the metrics of a service",
)
@needs(Action.SERVICE_VIEW)
def show_metrics(
    request: HttpRequest, cluster: str, service: str, asked: Query[Range]
) -> dict[str, Any]:
    """The charts of its page as series: at most about 300 points of each.

    503 if Prometheus does not answer; 404 if the cluster has no source.
    """
    row, _ = service_of(request, cluster, service)
    if source_of(row.cluster) is None:
        raise NotFound(f"{row.cluster.name} has no source of metrics.")
    subject = Subject("service", row.cluster.name, row.name, asked.range)
    picture = POLLER.wait(subject, settings.PROMETHEUS_TIMEOUT)
    if picture is None or picture.state != "ok":
        raise MetricsAway(picture.reason if picture else "Prometheus is being asked: try again.")
    return as_json(picture, marks_of(actor_of(request).user, row, picture.window))


@router.get("{slug:cluster}/metrics/source", response=SourceShape, summary="Show the source")
@needs(Action.CLUSTER_REGISTER)
def show_source(request: HttpRequest, cluster: str) -> dict[str, Any]:
    """Where the cluster's metrics come from, and whether it answers: it is asked, if need be."""
    here = _cluster_of(request, cluster)
    if source_of(here) is None:
        raise NotFound(f"{here.name} has no source of metrics.")
    POLLER.wait(Subject("source", here.name), settings.PROMETHEUS_TIMEOUT)
    return _shown(here)


@router.put("{slug:cluster}/metrics/source", response=SourceShape, summary="Set the source")
@needs(Action.CLUSTER_REGISTER)
def set_source(request: HttpRequest, cluster: str, new: NewSource) -> dict[str, Any]:
    """Replace it. Read it afterwards: then it has been asked whether it answers.

    A token or a password that is left out stays if the address does.
    """
    here = _cluster_of(request, cluster)
    operations.set_source(actor_of(request), here, new)
    POLLER.forget(here.name)
    return _shown(here)


@router.put("{slug:cluster}/metrics/mapping", response=SourceShape, summary="Set names by hand")
@needs(Action.CLUSTER_REGISTER)
def set_mapping(request: HttpRequest, cluster: str, chosen: Chosen) -> dict[str, Any]:
    """Names of labels and metrics that go before what was detected; what is left out does not."""
    here = _cluster_of(request, cluster)
    operations.choose_mapping(actor_of(request), here, chosen)
    POLLER.forget(here.name)
    return _shown(here)


@router.delete("{slug:cluster}/metrics/source", response={204: None}, summary="Remove the source")
@needs(Action.CLUSTER_REGISTER)
def remove_source(request: HttpRequest, response: HttpResponse, cluster: str) -> Status:
    here = _cluster_of(request, cluster)
    operations.remove_source(actor_of(request), here)
    POLLER.forget(here.name)
    return Status(204, None)


def _cluster_of(request: HttpRequest, cluster: str) -> Cluster:
    actor = actor_of(request)
    here = cluster_seen_by(actor.user, cluster)
    authorize(actor, Action.CLUSTER_REGISTER, here.scope)
    return here


def _shown(cluster: Cluster) -> dict[str, Any]:
    source: Source = Source.objects.get(cluster=cluster)
    state = "away" if source.unavailable_since else "ok" if source.detected_at else "unknown"
    return {
        "address": source.address,
        "username": source.username,
        "has_token": bool(source.token_sealed),
        "has_password": bool(source.password_sealed),
        "ca": source.ca,
        "from_environment": source.from_environment,
        "state": state,
        "unavailable_since": source.unavailable_since,
        "reason": source.unavailable_reason,
        "detected_at": source.detected_at,
        "scrape_interval": source.scrape_interval,
        "mapping": source.mapping.as_json(),
        "chosen": sorted(source.chosen),
    }
