"""What our own rows tell: events that were kept, and operations."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from django.db.models import Q, QuerySet
from django.urls import reverse

from clusters.events import Event
from clusters.models import Cluster, Operation
from clusters.selectors.operations import operation_list
from clusters.selectors.scopes import in_sight
from clusters.timeline.entries import MOST, Entry, Question, add_source

OF_ALL = (Event.Kind.CLUSTER, Event.Kind.LEADER, Event.Kind.NODE)  # they concern every service
# A state that lasts until the next one of the same object is drawn as long as it lasted.
LASTING = {"failing", "pending", "paused", "down", "disconnected", "unreachable", "no-leader"}


def events(question: Question) -> list[Entry]:
    """The kept events, each bad state with its end."""
    rows = list(_events_seen_by(question)[:MOST])
    following: dict[tuple[str, str, str], datetime] = {}
    found = []
    for event in rows:  # the newest first
        state_of = (event.kind, event.key, _aspect(event))
        lasts = event.after in LASTING
        end = following.get(state_of)  # of the last time, if it happened several times
        entry = _entry(question.cluster, event)
        if lasts:
            entry = replace(entry, until=end, open=end is None)
        found.append(entry)
        following[state_of] = event.last_at
    return found


def _events_seen_by(question: Question) -> QuerySet[Event]:
    within = Q(last_at__gte=question.since, at__lte=question.until, kind__in=question.kinds)
    own = in_sight(question.user, "cluster__name", "stack")
    if question.service is not None:
        own &= Q(key=question.service.engine_id)
    elif question.stack is not None:
        own &= Q(stack=question.stack)
    here = Q(kind__in=OF_ALL) | own
    return question.cluster.events.filter(within & here).order_by("-last_at", "-pk")


def _aspect(event: Event) -> str:
    """A node is up or down, and apart from that drained or active."""
    return "availability" if event.after in ("active", "pause", "drain") else "state"


def _entry(cluster: Cluster, event: Event) -> Entry:
    look = "event" if event.after in _EVENTS or event.kind == Event.Kind.LEADER else event.kind
    return Entry(
        id=f"event-{event.pk}",
        kind=event.kind,
        at=event.at,
        name=event.name,
        look=look,
        state="leader" if event.kind == Event.Kind.LEADER else event.after,
        before=event.before,
        text=event.message or _told_of(event),
        link=_link(cluster, event),
        key=event.key,
        stack=event.stack,
        last_at=event.last_at if event.count > 1 else None,
        count=event.count,
    )


_EVENTS = ("created", "removed", "joined", "left", "update", "oom")


def _told_of(event: Event) -> str:
    return f"took over from {event.before}" if event.kind == Event.Kind.LEADER else ""


def _link(cluster: Cluster, event: Event) -> str:
    if event.kind in OF_ALL:
        return reverse("clusters:cluster", args=[cluster.name])
    if event.after == "removed" or not event.name:
        return ""
    return reverse("clusters:service", args=[cluster.name, event.name])


def operations(question: Question) -> Iterator[Entry]:
    """From the request to the end; one that has not ended lasts until now."""
    found = operation_list(question.user, cluster=question.cluster.name, service=question.service)
    if question.stack is not None and question.service is None:
        found = found.filter(stack=question.stack)
    lasting = Q(finished_at=None) | Q(finished_at__gte=question.since)
    found = found.filter(lasting, created_at__lte=question.until)
    for operation in found.defer("before", "after", "plan", "clash", "steps")[:MOST]:
        yield _operation(operation)


def _operation(operation: Operation) -> Entry:
    return Entry(
        id=f"operation-{operation.pk}",
        kind="operation",
        at=operation.created_at,
        until=operation.finished_at,
        open=operation.state in Operation.OPEN,
        name=f"{operation.get_kind_display()} {operation.target}",
        look="operation",
        state=operation.state,
        text=operation.error or operation.result,
        who=operation.requested_by.username,
        link=reverse("clusters:operation", args=[operation.pk]),
        key=operation.target_id,
        stack=operation.stack,
    )


add_source(events, *Event.Kind.values)
add_source(operations, "operation")
