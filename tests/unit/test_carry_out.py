"""A worker's first step: what it asks of the database before the engine is told, and what stops it.

The whole way, with an engine, is in tests/integration/test_operations.py and test_faults.py.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from access.authorize import Actor
from access.models import Grant
from access.policy import Role
from clusters import specs
from clusters.changes import Restart
from clusters.models import Approval, Cluster, Operation, Revision, Service
from clusters.operations import lease
from clusters.operations.carry_out import advance
from clusters.operations.holding import refuse_if_held
from clusters.operations.requests import request, request_cancel
from clusters.ports import EngineUnreachable, ObjectMissing, Raw
from clusters.problems import Busy
from tests.unit.panel import keep_revision, make_cluster, make_service, make_user

pytestmark = pytest.mark.django_db
S = Operation.State


class FakeEngine:
    """Shows one service and takes one write; `first` happens as it is asked."""

    def __init__(self, service: Service, first: Callable[[], None] = lambda: None) -> None:
        self._service, self._first = service, first
        self.sent: list[tuple[int, Mapping[str, Any]]] = []
        self.queries_before: int | None = None

    def __call__(self, cluster: Cluster) -> Any:
        return self

    def service(self, service_id: str) -> Raw:
        self._first()
        spec, version = self._service.spec, self._service.version
        return {"ID": service_id, "Spec": spec, "Version": {"Index": version}}

    def update_service(self, service_id: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        self.queries_before = len(connection.queries_log)
        self.sent.append((version, spec))
        return []


@pytest.fixture
def service() -> Service:
    service = make_service(make_cluster(), stack="shop")
    keep_revision(service, 2)  # as the watcher does with every spec
    return service


@pytest.fixture
def ada() -> Actor:
    return Actor(make_user(Role.OPERATOR), "browser")


@pytest.fixture
def asked(service: Service, ada: Actor) -> Operation:
    return request(ada, service, Restart(), wake=lambda operation_id: None)


def fail_with(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def names(operation: Operation) -> list[tuple[str, str]]:
    return [(step["name"], step["state"]) for step in operation.steps]


def test_it_begins_and_sends_for_one_commit(asked: Operation, service: Service) -> None:
    engine = FakeEngine(service)
    with CaptureQueriesContext(connection) as asked_of_it:
        begun = len(connection.queries_log)
        assert advance(str(asked.pk), engine, "worker") == 0.1
    assert engine.queries_before is not None
    assert engine.queries_before - begun <= 9, [q["sql"] for q in asked_of_it.captured_queries]
    asked.refresh_from_db()
    assert (asked.state, asked.sent_version, asked.accepted_version) == (S.RUNNING, 10, 11)
    assert asked.started_at is not None
    assert names(asked) == [("check", "done"), ("send", "done")]
    assert [(v, specs.operation_of(dict(s))) for v, s in engine.sent] == [(10, str(asked.pk))]


def test_it_is_stored_as_running_before_the_engine_is_told(
    asked: Operation, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that whoever takes over from a worker that died there knows that it may have been sent."""
    stored: list[Any] = []

    def update(*_: object) -> list[str]:
        stored.append(Operation.objects.values_list("state", "sent_version").get(pk=asked.pk))
        return []

    engine = FakeEngine(service)
    monkeypatch.setattr(engine, "update_service", update)
    advance(str(asked.pk), engine, "worker")
    assert stored == [(S.RUNNING, 10)]


def test_a_cancel_while_the_engine_is_asked_stops_it(
    asked: Operation, service: Service, ada: Actor
) -> None:
    def cancel() -> None:
        request_cancel(ada, asked, Operation.Cancel.STOP, wake=lambda operation_id: None)

    engine = FakeEngine(service, first=cancel)
    assert advance(str(asked.pk), engine, "worker") == 0.0, "it comes back at once, to end it"
    assert advance(str(asked.pk), engine, "worker") is None
    asked.refresh_from_db()
    assert (asked.state, asked.sent_version, engine.sent) == (S.CANCELLED, None, [])


def test_a_right_that_ended_after_a_worker_died_before_sending_is_seen(
    asked: Operation, service: Service
) -> None:
    """Nothing was stored before the engine answered: the next worker begins anew."""

    class Died(BaseException):
        pass

    with pytest.raises(Died):
        advance(str(asked.pk), FakeEngine(service, fail_with(Died())), "dead")
    Operation.objects.update(held_until=None)
    Grant.objects.all().delete()
    engine = FakeEngine(service)
    assert advance(str(asked.pk), engine, "worker") is None
    asked.refresh_from_db()
    assert (asked.state, engine.sent) == (S.FAILED, [])
    assert "right to do this was withdrawn" in asked.error


def test_it_waits_for_an_engine_that_is_away_as_running(asked: Operation, service: Service) -> None:
    engine = FakeEngine(service, fail_with(EngineUnreachable("cut off")))
    assert advance(str(asked.pk), engine, "worker") == 1.0
    asked.refresh_from_db()
    assert (asked.state, asked.error, asked.sent_version) == (S.RUNNING, "cut off", None)
    assert asked.started_at is not None
    assert names(asked) == [("check", "done")]


def test_a_service_that_is_gone_ends_it(asked: Operation, service: Service) -> None:
    engine = FakeEngine(service, fail_with(ObjectMissing("gone")))
    assert advance(str(asked.pk), engine, "worker") is None
    asked.refresh_from_db()
    assert asked.state == S.FAILED
    assert asked.started_at is not None
    assert asked.finished_at is not None


def test_a_spec_that_nobody_kept_is_kept_before_it_is_replaced(
    asked: Operation, service: Service
) -> None:
    Revision.objects.all().delete()
    engine = FakeEngine(service)
    advance(str(asked.pk), engine, "worker")
    kept = Revision.objects.get()
    assert (kept.spec, kept.version, len(engine.sent)) == (service.spec, 10, 1)


def test_an_approval_is_read_with_the_operation(asked: Operation, service: Service) -> None:
    """One that nobody gave yet stops it, whatever the state says."""
    Approval.objects.create(
        operation=asked, version=10, before_hash="", after_hash=specs.spec_hash(asked.after),
        expires_at=asked.created_at,
    )  # fmt: skip
    engine = FakeEngine(service)
    assert advance(str(asked.pk), engine, "worker") is None
    asked.refresh_from_db()
    assert (asked.state, engine.sent) == (S.FAILED, [])


# --- Who may take it: what the written-out statements ask ----------------------------------------

SOON, AGO = Now() + timedelta(minutes=1), Now() - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("row", "claimed"),
    [
        ({}, True),
        ({"held_until": AGO}, True),
        ({"held_until": SOON}, False),
        ({"next_step_at": SOON}, False),
        ({"state": S.RUNNING}, True),
        ({"state": S.CANCELLING}, True),
        ({"state": S.AWAITING}, False),
        ({"state": S.SUCCEEDED}, False),
    ],
)
def test_a_worker_claims_what_is_due_and_free(
    row: dict[str, Any], claimed: bool, asked: Operation
) -> None:
    Operation.objects.update(**row)
    operation = lease.claim(str(asked.pk), "worker")
    assert (operation is not None) == claimed
    asked.refresh_from_db()
    assert (asked.token, asked.holder) == ((1, "worker") if claimed else (0, ""))
    if operation:
        assert operation.token == 1, "the fencing token that every write is proven with"
        left = Operation.objects.values_list(F("held_until") - Now(), flat=True).get()
        assert timedelta(0) < left <= timedelta(seconds=settings.OPERATION_LEASE)


@pytest.mark.parametrize(
    ("other", "held"),
    [
        ({"target_id": "a"}, True),
        ({"target_id": "b"}, True),
        ({"holds": ["x", "a"]}, True),
        ({"holds": ["b"]}, True),
        ({"holds": ["x"]}, False),
        ({"target_id": "a", "state": S.CANCELLING}, True),
        ({"target_id": "a", "state": S.AWAITING}, False),
        ({"target_id": "a", "state": S.FAILED}, False),
        ({"target_id": "a", "cluster": "another"}, False),
    ],
)
def test_one_operation_at_a_time_on_what_it_changes(
    other: dict[str, Any], held: bool, ada: Actor
) -> None:
    clusters = {name: make_cluster(name) for name in ("local", "another")}
    cluster = clusters[other.get("cluster", "local")]
    values = {"target_id": "y", **other, "cluster": cluster, "requested_by": ada.user}
    Operation.objects.create(kind="restart", **values)
    mine = Operation(cluster=clusters["local"], target_id="a", holds=["b"])
    with pytest.raises(Busy) if held else nullcontext():
        refuse_if_held(mine)


def test_an_operation_is_not_held_by_itself(asked: Operation) -> None:
    refuse_if_held(asked)
