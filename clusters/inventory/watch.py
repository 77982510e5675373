"""Watch one cluster: read what attention asks for, and hand it to the store."""

import time
from collections.abc import Callable, Iterable

from clusters import readings
from clusters.inventory import attention as pace
from clusters.inventory import lease
from clusters.inventory.attention import Attention
from clusters.inventory.store import Store
from clusters.models import Cluster
from clusters.ports import (
    Engine,
    EngineError,
    EngineUnreachable,
    EngineUnsupported,
    NoLeader,
    NotInSwarmMode,
    ObjectMissing,
    Raw,
)

SERVICE_ID = "com.docker.swarm.service.id"  # the Engine's own label on a task's container
HEALTH_CHECK = "exec_"  # each run of one, that is: what it has found is an event of its own
RETRY = 0.5  # seconds between two tries of an engine that does not answer as it should
FACTS = 30.0
SMALL = ("nodes", "networks", "secrets", "configs")  # lists that are read as a whole
STREAM_BROKE: Raw = {"Type": "pilothouse", "Action": "stream-broke"}  # events were surely lost


class Watch:
    """One cluster's watcher between taking and losing its lease. Used from one thread."""

    def __init__(
        self, engine: Engine, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._store, self._clock = engine, store, clock
        self._attention = Attention()

    def step(self, events: Iterable[Raw]) -> float:
        """Do what is due; returns the seconds until something is due again. Raises Fenced."""
        try:
            self._heed(events)
            if self._attention.is_due("facts", self._clock()):
                self._look_at_engine()
            self._look_around()
            self._store.keep_told()
        except ObjectMissing:
            self._attention.at_once("compare")  # a service went between two reads
        except EngineError as error:
            return self._in_trouble(error)
        self._beat()
        return self._attention.rest(self._clock())

    # --- Trouble ---------------------------------------------------------------------------------

    def _in_trouble(self, error: EngineError) -> float:
        """Keep the rows, say since when they are old, and look at everything on recovery."""
        self._attention.at_once("facts", "compare", "sweep", *SMALL)
        seen = isinstance(error, NotInSwarmMode)  # an engine that says so is no old picture
        lease.hold(self._store.cluster.pk, self._store.token, seen=seen)
        self._store.write_state(_state_for(error), str(error))
        self._report_managers()
        return RETRY

    def _look_at_engine(self) -> None:
        facts = self._engine.facts()
        if facts.swarm_state != "active":
            self._store.write_state(
                Cluster.State.NOT_A_SWARM, "The engine is not in Swarm mode.", facts
            )
            raise NotInSwarmMode("The engine is not in Swarm mode.")
        if not facts.is_manager:
            raise NotInSwarmMode(f"{facts.name} is a worker: register a manager's address.")
        self._attention.again("facts", self._clock(), FACTS)
        self._engine.nodes()  # an engine without a leader tells its facts, but no more
        self._store.write_state(Cluster.State.READY, "", facts)

    def _report_managers(self) -> None:
        self._store.write_managers(
            [{"address": r.address, "error": r.error} for r in self._engine.reports()]
        )

    def _beat(self) -> None:
        if self._attention.is_due("beat", self._clock()):
            lease.hold(self._store.cluster.pk, self._store.token, seen=True)
            self._report_managers()
            self._store.write_recovered()
            self._attention.again("beat", self._clock(), pace.HEARTBEAT)

    # --- Hints -----------------------------------------------------------------------------------

    def _heed(self, events: Iterable[Raw]) -> None:
        now = self._clock()
        for event in events:
            actor = event.get("Actor") or {}
            kind = event.get("Type")
            self._store.note(event)
            if kind == "service":
                self._attention.heat([actor.get("ID", "")], now)
            elif str(event.get("Action")).startswith(HEALTH_CHECK):
                continue
            elif kind == "container" and SERVICE_ID in (actor.get("Attributes") or {}):
                self._attention.heat([actor["Attributes"][SERVICE_ID]], now, awaits=True)
            elif f"{kind}s" in SMALL:
                self._attention.at_once(f"{kind}s")
            elif event is STREAM_BROKE:
                self._attention.at_once("sweep", *SMALL)

    # --- Looking ---------------------------------------------------------------------------------

    def _look_around(self) -> None:
        self._look_at_hot()  # first: somebody may be looking on
        self._if_due("nodes", self._look_at_nodes)
        self._if_due("networks", self._look_at_networks)
        self._if_due("secrets", self._look_at_secrets)
        self._if_due("configs", self._look_at_configs)
        self._if_due("probe", self._probe)
        self._look_at_hot()  # what these have found
        self._if_due("compare", self._compare)
        self._if_due("sweep", self._sweep)

    def _if_due(self, what: str, look: Callable[[], None]) -> None:
        if self._attention.is_due(what, self._clock()):
            look()

    def _look_at_nodes(self) -> None:
        moved = self._store.write_nodes(self._engine.nodes())
        if moved:
            self._attention.heat(self._store.services_on(moved), self._clock())
        self._attention.again("nodes", self._clock(), pace.NODES)

    def _look_at_networks(self) -> None:
        self._store.write_networks(self._engine.networks())
        self._attention.again("networks", self._clock(), pace.NETWORKS)

    def _look_at_secrets(self) -> None:
        self._store.write_secrets(self._engine.secrets())
        self._attention.again("secrets", self._clock(), pace.SECRETS)

    def _look_at_configs(self) -> None:
        self._store.write_configs(self._engine.configs())
        self._attention.again("configs", self._clock(), pace.CONFIGS)

    def _probe(self) -> None:
        """Tasks that wait for their start, in services that nobody looks at yet."""
        now = self._clock()
        for task in self._engine.tasks(desired=["ready"]):
            service_id = task.get("ServiceID", "")
            if self._store.task_version(service_id, task["ID"]) != task["Version"]["Index"]:
                self._attention.heat([service_id], now)
        self._attention.again("probe", now, pace.PROBE)

    def _look_at_hot(self) -> None:
        due = self._attention.hot_due(self._clock())
        if len(due) > pace.MANY:
            self._sweep()
        elif due:
            self._read(due)

    def _read(self, service_ids: list[str]) -> None:
        services = self._engine.services(service_ids)
        found = [raw["ID"] for raw in services]
        # To ask for the tasks of a service that is gone is an error, not an empty answer.
        tasks = _by_service(self._engine.tasks(services=found)) if found else {}
        removed = set(service_ids) - set(found)
        moved = self._store.write_services(services, tasks, removed)
        self._attention.forget(removed)
        self._cool(services, tasks, moved)

    def _compare(self) -> None:
        """Every service's version and count as last seen: the truth behind the hints."""
        start = self._clock()
        services = self._engine.services()
        present = {raw["ID"]: raw for raw in services}
        differing = (key for key, raw in present.items() if not self._store.is_as_listed(raw))
        now = self._clock()
        self._attention.heat((key for key in differing if not self._attention.is_hot(key)), now)
        removed = self._store.service_ids() - present.keys()
        if removed:
            self._store.write_services([], {}, removed)
            self._attention.forget(removed)
        self._attention.spaced("compare", now, now - start, pace.COMPARE)

    def _sweep(self) -> None:
        """Everything at once: after a start, after lost events, and now and then on principle."""
        start = self._clock()
        services = self._engine.services()
        tasks = _by_service(self._engine.tasks())
        removed = self._store.service_ids() - {raw["ID"] for raw in services}
        moved = self._store.write_services(services, tasks, removed)
        self._store.is_new = False
        self._attention.forget(removed)
        now = self._clock()
        self._attention.heat((key for key in moved if not self._attention.is_hot(key)), now)
        self._cool(services, tasks, moved)
        self._attention.spaced("sweep", now, now - start, pace.SWEEP)

    def _cool(self, services: list[Raw], tasks: dict[str, list[Raw]], moved: set[str]) -> None:
        now = self._clock()
        for raw in services:
            service_id = raw["ID"]
            if not self._attention.is_hot(service_id):
                continue
            its = tasks.get(service_id, [])
            settled = all(readings.settled(task) for task in its) and not _rolling(raw)
            as_asked = settled and readings.as_asked(raw, its)
            self._attention.looked(
                service_id, now, moved=service_id in moved, settled=settled, as_asked=as_asked
            )


def _rolling(service: Raw) -> bool:
    return (service.get("UpdateStatus") or {}).get("State") in ("updating", "rollback_started")


def _by_service(tasks: Iterable[Raw]) -> dict[str, list[Raw]]:
    found: dict[str, list[Raw]] = {}
    for task in tasks:
        found.setdefault(task.get("ServiceID", ""), []).append(task)
    return found


def _state_for(error: EngineError) -> Cluster.State:
    kinds: list[tuple[type[EngineError], Cluster.State]] = [
        (NotInSwarmMode, Cluster.State.NOT_A_SWARM),
        (NoLeader, Cluster.State.NO_LEADER),
        (EngineUnsupported, Cluster.State.UNSUPPORTED),
        (EngineUnreachable, Cluster.State.UNREACHABLE),
    ]
    return next(
        (state for kind, state in kinds if isinstance(error, kind)), Cluster.State.UNREACHABLE
    )
