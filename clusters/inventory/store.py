"""Write what differs between the engine's answers and the rows, and number it. Nothing else.

What was written last is remembered by version, so an answer that brings nothing new costs no query.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters import readings, specs
from clusters.events import Event
from clusters.inventory import events, lease
from clusters.inventory.batch import Batch, Known, References, Tasks, slot_of, upsert
from clusters.inventory.trouble import Past, become, over_it, remembered
from clusters.models import Cluster, Config, Network, Node, Secret, SwarmTask
from clusters.ports import EngineFacts, Noun, Raw
from clusters.readings import Health
from live import changes
from live.changes import Touched

Small = type[Node] | type[Network] | type[Secret] | type[Config]
NOUNS: tuple[Noun, Noun] = ("secret", "config")
NODE_PAST = ("hostname", "state", "availability", "leader", "message")
TELLING = frozenset({Health.FAILING, Health.PENDING})  # their reason is the newest error


class Store:
    """The rows of one cluster, as their watcher writes them."""

    def __init__(self, cluster: Cluster, token: int) -> None:
        self.cluster, self.token = cluster, token
        self.ready_nodes: set[str] = set()
        self._tasks: dict[str, Tasks] = {}  # by service id
        self._services: dict[str, Known] = {}
        self._listed: dict[str, tuple[int, int]] = {}  # (version, running) as the cheap list told
        self._nodes: dict[str, Known] = {}
        self._networks: dict[str, Known] = {}
        self._secrets: dict[str, Known] = {}
        self._configs: dict[str, Known] = {}
        self._references: dict[str, References] = {}  # by service id
        self._past: dict[str, Past] = {}  # by service id
        self._nodes_past: dict[str, dict[str, Any]] = {}  # by node id: what events tell of
        self._told: list[Raw] = []  # events of the engine that wait to be kept
        self._load()
        self.is_new = cluster.seen_at is None  # what is there already is no event

    def _load(self) -> None:
        """What a predecessor wrote; whatever differs from now on is a change."""
        tasks = SwarmTask.objects.filter(cluster=self.cluster)
        for service, task, version, slot, node_id in tasks.values_list(
            "service_engine_id", "engine_id", "version", "slot", "node_engine_id"
        ):
            self._tasks.setdefault(service, {})[task] = version, str(slot or node_id)
        columns = ("name", "stack", "health", "unwell_since", "well_since")
        for key, spec, *past in self.cluster.services.values_list("engine_id", "spec", *columns):
            self._services[key] = ()
            self._references[key] = _references(spec)
            self._past[key] = remembered(*past)
        for node in self.cluster.nodes.all():
            self._nodes[node.engine_id] = ()
            self._nodes_past[node.engine_id] = {name: getattr(node, name) for name in NODE_PAST}
            if node.state == "ready":
                self.ready_nodes.add(node.engine_id)
        self._led_by = events.leader_of(self._nodes_past) or events.last_leader(self.cluster)
        for key in self.cluster.networks.values_list("engine_id", flat=True):
            self._networks[key] = ()
        for key in self.cluster.secrets.values_list("engine_id", flat=True):
            self._secrets[key] = ()
        for key in self.cluster.configs.values_list("engine_id", flat=True):
            self._configs[key] = ()

    # --- Services and their tasks ----------------------------------------------------------------

    def service_ids(self) -> set[str]:
        return set(self._services)

    def is_as_listed(self, raw: Raw) -> bool:
        """Whether the list of services says of this one what it said when its tasks were read."""
        return self._listed.get(raw["ID"]) == _listed(raw)

    def task_version(self, service_id: str, task_id: str) -> int | None:
        return self._tasks.get(service_id, {}).get(task_id, (None, ""))[0]

    def services_on(self, node_ids: Iterable[str]) -> set[str]:
        tasks = SwarmTask.objects.filter(cluster=self.cluster, node_engine_id__in=list(node_ids))
        return set(tasks.values_list("service_engine_id", flat=True)) & self._services.keys()

    def write_services(
        self, services: Iterable[Raw], tasks: Mapping[str, list[Raw]], removed: Iterable[str] = ()
    ) -> set[str]:
        """Store these services with all of their tasks; returns the ids of those that differed."""
        batch = Batch(self.cluster)
        for raw in services:
            self._compare_service(raw, tasks.get(raw["ID"], []), batch)
        for service_id in removed:
            self._compare_removed(service_id, batch)
        if batch.touched:
            self._commit(batch)
        self._listed.update(batch.listed)
        return batch.service_ids

    def _compare_service(self, raw: Raw, tasks: list[Raw], batch: Batch) -> None:
        service_id, version = raw["ID"], raw["Version"]["Index"]
        stack = readings.stack_of(raw["Spec"].get("Labels"))
        tally = readings.tally(raw, tasks, self.ready_nodes)
        known = (
            version,
            tally.running,
            tally.desired,
            tally.health,
            tally.last_error,
            tally.last_error_at,
        )
        if self._services.get(service_id) != known:
            before = self._services.get(service_id)
            past = self._compare_past(raw, stack, tally, batch)
            batch.add_service(raw, tally, past, new_version=not before or before[0] != version)
            batch.known_services[service_id] = known
            self._compare_references(service_id, _references(raw["Spec"]), batch)
        self._compare_tasks(service_id, stack, tasks, batch)
        batch.listed[service_id] = _listed(raw)

    def _compare_past(self, raw: Raw, stack: str, tally: readings.Tally, batch: Batch) -> Past:
        """What the service has become; that it has become so is an event."""
        service_id, before = raw["ID"], self._past.get(raw["ID"])
        name = readings.storable(raw["Spec"]["Name"])
        past = become(before, name, stack, tally.health, timezone.now())
        if before and before.stack != stack:
            batch.touch("service", service_id, stack=before.stack)
        if before is None and self.is_new:
            pass
        elif before is None:
            made = readings.moment(raw["CreatedAt"])
            batch.happened(service_id, past, "", "created", at=made)
            if past.health in TELLING:
                batch.happened(service_id, past, "", past.health, message=tally.last_error)
        elif before.health != past.health:
            message = tally.last_error if past.health in TELLING else _update_message(raw, past)
            batch.happened(service_id, past, before.health, past.health, message=message)
        batch.past[service_id] = past
        return past

    def _compare_tasks(self, service_id: str, stack: str, tasks: list[Raw], batch: Batch) -> None:
        known = self._tasks.get(service_id, {})
        present = {task["ID"]: (task["Version"]["Index"], slot_of(task)) for task in tasks}
        for task in tasks:
            if known.get(task["ID"]) != present[task["ID"]]:
                batch.add_task(task, service_id, stack)
        for gone in known.keys() - present.keys():
            batch.remove_task(gone, known[gone][1], service_id, stack)
        if known != present:
            batch.known_tasks[service_id] = present

    def _compare_references(self, service_id: str, present: References, batch: Batch) -> None:
        """A secret or config that a service begins or ceases to use shows other consumers now."""
        for noun, key in self._references.get(service_id, frozenset()) ^ present:
            batch.touched.append(Touched(self.cluster.name, noun, key))
        batch.references[service_id] = present

    def _compare_removed(self, service_id: str, batch: Batch) -> None:
        if service_id in self._services:
            batch.removed_services.append(service_id)
            self._compare_references(service_id, frozenset(), batch)
            past = self._past.get(service_id) or Past("", "", "")
            batch.touch("service", service_id, stack=past.stack)
            batch.happened(service_id, past, past.health, "removed")

    def _commit(self, batch: Batch) -> None:
        with transaction.atomic():
            lease.hold(self.cluster.pk, self.token, seen=True)
            batch.save(self.cluster)
            told = events.keep(self.cluster, batch.events)
            changes.record([*batch.touched, *told])
        self._past.update(batch.past)
        self._services.update(batch.known_services)
        self._tasks.update(batch.known_tasks)
        self._references.update(batch.references)
        for service_id in batch.removed_services:
            self._services.pop(service_id, None)
            self._tasks.pop(service_id, None)
            self._listed.pop(service_id, None)
            self._references.pop(service_id, None)
            self._past.pop(service_id, None)

    def write_recovered(self) -> None:
        """Tell of those that have now run for long enough since they last failed."""
        over = dict(over_it(self._past, timezone.now()))
        if not over:
            return
        with transaction.atomic():
            lease.hold(self.cluster.pk, self.token, seen=False)
            rows = self.cluster.services.filter(engine_id__in=over)
            rows.update(unwell_since=None, well_since=None)
            changes.record(
                Touched(self.cluster.name, "service", key, stack=past.stack)
                for key, past in over.items()
            )
        self._past.update(over)

    # --- What the engine tells -------------------------------------------------------------------

    def note(self, raw: Raw) -> None:
        """Keep this event of the engine once the service that it is of has been read."""
        self._told.append(raw)

    def keep_told(self) -> None:
        if not self._told:
            return
        told, self._told = self._told, []
        found = [event for raw in told if (event := events.of_engine(self.cluster, raw))]
        for event in found:
            past = self._past.get(event.key)
            event.stack = past.stack if past else ""
        # Of a service that is not there (any more) nobody knows who may see it.
        found = [event for event in found if event.key in self._past]
        if found:
            with transaction.atomic():
                lease.hold(self.cluster.pk, self.token, seen=False)
                changes.record(events.keep(self.cluster, found))

    # --- Nodes, networks, secrets and configs -----------------------------------------------------

    def write_nodes(self, nodes: Iterable[Raw]) -> set[str]:
        """Store all nodes; returns the ids of those whose readiness changed or that are gone."""
        fields = {raw["ID"]: readings.node_fields(raw) for raw in nodes}
        ready = {key for key, values in fields.items() if values["state"] == "ready"}
        moved = (ready ^ self.ready_nodes) | (self._nodes.keys() - fields.keys())
        past = {key: {n: values[n] for n in NODE_PAST} for key, values in fields.items()}
        seen_before = self._nodes_past if not self.is_new else past
        leads = events.leader_of(past) or self._led_by  # one that is lost leaves a gap
        happened = events.of_nodes(self.cluster, seen_before, past)
        happened += events.of_leaders(self.cluster, self._led_by, leads)
        self._nodes = self._write_small(Node, "node", fields, self._nodes, happened)
        self.ready_nodes, self._nodes_past, self._led_by = ready, past, leads
        return moved

    def write_networks(self, networks: Iterable[Raw]) -> None:
        fields = {raw["Id"]: readings.network_fields(raw) for raw in networks}
        self._networks = self._write_small(Network, "network", fields, self._networks)

    def write_secrets(self, secrets: Iterable[Raw]) -> None:
        fields = {raw["ID"]: readings.secret_fields(raw) for raw in secrets}
        self._secrets = self._write_small(Secret, "secret", fields, self._secrets)

    def write_configs(self, configs: Iterable[Raw]) -> None:
        fields = {raw["ID"]: readings.config_fields(raw) for raw in configs}
        self._configs = self._write_small(Config, "config", fields, self._configs)

    def _write_small(
        self,
        model: Small,
        noun: str,
        fields: dict[str, dict[str, Any]],
        known: dict[str, Known],
        happened: Iterable[Event] = (),
    ) -> dict[str, Known]:
        """Store a whole list of few objects; returns what is known from now on."""
        present = {key: _frozen(values) for key, values in fields.items()}
        differing = [key for key in present if known.get(key) != present[key]]
        gone = known.keys() - present.keys()
        if differing or gone:
            with transaction.atomic():
                lease.hold(self.cluster.pk, self.token, seen=True)
                rows = [
                    model(cluster=self.cluster, engine_id=key, **readings.storable(fields[key]))
                    for key in differing
                ]
                upsert(model, rows)
                model._default_manager.filter(cluster=self.cluster, engine_id__in=gone).delete()
                told = events.keep(self.cluster, happened)
                touched = (Touched(self.cluster.name, noun, key) for key in [*differing, *gone])
                changes.record([*touched, *told])
        return present

    # --- The cluster itself ----------------------------------------------------------------------

    def write_state(
        self, state: Cluster.State, message: str = "", facts: EngineFacts | None = None
    ) -> None:
        """Store how the cluster answers; announced only when it differs."""
        fields: dict[str, Any] = {"state": state, "state_message": message}
        if facts:
            fields |= {
                "swarm_id": facts.swarm_id,
                "engine_version": facts.version[:32],
                "api_version": facts.api_version[:8],
                "simulated": facts.simulated,
            }
        self._write_cluster(fields)

    def write_managers(self, managers: list[dict[str, str]]) -> None:
        self._write_cluster({"managers": managers})

    def _write_cluster(self, fields: dict[str, Any]) -> None:
        differing = {k: v for k, v in fields.items() if getattr(self.cluster, k) != v}
        if not differing:
            return
        with transaction.atomic():
            lease.hold(self.cluster.pk, self.token, seen=False)
            Cluster.objects.filter(pk=self.cluster.pk).update(**differing)
            told = events.keep(self.cluster, self._state_event(differing))
            changes.record([Touched(self.cluster.name, "cluster", self.cluster.name), *told])
        for key, value in differing.items():
            setattr(self.cluster, key, value)

    def _state_event(self, differing: dict[str, Any]) -> list[Event]:
        before, after = self.cluster.state, differing.get("state")
        if after is None or before == Cluster.State.UNKNOWN:
            return []
        name = self.cluster.name
        of = {"before": before, "after": after, "message": differing.get("state_message", "")}
        return [events.happened(self.cluster, Event.Kind.CLUSTER, name, name, **of)]


def _listed(raw: Raw) -> tuple[int, int]:
    return raw["Version"]["Index"], (raw.get("ServiceStatus") or {}).get("RunningTasks", 0)


def _update_message(raw: Raw, past: Past) -> str:
    """What Swarm says of a rollout, while it is one."""
    told = (raw.get("UpdateStatus") or {}).get("Message", "")
    return str(told) if past.health in (Health.UPDATING, Health.PAUSED) else ""


def _references(spec: Raw) -> References:
    return frozenset(
        (noun, reference.id) for noun in NOUNS for reference in specs.references(spec, noun)
    )


def _frozen(values: dict[str, Any]) -> Known:
    """What a row is known by. The data of a config never changes, and may be large."""
    return tuple(repr(value) for value in values.values() if not isinstance(value, bytes))
