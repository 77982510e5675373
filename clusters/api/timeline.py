"""What happened in a cluster."""

from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import AwareDatetime, Field

from access.declared import needs
from access.policy import Action
from clusters.api.answers import actor_of
from clusters.problems import Invalid
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.services import service_seen_by
from clusters.timeline.entries import KINDS, MOST, Entry, Question, beside, entries

router = Router(tags=["Clusters"])
Kind = Literal["cluster", "leader", "node", "service", "alert", "operation", "engine"]
LONGEST = timedelta(days=31)


class TimelineFilter(Schema):
    since: AwareDatetime | None = Field(None, description="An hour ago, if left out.")
    until: AwareDatetime | None = Field(None, description="Now, if left out.")
    kind: Kind | None = Field(None, description="Only what is of this kind.")
    stack: str | None = Field(
        None, max_length=64, description="One stack; an empty value asks for services without one."
    )
    service: str = Field("", max_length=255, description="One service, by name or id.")


class TimelineEntry(Schema):
    """Something that happened, once or several times."""

    id: str
    kind: str
    at: datetime = Field(description="When it happened, the first time if it did so several times.")
    last_at: datetime | None = Field(description="The last time, if it happened several times.")
    count: int
    until: datetime | None = Field(description="When it ended, if it lasted and has ended.")
    open: bool = Field(description="Whether it still lasts.")
    name: str = Field(description="What it happened to.")
    stack: str
    state: str = Field(description="What it became: a state of its kind, or an event.")
    before: str
    text: str
    who: str = Field(description="Who asked for it; empty if nobody did through the panel.")


class Timeline(Schema):
    since: datetime
    until: datetime
    cut: bool = Field(description=f"Whether there is more than these {MOST}: ask for less time.")
    lacking: list[str] = Field(
        description="What cannot be told now, as alerts while their source is away, in words."
    )
    items: list[TimelineEntry] = Field(description="The newest first.")


@router.get("{slug:cluster}/timeline", response=Timeline, summary="Show what happened")
@needs(Action.CLUSTER_VIEW)
def show_timeline(
    request: HttpRequest, cluster: str, filters: Query[TimelineFilter]
) -> dict[str, Any]:
    """Operations, and what became of services, nodes, leaders and the cluster itself."""
    user = actor_of(request).user
    row = cluster_seen_by(user, cluster)
    until = filters.until or timezone.now()
    since = filters.since or until - timedelta(hours=1)
    if not timedelta() < until - since <= LONGEST:
        raise Invalid("“since” must be before “until”, and at most 31 days.")
    one = service_seen_by(user, row, filters.service) if filters.service else None
    kinds = frozenset([filters.kind]) if filters.kind else frozenset(KINDS)
    patience = settings.PROMETHEUS_TIMEOUT
    question = Question(user, row, since, until, kinds, filters.stack, one, patience)
    lacking = [told.lacks for told in beside(question) if told.lacks]
    found = entries(question)
    return {
        "since": since,
        "until": until,
        "cut": len(found) == MOST,
        "lacking": lacking,
        "items": [_shown(entry) for entry in found],
    }


def _shown(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in TimelineEntry.model_fields}
