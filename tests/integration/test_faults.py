"""A worker that dies at any moment: the rollout goes on, the operation is taken up again, and
nothing is sent twice."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from clusters.changes import Scale, Update
from clusters.models import Operation, Service
from clusters.operations import lease
from clusters.operations.carry_out import advance
from clusters.ports import Engine, EngineUnreachable, Raw
from tests.integration.panel import Panel

State = Operation.State


class Killed(BaseException):
    """As if the process had ended here: no handler of ours may see it."""


class Fragile:
    """The real engine, and a fault at the write: before it, or after it but before its answer."""

    def __init__(self, engine: Engine, fault: str, error: BaseException) -> None:
        self._engine, self._fault, self._error = engine, fault, error
        self.writes = 0

    def update_service(self, service_id: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        self.writes += 1
        if self._fault == "before":
            raise self._error
        warnings = self._engine.update_service(service_id, version, spec)
        if self._fault == "after":
            raise self._error
        return warnings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _die_in(panel: Panel, operation: Operation, fault: str) -> Fragile:
    """A worker's step that the fault ends; its lease runs out at once."""
    fragile = Fragile(panel.engine, fault, Killed())
    with pytest.raises(Killed):
        advance(str(operation.pk), lambda cluster: fragile, "the-dead")  # type: ignore[arg-type, return-value]
    Operation.objects.filter(pk=operation.pk).update(held_until=Now() - timedelta(seconds=1))
    return fragile


def _history(panel: Panel, service: Service) -> Raw:
    """What the service was before its last write: one write away from the start, or more?"""
    raw: Raw = panel.swarm.service(service.engine_id).get("PreviousSpec") or {}
    return raw


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_worker_that_dies_at_the_write_is_replaced_and_nothing_is_sent_twice(
    panel: Panel, fault: str
) -> None:
    service = panel.start(replicas=2)
    operation = panel.request(service, Update(image="lab/web:2"))
    _die_in(panel, operation, fault)
    writes = Fragile(panel.engine, "", Killed())
    while operation.active:
        panel.step(operation, engine=writes)  # type: ignore[arg-type]
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    assert writes.writes == (1 if fault == "before" else 0)
    assert _history(panel, service) == service.spec, "one write, counted by the engine itself"


@pytest.mark.parametrize("fault", ["before", "after"])
def test_an_answer_that_is_lost_is_not_sent_twice(panel: Panel, fault: str) -> None:
    """The engine goes away in the middle of the write, and comes back."""
    service = panel.start(replicas=2)
    operation = panel.request(service, Update(image="lab/web:2"))
    fragile = Fragile(panel.engine, fault, EngineUnreachable("cut off"))
    panel.step(operation, engine=fragile)  # type: ignore[arg-type]
    assert operation.active
    assert operation.error == "cut off", "the page says what it waits for"
    panel.carry_out(operation)
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    assert _history(panel, service) == service.spec


def test_a_worker_dies_between_any_two_steps(panel: Panel) -> None:
    """Nothing is remembered that the rows and the engine do not tell."""
    service = panel.start(replicas=2)
    operation = panel.request(service, Update(image="lab/web:2"))
    number = 0
    while operation.active:
        number += 1
        panel.step(operation, holder=f"worker-{number}")
    assert operation.state == State.SUCCEEDED
    assert number > 2
    assert _history(panel, service) == service.spec


def test_someone_else_writes_after_a_worker_died_at_the_write(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Update(labels={"mine": "yes"}))
    _die_in(panel, operation, "after")
    panel.swarm.change(service.engine_id, lambda spec: spec["Labels"].update(theirs="yes"))
    panel.carry_out(operation)
    assert operation.state == State.INTERRUPTED
    assert panel.raw(service)["Labels"] == {"mine": "yes", "theirs": "yes"}


def test_what_became_of_the_write_cannot_be_known(panel: Panel) -> None:
    """Two others wrote since, and left no trace of ours: neither "done" nor "not done" is true."""
    service = panel.start()
    operation = panel.request(service, Update(labels={"mine": "yes"}))
    _die_in(panel, operation, "after")
    for theirs in ("1", "2"):
        panel.swarm.change(
            service.engine_id, lambda spec, theirs=theirs: spec.update(Labels={"theirs": theirs})
        )
    panel.carry_out(operation)
    assert operation.state == State.INTERRUPTED
    assert "is not known" in operation.error
    assert panel.raw(service)["Labels"] == {"theirs": "2"}


# --- Leases --------------------------------------------------------------------------------------


def test_of_two_workers_one_has_the_operation(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    assert lease.claim(str(operation.pk), "one") is not None
    assert lease.claim(str(operation.pk), "two") is None
    assert advance(str(operation.pk), lambda cluster: panel.engine, "two") is None


def test_a_worker_that_was_replaced_writes_nothing_more(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    slow = lease.claim(str(operation.pk), "slow")
    assert slow is not None
    Operation.objects.update(held_until=Now() - timedelta(seconds=1))
    quick = lease.claim(str(operation.pk), "quick")
    assert quick is not None
    with pytest.raises(lease.Fenced):
        lease.write(slow, done=1)
    with pytest.raises(lease.Fenced):
        lease.move(slow, State.RUNNING)
    assert not lease.release(slow, 0.0), "nor does it give away another's lease"
    lease.move(quick, State.RUNNING)
    assert quick.state == State.RUNNING


class CancelsMeanwhile:
    """An engine during whose answer somebody presses Cancel."""

    def __init__(self, engine: Engine, operation: Operation) -> None:
        self._engine, self._operation = engine, operation
        self.writes = 0

    def service(self, service_id: str) -> Raw:
        before_it_is_sent = Operation.objects.filter(
            pk=self._operation.pk, state__in=("pending", "running")
        )
        before_it_is_sent.update(state="cancelling", cancel="stop")
        return self._engine.service(service_id)

    def update_service(self, *_: Any) -> list[str]:
        self.writes += 1
        return []


def test_a_cancel_in_the_middle_of_a_step_is_heeded_at_once(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    engine = CancelsMeanwhile(panel.engine, operation)
    rest = advance(str(operation.pk), lambda cluster: engine, "w")  # type: ignore[arg-type, return-value]
    assert rest == 0.0, "the next step is due now, not when the lease ends"
    panel.carry_out(operation)
    assert (operation.state, engine.writes) == (State.CANCELLED, 0)
    assert panel.swarm.service(service.engine_id)["Version"]["Index"] == service.version


# --- The engine is away --------------------------------------------------------------------------


class Away:
    def __getattr__(self, name: str) -> Any:
        raise EngineUnreachable("tcp://manager cannot be reached: refused")


def test_what_could_not_be_sent_in_time_is_not_sent_later_by_surprise(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    panel.step(operation, engine=Away())  # type: ignore[arg-type]
    assert operation.active
    assert "refused" in operation.error
    Operation.objects.update(started_at=Now() - timedelta(seconds=31))
    panel.step(operation, engine=Away())  # type: ignore[arg-type]
    assert operation.state == State.FAILED
    assert operation.error.startswith("Nothing was changed:")


def test_what_may_have_been_sent_is_not_told_as_failed(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    fragile = Fragile(panel.engine, "after", EngineUnreachable("cut off"))
    panel.step(operation, engine=fragile)  # type: ignore[arg-type]
    Operation.objects.update(started_at=Now() - timedelta(seconds=31))
    panel.step(operation, engine=Away())  # type: ignore[arg-type]
    assert operation.state == State.INTERRUPTED
    assert "is not known" in operation.error


def test_a_rollout_under_way_is_waited_for_however_long_the_engine_is_away(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    Operation.objects.update(started_at=Now() - timedelta(hours=1))
    panel.step(operation, engine=Away())  # type: ignore[arg-type]
    assert operation.active
    assert panel.carry_out(operation).state == State.SUCCEEDED
