"""The rows of one transaction: what differs of services and their tasks, gathered and saved."""

from collections import deque
from typing import Any

from django.db import models

from clusters import readings
from clusters.events import Event
from clusters.inventory import events, revisions
from clusters.inventory.trouble import Past
from clusters.models import Cluster, Service, SwarmTask
from clusters.ports import Noun, Raw
from live.changes import Touched

Known = tuple[Any, ...]
Tasks = dict[str, tuple[int, str]]  # task id → its version and slot
References = frozenset[tuple[Noun, str]]  # the secrets and configs that a service mounts
BATCH = 500  # rows an INSERT


class Batch:
    """The rows of one transaction."""

    def __init__(self, cluster: Cluster) -> None:
        self._of = cluster
        self._cluster = cluster.name
        self.touched: list[Touched] = []
        self.service_ids: set[str] = set()
        self.known_services: dict[str, Known] = {}
        self.known_tasks: dict[str, Tasks] = {}
        self.listed: dict[str, tuple[int, int]] = {}
        self.references: dict[str, References] = {}
        self.removed_services: list[str] = []
        self.past: dict[str, Past] = {}
        self.events: list[Event] = []
        self._services: list[tuple[Raw, readings.Tally, Past, bool]] = []
        self._tasks: list[Raw] = []
        self._removed_tasks: list[str] = []

    def touch(self, noun: str, key: str, parent: str = "", stack: str = "") -> None:
        self.touched.append(Touched(self._cluster, noun, key, parent, stack))
        self.service_ids.add(parent or key)

    def happened(self, service_id: str, past: Past, before: str, after: str, **of: Any) -> None:
        of |= {"stack": past.stack, "before": before, "after": after}
        event = events.happened(self._of, Event.Kind.SERVICE, service_id, past.name, **of)
        self.events.append(event)

    def add_service(
        self, raw: Raw, tally: readings.Tally, past: Past, *, new_version: bool
    ) -> None:
        self._services.append((readings.storable(raw), tally, past, new_version))
        self.touch("service", raw["ID"], stack=past.stack)
        if new_version:  # which of its tasks are of an old template
            self.touch("slots", raw["ID"], stack=past.stack)

    def add_task(self, raw: Raw, service_id: str, stack: str) -> None:
        self._tasks.append(readings.storable(raw))
        self.touch("slot", slot_of(raw), service_id, stack)

    def remove_task(self, task_id: str, slot: str, service_id: str, stack: str) -> None:
        self._removed_tasks.append(task_id)
        self.touch("slot", slot, service_id, stack)

    def save(self, cluster: Cluster) -> None:
        rows = [
            Service(
                cluster=cluster,
                engine_id=raw["ID"],
                **readings.service_fields(raw),
                **_tallied(tally),
                unwell_since=past.unwell_since,
                well_since=past.well_since,
            )
            for raw, tally, past, _ in self._services
        ]
        upsert(Service, rows)
        revisions.keep(
            cluster,
            [
                revisions.Seen(raw["ID"], raw["Version"]["Index"], raw["Spec"])
                for raw, _, _, new_version in self._services
                if new_version
            ],
        )
        hashes = _Hashes()
        tasks = [
            SwarmTask(cluster=cluster, engine_id=t["ID"], **readings.task_fields(t, hashes.of))
            for t in self._tasks
        ]
        upsert(SwarmTask, tasks)
        gone = SwarmTask.objects.filter(cluster=cluster)
        gone.filter(engine_id__in=self._removed_tasks).delete()
        if self.removed_services:
            gone.filter(service_engine_id__in=self.removed_services).delete()
            cluster.services.filter(engine_id__in=self.removed_services).delete()


class _Hashes:
    """The hashes of the last few templates: a service's tasks have one or two, and many tasks."""

    def __init__(self) -> None:
        self._known: deque[tuple[Raw, str]] = deque(maxlen=4)

    def of(self, template: Raw) -> str:
        for known, its_hash in self._known:
            if known == template:
                return its_hash
        self._known.appendleft((template, readings.template_hash(template)))
        return self._known[0][1]


def slot_of(task: Raw) -> str:
    """A task's place: the number of its slot, or the node's id for a global service."""
    return str(task.get("Slot") or task.get("NodeID", ""))


def _tallied(tally: readings.Tally) -> dict[str, Any]:
    return {
        "running": tally.running,
        "desired": tally.desired,
        "health": tally.health,
        "last_error": readings.storable(tally.last_error),
        "last_error_at": tally.last_error_at,
    }


def upsert(model: type[models.Model], rows: list[Any]) -> None:
    if not rows:
        return
    fields = [f.name for f in model._meta.fields if f.name not in ("id", "cluster", "engine_id")]
    model._default_manager.bulk_create(
        rows,
        BATCH,
        update_conflicts=True,
        unique_fields=["cluster", "engine_id"],
        update_fields=fields,
    )
