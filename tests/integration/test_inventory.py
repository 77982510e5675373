"""The watcher against the truth: whatever happens in the Swarm, the rows end up as it is."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import models
from django.db.models.functions import Now

from clusters import readings
from clusters.changes import Scale
from clusters.inventory import lease
from clusters.inventory.watch import Watch
from clusters.models import Cluster, Network, Node, Service, SwarmTask
from clusters.ports import Raw
from live import changes
from tests.contract.swarm_api import service_spec, unique
from tests.engines import Engine, SimulatedEngine, Timeout, wait_until
from tests.integration.panel import BRISK, Panel
from tests.integration.processes import Processes

State = Cluster.State


def _rows(model: type[models.Model], fields: Raw) -> Raw:
    """Every row, as far as the fields go that are read from the engine."""
    names = next(iter(fields.values()), {}).keys()
    return {
        row.engine_id: {name: getattr(row, name) for name in names}  # type: ignore[attr-defined]
        for row in model._default_manager.all()
    }


def differences(panel: Panel) -> list[str]:
    """Where the rows are not what a fresh and full read of the engine gives."""
    engine = panel.engine
    nodes, services, tasks = engine.nodes(), engine.services(), engine.tasks()
    ready = readings.ready_nodes(nodes)
    truth: dict[type[models.Model], dict[str, dict[str, Any]]] = {
        Node: {raw["ID"]: readings.node_fields(raw) for raw in nodes},
        Network: {raw["Id"]: readings.network_fields(raw) for raw in engine.networks()},
        SwarmTask: {raw["ID"]: readings.task_fields(raw) for raw in tasks},
        Service: {},
    }
    for raw in services:
        own = [task for task in tasks if task["ServiceID"] == raw["ID"]]
        tally = readings.tally(raw, own, ready)
        counted = {name: getattr(tally, name) for name in ("running", "desired", "health")}
        truth[Service][raw["ID"]] = {**readings.service_fields(raw), **counted}
    return [
        f"{model.__name__} {key}: {rows.get(key)} is {fields.get(key)}"
        for model, fields in truth.items()
        for rows in [_rows(model, fields)]
        for key in rows.keys() | fields.keys()
        if rows.get(key) != fields.get(key)
    ]


def _watch_until(
    watch: Watch, condition: Callable[[], bool], what: str, seconds: float = 60
) -> None:
    """Let the watcher step, without any event, until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Timeout(what)
        time.sleep(min(watch.step([]), 0.5))


def _is_true(panel: Panel) -> bool:
    return not differences(panel)


# --- Against the truth ---------------------------------------------------------------------------


def test_after_anything_the_rows_are_as_the_engine_is_without_any_event(panel: Panel) -> None:
    """Events are a hint: all of them may be lost."""
    watch, swarm = panel.watch(), panel.swarm
    network = {"Name": unique("net"), "Driver": "overlay", "Labels": {}}
    network_id = swarm.post("/networks/create", network).body["Id"]
    web = swarm.create(service_spec(replicas=2, UpdateConfig=BRISK))
    everywhere = swarm.create(service_spec(Mode={"Global": {}}, Labels={"a": "b"}))
    _settle(panel, watch)
    swarm.scale(web, 3)
    swarm.change_node(Labels={"zone": "a"})
    _settle(panel, watch)
    swarm.set_image(web, "lab/web:2")
    swarm.delete(f"/services/{everywhere}")
    swarm.wait_update(web, "completed")
    _settle(panel, watch)
    swarm.change_node(Availability="drain")
    wait_until(lambda: not swarm.running(web), "the node is drained")
    _settle(panel, watch)
    assert Service.objects.get(engine_id=web).running == 0
    swarm.change_node(Availability="active", Labels={})
    swarm.converge(web)
    swarm.delete(f"/services/{web}")
    swarm.delete(f"/networks/{network_id}")
    _settle(panel, watch)
    assert not Service.objects.exists()
    assert not SwarmTask.objects.exists()


def _settle(panel: Panel, watch: Watch) -> None:
    try:
        _watch_until(watch, lambda: _is_true(panel), "the rows are true")
    except Timeout as error:
        raise AssertionError("\n".join(differences(panel))) from error


def test_a_task_that_changes_without_any_event_is_noticed(panel: Panel) -> None:
    """A service whose tasks crash: no service event tells of it."""
    watch = panel.watch()
    service = panel.swarm.create(service_spec("lab/crash:1"))
    row = Service.objects.filter(engine_id=service)
    _watch_until(watch, lambda: row.filter(health="failing").exists(), "it is failing")
    assert row.get().last_error == "task: non-zero exit (3)"


def test_what_did_not_change_is_not_written(panel: Panel) -> None:
    panel.start(replicas=2)
    watch = panel.watch()
    watch.step([])
    before = changes.current()
    for _ in range(10):
        time.sleep(min(watch.step([]), 0.5))
    assert changes.since(before) == []


def test_every_change_of_a_row_is_numbered(panel: Panel) -> None:
    watch = panel.watch()
    _settle(panel, watch)
    before = changes.current()
    service = panel.swarm.create(service_spec())
    _settle(panel, watch)
    told = {(t.noun, t.parent or t.key) for t in changes.since(before) or []}
    assert {("service", service), ("slots", service), ("slot", service)} <= told


def test_what_postgresql_cannot_hold_does_not_blind_the_panel(panel: Panel) -> None:
    """The engine takes a NUL in a label; no other service may suffer from that."""
    strange = panel.swarm.create(service_spec(replicas=0, Labels={"a\0": "x\0y"}))
    good = panel.start()
    row = Service.objects.get(engine_id=strange)
    assert row.spec["Labels"] == {"a\ufffd": "x\ufffdy"}
    assert good.running == 1
    operation = panel.do(row, Scale(replicas=1))
    assert operation.state == "failed", "what cannot be kept is not written back either"
    assert panel.swarm.service(strange)["Spec"]["Labels"] == {"a\0": "x\0y"}


# --- The engine's bad days -----------------------------------------------------------------------


@pytest.fixture
def fragile(transactional_db: None, fragile_swarm_engine: Engine) -> Iterator[tuple[Panel, Engine]]:
    panel = Panel(fragile_swarm_engine.url, timeout=1.0)
    yield panel, fragile_swarm_engine
    panel.close()


def test_an_engine_that_hangs_or_dies_keeps_its_rows_and_comes_back(
    fragile: tuple[Panel, Engine],
) -> None:
    panel, engine = fragile
    service = panel.start(replicas=2)
    watch = panel.watch()
    cluster = Cluster.objects.filter(pk=panel.cluster.pk)
    _settle(panel, watch)

    engine.freeze()
    _watch_until(watch, lambda: cluster.get().state == State.UNREACHABLE, "it is told")
    frozen = cluster.get()
    assert "did not answer within 1 s" in frozen.state_message
    assert frozen.managers[0]["error"] == frozen.state_message
    assert Service.objects.get().running == 2, "what was known is kept, and told as old"
    watch.step([])
    assert cluster.get().seen_at == frozen.seen_at, "nor is it told as fresh"
    engine.thaw()
    _watch_until(watch, lambda: cluster.get().state == State.READY, "it is back")
    assert cluster.get().managers[0]["error"] == ""

    engine.kill()
    _watch_until(watch, lambda: cluster.get().state == State.UNREACHABLE, "it is told")
    engine.start()
    panel.swarm.converge(service.engine_id)
    _watch_until(watch, lambda: cluster.get().state == State.READY, "it is back")
    _settle(panel, watch)


# --- Two watchers --------------------------------------------------------------------------------


def test_of_two_watchers_one_writes_and_the_fenced_one_stops(panel: Panel) -> None:
    first = panel.watch("one")
    first.step([])
    assert lease.take(panel.cluster.pk, "two") is None
    Cluster.objects.update(watcher_until=Now() - timedelta(seconds=1))  # it was away for too long
    second = panel.watch("two")
    service = panel.swarm.create(service_spec(replicas=0))
    with pytest.raises(lease.Fenced):
        first.step([{"Type": "service", "Actor": {"ID": service}}])
    assert not Service.objects.exists()
    second.step([{"Type": "service", "Actor": {"ID": service}}])
    assert Service.objects.get().engine_id == service


def test_a_killed_watcher_is_replaced_and_misses_nothing(
    panel: Panel, processes: Processes
) -> None:
    processes.environment["PILOTHOUSE_WATCHER_LEASE"] = "3"
    cluster = Cluster.objects.filter(pk=panel.cluster.pk)
    watchers = [processes.watcher(), processes.watcher()]
    wait_until(lambda: cluster.get().state == State.READY, "a watcher watches", 60)
    holder = cluster.get().watcher
    doomed = next(w for w in watchers if holder.endswith(f":{w.pid}"))
    doomed.kill()
    service = panel.swarm.create(service_spec(replicas=2))
    panel.swarm.converge(service)
    wait_until(lambda: _is_true(panel), f"the other takes over\n{processes.logs()}", 60)
    assert cluster.get().watcher != holder


def test_a_watcher_that_is_ended_leaves_at_once(panel: Panel, processes: Processes) -> None:
    cluster = Cluster.objects.filter(pk=panel.cluster.pk)
    watcher = processes.watcher()
    wait_until(lambda: cluster.get().state == State.READY, "it watches", 60)
    assert watcher.end() in (0, -signal.SIGTERM)
    assert lease.take(panel.cluster.pk, "successor") is not None


# --- The price -----------------------------------------------------------------------------------


class Counted:
    """An engine that counts the requests."""

    def __init__(self, panel: Panel) -> None:
        self._engine, self.requests = panel.engine, 0

    def __getattr__(self, name: str) -> Any:
        self.requests += 1
        return getattr(self._engine, name)


@contextmanager
def _beside(services: int) -> Iterator[Panel]:
    with SimulatedEngine("--services", str(services), "--tasks", str(services * 3)) as engine:
        panel = Panel(engine.url, timeout=30)
        yield panel
        panel.close()
        panel.cluster.delete()


def _requests_for_a_change(services: int) -> int:
    """How many requests the step takes that stores one changed service."""
    with _beside(services) as panel:
        watch = panel.watch()
        watch.step([])
        for what in ("facts", "nodes", "networks", "compare", "sweep", "probe", "beat"):
            watch._attention.again(what, time.monotonic(), 3600)
        service = Service.objects.earliest("pk")
        panel.swarm.change(service.engine_id, lambda spec: spec["Labels"].update(moved="yes"))
        counted = Counted(panel)
        watch._engine = counted  # type: ignore[assignment]
        watch.step([{"Type": "service", "Actor": {"ID": service.engine_id}}])
        service.refresh_from_db()
        assert service.spec["Labels"]["moved"] == "yes"
        return counted.requests


@pytest.mark.django_db(transaction=True)
def test_the_price_of_a_change_does_not_depend_on_the_size_of_the_cluster() -> None:
    assert _requests_for_a_change(10) == _requests_for_a_change(1000) == 2
