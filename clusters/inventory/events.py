"""Write what happened into the bounded table of events; see `clusters.events`."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from clusters import readings
from clusters.events import Event
from clusters.models import Cluster
from clusters.ports import Raw
from live.changes import Touched

Leader = tuple[str, str]  # node id, host name
KEPT_FOR = timedelta(days=30)
MOST = 20_000  # per cluster
# A service that crashes, restarts and crashes would wash everything else out. So the same
# transition is told a few times, and from then on counted, as long as it goes on.
APART = 3
AGAIN = timedelta(minutes=5)


def keep(cluster: Cluster, happened: Iterable[Event]) -> list[Touched]:
    """Store these; call it in the transaction of what they tell of. Returns what to announce."""
    events = list(happened)
    if not events:
        return []
    known = _recent(cluster, {event.key for event in events})
    fresh, again = [], []
    for event in events:
        same = known.setdefault(_identity(event), [])
        if len(same) < APART:
            same.insert(0, event)
            fresh.append(event)
        else:
            newest = same[0]
            newest.count += 1
            newest.last_at, newest.message = event.last_at, event.message
            again.append(newest)
    Event.objects.bulk_create(fresh)
    counted = [event for event in again if event.pk and event not in fresh]
    Event.objects.bulk_update(counted, ["count", "last_at", "message"])
    return [Touched(cluster.name, "event", e.key, stack=e.stack) for e in events]


def _recent(cluster: Cluster, keys: set[str]) -> dict[tuple[str, ...], list[Event]]:
    """What happened to these of late, by what it was, the newest first."""
    rows = cluster.events.filter(key__in=keys, last_at__gt=timezone.now() - AGAIN)
    found: dict[tuple[str, ...], list[Event]] = {}
    for event in rows.order_by("-last_at"):
        found.setdefault(_identity(event), []).append(event)
    return found


def _identity(event: Event) -> tuple[str, ...]:
    return event.kind, event.key, event.before, event.after


def prune() -> int:
    """Drop what is older than a month, and of each cluster all but the newest; returns how many."""
    dropped = Event.objects.filter(last_at__lt=Now() - KEPT_FOR).delete()[0]
    for cluster in Cluster.objects.all():
        oldest = cluster.events.order_by("-pk").values_list("pk", flat=True)[MOST:].first()
        if oldest is not None:
            dropped += cluster.events.filter(pk__lte=oldest).delete()[0]
    return dropped


# --- What happened -------------------------------------------------------------------------------


def happened(cluster: Cluster, kind: Event.Kind, key: str, name: str, **of: Any) -> Event:
    """An event of this moment, unless `at` tells another; not stored yet."""
    at = of.pop("at", None) or timezone.now()
    of["message"] = readings.storable(of.get("message", ""))[:500]
    return Event(
        cluster=cluster, kind=kind, key=key, name=name[:255], at=at, last_at=at, **of
    )  # fmt: skip


def of_nodes(
    cluster: Cluster, before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]
) -> list[Event]:
    """What differs between two lists of nodes: come and gone, up and down, drained."""
    found = []
    for key in now.keys() | before.keys():
        then, is_now = before.get(key), now.get(key)
        name = (is_now or then or {})["hostname"]
        if then is None:
            found.append(happened(cluster, Event.Kind.NODE, key, name, after="joined"))
        elif is_now is None:
            was = then["state"]
            found.append(happened(cluster, Event.Kind.NODE, key, name, before=was, after="left"))
        else:
            found += [
                happened(
                    cluster, Event.Kind.NODE, key, name, before=then[what], after=is_now[what],
                    message=is_now.get("message", "") if what == "state" else "",
                )
                for what in ("state", "availability")
                if then[what] != is_now[what]
            ]  # fmt: skip
    return found


def leader_of(nodes: dict[str, dict[str, Any]]) -> Leader | None:
    """Who leads, as a list of nodes tells; None while the managers have chosen nobody."""
    return next(((key, node["hostname"]) for key, node in nodes.items() if node["leader"]), None)


def last_leader(cluster: Cluster) -> Leader | None:
    """Who led after the newest change that was kept."""
    told = cluster.events.filter(kind=Event.Kind.LEADER).order_by("-pk")
    return told.values_list("key", "name").first()


def of_leaders(cluster: Cluster, was: Leader | None, leads: Leader | None) -> list[Event]:
    if leads is None or was is None or was == leads:
        return []
    of = {"before": was[1][:64], "after": leads[1][:64]}
    return [happened(cluster, Event.Kind.LEADER, leads[0], leads[1], **of)]


# --- What the engine tells -----------------------------------------------------------------------

SERVICE_ID, SERVICE_NAME = "com.docker.swarm.service.id", "com.docker.swarm.service.name"
_TOLD = (("replicas", "replicas"), ("image", "image"), ("updatestate", "rollout"))


def of_engine(cluster: Cluster, raw: Raw) -> Event | None:
    """What no row tells: how a service was changed, and which container ran out of memory.

    The engine's other events are hints alone; most of them are of health checks.
    """
    kind, action, actor = raw.get("Type"), raw.get("Action", ""), raw.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    at = readings.moment_of(raw.get("timeNano"))
    if kind == "service" and action == "update":
        message = "; ".join(_differences(attributes)) or "spec changed"
        key, name = actor.get("ID", ""), attributes.get("name", "")
    elif kind == "container" and action == "oom" and SERVICE_ID in attributes:
        message = f"{attributes.get('name', 'a task')} ran out of memory"
        key, name = attributes[SERVICE_ID], attributes.get(SERVICE_NAME, "")
    else:
        return None
    of = {"after": action, "message": message, "at": at}
    return happened(cluster, Event.Kind.ENGINE, key, readings.storable(name), **of)


def _differences(attributes: dict[str, str]) -> Iterable[str]:
    for name, word in _TOLD:
        new = attributes.get(f"{name}.new")
        if new is not None:
            old = attributes.get(f"{name}.old")
            yield f"{word} {_short(old)} → {_short(new)}" if old else f"{word} {_short(new)}"


def _short(value: str) -> str:
    return value.split("@", 1)[0]
