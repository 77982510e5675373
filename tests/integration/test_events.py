"""What happens in a real Swarm is kept, as it happens, in the transaction of the rows."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from clusters.events import Event
from clusters.inventory import events, trouble
from clusters.inventory.watch import Watch
from clusters.models import Cluster, Service
from live import changes
from tests.contract.swarm_api import service_spec
from tests.engines import Engine, SimulatedEngine, Timeout
from tests.integration.panel import Panel

Kind = Event.Kind


def until(watch: Watch, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Let the watcher step, without any event, until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: {told()}")
        time.sleep(min(watch.step([]), 0.5))


def told(**of: Any) -> list[tuple[str, str, str, str]]:
    """What happened, the first first."""
    rows = Event.objects.filter(**of).order_by("pk")
    return list(rows.values_list("kind", "name", "before", "after"))


def happened(after: str, **of: Any) -> bool:
    return Event.objects.filter(after=after, **of).exists()


def test_what_is_there_at_the_first_look_is_no_event(panel: Panel) -> None:
    panel.start(replicas=2)
    assert told() == []
    panel.look()
    assert told() == [], "nor is it one for the next watcher"


def test_a_service_from_its_creation_to_its_removal(panel: Panel) -> None:
    watch = panel.watch()
    watch.step([])
    before = changes.current()
    service = panel.swarm.create(service_spec("lab/crash:1"))
    until(watch, lambda: happened("failing"), "it fails")
    name = Service.objects.get(engine_id=service).name
    assert told()[0] == (Kind.SERVICE, name, "", "created")
    failing = Event.objects.filter(after="failing").earliest("pk")
    assert failing.message == "task: non-zero exit (3)"
    row = Service.objects.get(engine_id=service)
    assert row.unwell_since is not None
    touched = changes.since(before) or []
    assert any(t.noun == "event" and t.key == service for t in touched)
    panel.swarm.delete(f"/services/{service}")
    until(watch, lambda: happened("removed"), "it is gone")
    assert told()[-1][1] == name


def test_a_crash_loop_is_one_trouble_and_a_bounded_number_of_events(panel: Panel) -> None:
    watch = panel.watch()
    watch.step([])
    spec = service_spec("lab/crash:1")
    spec["TaskTemplate"]["RestartPolicy"] = {"Condition": "any", "Delay": 0}
    service = panel.swarm.create(spec)
    row = Service.objects.filter(engine_id=service)
    until(watch, lambda: happened("failing"), "it fails")
    since = row.get().unwell_since
    until(watch, lambda: Event.objects.filter(count__gt=2).exists(), "it goes on")
    assert row.get().unwell_since == since
    kinds = {(before, after) for _, _, before, after in told()}
    assert Event.objects.count() <= events.APART * len(kinds)


def test_it_has_got_over_it_once_it_has_run_for_a_while(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "RECOVERED", timedelta(seconds=3))
    watch = panel.watch()
    watch.step([])
    service = panel.swarm.create(service_spec("lab/crash:1"))
    row = Service.objects.filter(engine_id=service)
    until(watch, lambda: happened("failing"), "it fails")
    panel.swarm.set_image(service, "lab/web:1")
    until(watch, lambda: row.filter(health="running").exists(), "it runs")
    assert row.get().unwell_since is not None, "it may fail again"
    before = changes.current()
    until(watch, lambda: row.filter(unwell_since=None).exists(), "it is over")
    assert any(t.key == service for t in changes.since(before) or []), "pages are told"


def test_a_node_that_is_drained_and_comes_back(panel: Panel) -> None:
    watch = panel.watch()
    watch.step([])
    try:
        panel.swarm.change_node(Availability="drain")
        until(watch, lambda: happened("drain", kind=Kind.NODE), "it is drained")
    finally:
        panel.swarm.change_node(Availability="active")
    until(watch, lambda: happened("active", kind=Kind.NODE), "it is back")
    assert [(before, after) for _, _, before, after in told(kind=Kind.NODE)] == [
        ("active", "drain"),
        ("drain", "active"),
    ]


def test_an_engine_that_goes_and_comes_back(
    transactional_db: None, fragile_swarm_engine: Engine
) -> None:
    panel = Panel(fragile_swarm_engine.url, timeout=1.0)
    try:
        watch = panel.watch()
        watch.step([])
        fragile_swarm_engine.freeze()
        until(watch, lambda: happened("unreachable"), "it is away")
        fragile_swarm_engine.thaw()
        until(watch, lambda: happened("ready"), "it is back")
    finally:
        panel.close()
    assert told(kind=Kind.CLUSTER) == [
        (Kind.CLUSTER, "lab", "ready", "unreachable"),
        (Kind.CLUSTER, "lab", "unreachable", "ready"),
    ]
    assert "did not answer" in Event.objects.get(after="unreachable").message


def test_how_a_service_was_changed_is_kept_from_the_engines_event(panel: Panel) -> None:
    service = panel.start(replicas=1)
    watch = panel.watch()
    watch.step([])
    told_by_engine = {
        "Type": "service", "Action": "update", "timeNano": time.time_ns(),
        "Actor": {"ID": service.engine_id, "Attributes": {
            "name": service.name, "replicas.old": "1", "replicas.new": "2"}},
    }  # fmt: skip
    watch.step([told_by_engine, {"Type": "container", "Action": "exec_create: x", "Actor": {}}])
    (event,) = Event.objects.filter(kind=Kind.ENGINE)
    assert (event.name, event.message) == (service.name, "replicas 1 → 2")


@pytest.mark.django_db(transaction=True)
def test_nothing_is_written_while_nothing_happens_however_large_the_cluster() -> None:
    with SimulatedEngine("--services", "1000", "--tasks", "3000") as engine:
        panel = Panel(engine.url, timeout=30)
        try:
            watch = panel.watch()
            watch.step([])
            before = changes.current()
            for _ in range(8):
                time.sleep(min(watch.step([]), 0.5))
            assert changes.since(before) == []
            assert told() == []
        finally:
            panel.close()
            Cluster.objects.filter(pk=panel.cluster.pk).delete()


@pytest.mark.django_db(transaction=True)
def test_the_leader_changes_and_a_node_goes_down() -> None:
    with SimulatedEngine("--nodes", "5", "--managers", "3") as engine:
        panel = Panel(engine.url)
        try:
            watch = panel.watch()
            watch.step([])
            worker = next(n for n in panel.engine.nodes() if n["Spec"]["Role"] == "worker")
            panel.swarm.post(f"/_simulator/nodes/{worker['ID']}/down", {})
            until(watch, lambda: happened("down"), "it is told")
            assert told(kind=Kind.NODE)[0][1:] == (
                worker["Description"]["Hostname"], "ready", "down",
            )  # fmt: skip
            assert Event.objects.get(after="down").message == "heartbeat failure"
            Event.objects.update(last_at=Now() - timedelta(days=31))
            assert events.prune() >= 1
        finally:
            panel.close()
            Cluster.objects.filter(pk=panel.cluster.pk).delete()
