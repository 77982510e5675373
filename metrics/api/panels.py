"""Saved panels: charts of queries, of a stack or of the whole cluster."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import ConfigDict, Field

from access.authorize import Actor, authorize
from access.declared import needs
from access.paging import Page, Paging, page_of
from access.policy import Action
from clusters.api.answers import actor_of
from clusters.models import Cluster
from clusters.selectors.clusters import cluster_seen_by
from metrics import saving, selectors
from metrics.models import SavedPanel
from metrics.poller import POLLER
from metrics.saved import ChangedPanel, NewPanel
from metrics.schemas import PanelShape

router = Router(tags=["Metrics"])
PANEL = "{slug:cluster}/panels/{int:panel}"


class PanelFilter(Paging):
    model_config = ConfigDict(extra="forbid")

    stack: str | None = Field(
        None, max_length=64, description="Of this stack; empty: the cluster's own."
    )


@router.get("{slug:cluster}/panels", response=Page[PanelShape], summary="List the saved panels")
@needs(Action.CLUSTER_VIEW)
def list_panels(request: HttpRequest, cluster: str, filters: Query[PanelFilter]) -> dict[str, Any]:
    """Those that you see: a stack's with the stack, the cluster's own with the whole cluster."""
    actor = actor_of(request)
    here = cluster_seen_by(actor.user, cluster)
    found = selectors.panels_seen_by(actor.user, here)
    if filters.stack is not None:
        found = found.filter(stack=filters.stack)
    return page_of(found, filters, _shape)


@router.post("{slug:cluster}/panels", response={201: PanelShape}, summary="Save a panel")
@needs(Action.METRICS_QUERY)
def create_panel(request: HttpRequest, cluster: str, new: NewPanel) -> Status:
    """At the end of its stack's panels. A query that Prometheus does not take is refused."""
    actor, here = _find(request, cluster)
    panel = saving.save(actor, here, new)
    POLLER.forget(here.name)
    return Status(201, _shape(panel))


@router.patch(PANEL, response=PanelShape, summary="Change a panel")
@needs(Action.METRICS_QUERY)
def change_panel(
    request: HttpRequest, cluster: str, panel: int, changed: ChangedPanel
) -> dict[str, Any]:
    actor, here = _find(request, cluster)
    found = selectors.panel_seen_by(actor.user, here, panel)
    saving.change(actor, found, changed)
    POLLER.forget(here.name)
    return _shape(found)


@router.delete(PANEL, response={204: None}, summary="Remove a panel")
@needs(Action.METRICS_QUERY)
def remove_panel(request: HttpRequest, cluster: str, panel: int) -> Status:
    """Its page offers to put it back for 30 days."""
    actor, here = _find(request, cluster)
    saving.remove(actor, selectors.panel_seen_by(actor.user, here, panel))
    POLLER.forget(here.name)
    return Status(204, None)


def _find(request: HttpRequest, cluster: str) -> tuple[Actor, Cluster]:
    actor = actor_of(request)
    here = cluster_seen_by(actor.user, cluster)
    authorize(actor, Action.METRICS_QUERY, here.scope)
    return actor, here


def _shape(panel: SavedPanel) -> dict[str, Any]:
    names = ("id", "stack", "title", "query", "unit", "warning", "critical", "position", "given")
    return {**{name: getattr(panel, name) for name in names}, "changed_at": panel.changed_at}
