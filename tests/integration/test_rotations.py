"""Rotations on a real engine: every service gets the new value, or all get the old one again."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from access.authorize import Actor
from access.models import AuditEntry, Grant, Protection
from access.policy import Role
from clusters.changes import Rollback, Scale, Update
from clusters.models import KeptSecret, Operation, Revision, Service
from clusters.operations import approvals, making, rotations
from clusters.operations.carry_out import advance
from clusters.operations.previews import preview
from clusters.operations.rotating import leading, stage
from clusters.ports import EngineUnreachable, Noun, Raw, Refused
from clusters.problems import Busy, Invalid
from clusters.specs import references
from tests.integration.panel import BRISK, Panel, user
from tests.integration.rotating import (
    PAUSES,
    SERVES,
    START_FIRST,
    Died,
    Mortal,
    consume,
    find,
    keeper,
    make,
    mounted,
    names,
    rotate,
    until_mounted,
)

State = Operation.State


@pytest.fixture
def sam(panel: Panel) -> Iterator[Panel]:
    with keeper(panel) as ready:
        yield ready


def moved(panel: Panel, service: Service, noun: Noun = "secret") -> str:
    """The name of the version that the service refers to."""
    (reference,) = references(panel.raw(service), noun)
    return reference.name


# --- Two persons ---------------------------------------------------------------------------------


def other(panel: Panel) -> Actor:
    return Actor(user("bob", Role.OPERATOR), "browser", "192.0.2.2", time.time())


@pytest.fixture
def protected(sam: Panel) -> Panel:
    Protection.objects.create(cluster=sam.cluster.name)
    return sam


def test_a_protected_rotation_is_done_once_somebody_else_approves(protected: Panel) -> None:
    found = make(protected)
    service = consume(protected, found)
    operation = rotate(protected, found)
    assert operation.state == State.AWAITING
    assert protected.carry_out(operation).state == State.AWAITING
    assert moved(protected, service) == found.name

    decided = approvals.decide(other(protected), operation, approve=True, wake=no_wake)
    assert protected.carry_out(decided).state == State.SUCCEEDED
    assert moved(protected, service) == f"{found.name}_v2"


def test_a_declined_rotation_takes_its_new_version_away(protected: Panel) -> None:
    found = make(protected)
    service = consume(protected, found)
    operation = rotate(protected, found)
    assert names(protected) == {found.name, f"{found.name}_v2"}

    bob = other(protected)
    declined = approvals.decide(bob, operation, approve=False, note="not now", wake=no_wake)
    ended = protected.carry_out(declined)
    assert ended.state == State.CANCELLED
    assert ended.result.startswith("Declined by bob: not now")
    assert names(protected) == {found.name}
    assert moved(protected, service) == found.name


def test_one_service_more_makes_the_approval_void(protected: Panel) -> None:
    found = make(protected)
    consume(protected, found)
    operation = rotate(protected, found)
    consume(protected, found)
    protected.look()
    with pytest.raises(Invalid, match="Other services use"):
        approvals.decide(other(protected), operation, approve=True, wake=no_wake)
    approvals.close_void()
    operation.refresh_from_db()
    assert protected.carry_out(operation).state == State.CANCELLED
    assert names(protected) == {found.name}


def no_wake(_: str) -> None:
    """The test itself carries on."""


# --- There ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["secret", "config"])
def test_every_service_gets_the_new_value_and_the_old_version_goes(sam: Panel, noun: Noun) -> None:
    found = make(sam, noun, stack="shop", labels={"team": "blue"})
    first = consume(sam, found, replicas=2, UpdateConfig=START_FIRST)
    second = consume(sam, found, replicas=2)
    before = {s.name: sam.raw(s) for s in (first, second)}

    operation = sam.carry_out(rotate(sam, found))

    new_name = f"{found.name}_v2"
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    assert (operation.done, operation.total, operation.unit) == (2, 2, "services")
    assert operation.result == f"2 services use {new_name}. {found.name} was removed."
    assert {step["state"] for step in operation.steps} == {"done"}
    assert names(sam, noun) == {new_name}
    new = find(sam, noun, new_name)
    assert (new.stack, new.labels["team"]) == ("shop", "blue")
    assert (new.family, new.number) == (found.name, 2)
    for service in (first, second):
        until_mounted(sam, service.engine_id, b"second")
        after = sam.raw(service)
        (reference,) = references(after, noun)
        assert (reference.id, reference.name) == (new.engine_id, new_name)
        assert (reference.uid, reference.gid, reference.mode) == ("33", "44", 0o440)
        (now,) = after["TaskTemplate"]["ContainerSpec"].pop(f"{noun.title()}s")
        (was,) = before[service.name]["TaskTemplate"]["ContainerSpec"].pop(f"{noun.title()}s")
        assert now["File"] == was["File"]
        assert after == before[service.name], "and nothing else of the spec"


def test_the_services_come_one_after_another(sam: Panel) -> None:
    found = make(sam)
    services = [consume(sam, found) for _ in range(2)]
    operation = rotate(sam, found)
    seen = []
    while operation.active:
        sam.step(operation)
        seen.append([part["state"] for part in operation.plan["consumers"]])
    assert operation.state == State.SUCCEEDED
    assert all(states[1] == "waiting" for states in seen if states[0] != "done")
    assert [part["name"] for part in operation.plan["consumers"]] == [s.name for s in services]
    for service in services:
        newest = Revision.objects.filter(service_engine_id=service.engine_id).first()
        assert newest is not None
    sam.look()
    authors = Revision.objects.filter(number=2).values_list("operation", flat=True)
    assert set(authors) == {operation.pk}, "each new spec is known as the rotation's"


def test_versions_count_on_and_a_kept_value_follows(sam: Panel) -> None:
    found = make(sam, keep=True)
    sam.carry_out(rotate(sam, found, b"second", keep=True))
    second = find(sam, "secret", f"{found.name}_v2")
    sam.carry_out(rotate(sam, second, b"third", keep=True))
    assert names(sam) == {f"{found.name}_v3"}
    assert list(KeptSecret.objects.values_list("name", flat=True)) == [f"{found.name}_v3"]


def test_what_somebody_else_changed_meanwhile_is_kept(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found)
    operation = rotate(sam, found)
    sam.swarm.change(service.engine_id, lambda spec: spec["Labels"].update(theirs="yes"))
    sam.carry_out(operation)
    assert operation.state == State.SUCCEEDED
    assert sam.raw(service)["Labels"] == {"theirs": "yes"}
    assert moved(sam, service) == f"{found.name}_v2"


def test_a_change_by_others_during_its_rollout_is_followed_not_undone(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found, replicas=2)
    operation = rotate(sam, found)
    sam.step_until(operation, lambda: operation.plan["consumers"][0]["state"] == "following")

    def patch(spec: Raw) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = ["THEIRS=yes"]

    sam.swarm.change(service.engine_id, patch)
    sam.carry_out(operation)
    assert operation.state == State.SUCCEEDED
    container = sam.raw(service)["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["THEIRS=yes"]
    until_mounted(sam, service.engine_id, b"second")


def test_services_that_left_or_let_go_of_it_are_passed_over(sam: Panel) -> None:
    found = make(sam)
    gone, lets_go, stays = (consume(sam, found, SERVES) for _ in range(3))
    operation = rotate(sam, found)
    sam.swarm.delete(f"/services/{gone.engine_id}")
    sam.swarm.change(
        lets_go.engine_id, lambda spec: spec["TaskTemplate"]["ContainerSpec"].pop("Secrets")
    )
    sam.carry_out(operation)
    assert operation.state == State.SUCCEEDED
    assert moved(sam, stays) == f"{found.name}_v2"
    told = {step["title"]: step["message"] for step in operation.steps}
    assert told[f"Update {gone.name}:"] == "it no longer exists"
    assert told[f"Update {lets_go.name}:"] == "it uses neither version any more"


def test_the_old_version_stays_while_a_newcomer_uses_it(sam: Panel) -> None:
    found = make(sam)
    consume(sam, found)
    operation = rotate(sam, found)
    newcomer = consume(sam, found)
    sam.carry_out(operation)
    assert operation.state == State.SUCCEEDED
    assert f"{found.name} stays" in operation.result
    assert newcomer.name in operation.result, "the engine's own words name it"
    assert names(sam) == {found.name, f"{found.name}_v2"}


def test_a_rollback_to_a_spec_from_before_keeps_the_present_value(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found, SERVES)
    sam.do(service, Update(image="lab/web:2"))
    sam.carry_out(rotate(sam, found))
    sam.carry_out(rotate(sam, find(sam, "secret", f"{found.name}_v2"), b"third"))
    before = sam.service(service.name)
    assert (
        preview(sam.actor, before, Rollback())
        .after["TaskTemplate"]["ContainerSpec"]["Image"]
        .startswith("lab/web:1")
    ), "a rotation is nothing to go back from"
    rollback = sam.do(before, Rollback(revision=1))
    assert (rollback.state, rollback.error) == (State.SUCCEEDED, "")
    assert sam.images(service) == ["lab/web:1"]
    assert moved(sam, service) == f"{found.name}_v3"
    until_mounted(sam, service.engine_id, b"third")


def test_what_nobody_uses_is_replaced_at_once(sam: Panel) -> None:
    found = make(sam)
    operation = sam.carry_out(rotate(sam, found))
    assert operation.result == f"No service used it. {found.name} was removed."


# --- And back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "rollback", "continue"])
def test_if_one_service_fails_all_return_to_the_old_version(
    sam: Panel, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "FAILING", timedelta(seconds=3))
    found = make(sam)
    first = consume(sam, found, SERVES, replicas=2, UpdateConfig=START_FIRST)
    failing = consume(sam, found, UpdateConfig={**PAUSES, "FailureAction": action})
    untouched = consume(sam, found, SERVES)
    before = {s.name: sam.raw(s) for s in (first, failing, untouched)}
    tasks = sam.task_ids(untouched)

    operation = sam.carry_out(rotate(sam, found, b"bad"), seconds=120)

    assert operation.state == State.ROLLED_BACK
    assert operation.error.startswith(f"{failing.name}: ")
    assert "task: non-zero exit (3)" in operation.error, "the task's own words"
    assert operation.result == (
        f"Every service uses {found.name} as before. {found.name}_v2 was removed."
    )
    assert names(sam) == {found.name}
    for service in (first, failing, untouched):
        assert sam.raw(service) == before[service.name]
    for service in (first, failing):
        sam.swarm.converge(service.engine_id)
        until_mounted(sam, service.engine_id, b"first")
    assert sam.task_ids(untouched) == tasks, "its turn never came"
    result = AuditEntry.objects.get(phase="result", operation=operation.pk)
    assert result.outcome == "rolled_back"


def test_cancelling_leads_all_of_them_back(sam: Panel) -> None:
    found = make(sam)
    services = [consume(sam, found) for _ in range(2)]
    operation = rotate(sam, found)
    with pytest.raises(Invalid, match="does not stop half way"):
        sam.cancel(operation, Operation.Cancel.STOP)
    sam.step_until(operation, lambda: operation.done == 1)
    sam.cancel(operation, Operation.Cancel.BACK)
    sam.carry_out(operation)
    assert (operation.state, operation.error) == (State.CANCELLED, "")
    assert names(sam) == {found.name}
    for service in services:
        assert moved(sam, service) == found.name
        until_mounted(sam, service.engine_id, b"first")


def test_a_cancel_before_the_first_service_only_removes_the_new_version(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found)
    version = sam.swarm.service(service.engine_id)["Version"]
    operation = rotate(sam, found)
    sam.cancel(operation, Operation.Cancel.BACK)
    sam.carry_out(operation)
    assert operation.state == State.CANCELLED
    assert operation.result == f"No service was changed. {found.name}_v2 was removed."
    assert sam.swarm.service(service.engine_id)["Version"] == version
    assert names(sam) == {found.name}


def test_a_service_that_somebody_returns_to_the_old_version_is_no_fight(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found, replicas=2)
    before = sam.swarm.service(service.engine_id)["Spec"]
    operation = rotate(sam, found)
    sam.step_until(operation, lambda: operation.plan["consumers"][0]["state"] == "following")
    sam.swarm.change(service.engine_id, lambda spec: (spec.clear(), spec.update(before)))
    sam.carry_out(operation)
    assert operation.state == State.ROLLED_BACK
    assert "somebody else returned it" in operation.error
    assert moved(sam, service) == found.name


def test_a_right_that_ended_while_it_waited_is_told_and_nothing_changed(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found)
    operation = rotate(sam, found)
    Grant.objects.all().delete()
    sam.carry_out(operation)
    assert operation.state == State.FAILED
    assert "withdrawn" in operation.error
    assert names(sam) == {found.name}, "the new version is taken away again"
    assert moved(sam, service) == found.name
    assert AuditEntry.objects.filter(phase="refused", operation=operation.pk).exists()


# --- Only one at a time --------------------------------------------------------------------------


def test_nothing_else_begins_on_a_service_that_is_being_rotated(sam: Panel) -> None:
    found, other = make(sam), make(sam)
    service = sam.start(
        container={
            "Command": SERVES,
            "Secrets": [*mounted(found)["Secrets"], {**mounted(other)["Secrets"][0], "File": {
                "Name": "other", "UID": "0", "GID": "0", "Mode": 0o444}}],
        }
    )  # fmt: skip
    operation = rotate(sam, found)
    with pytest.raises(Busy) as caught:
        sam.request(service, Scale(replicas=2))
    assert caught.value.operation_id == operation.pk
    with pytest.raises(Busy):
        rotate(sam, other)
    with pytest.raises(Busy):
        rotate(sam, found, b"third")
    with pytest.raises(Busy):
        making.remove(sam.actor, found, engine=sam.engine)
    assert names(sam) == {found.name, other.name, f"{found.name}_v2"}, "no version too many"
    sam.carry_out(operation)
    assert sam.do(sam.service(service.name), Scale(replicas=2)).state == State.SUCCEEDED


def test_no_rotation_begins_while_one_of_its_services_is_busy(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found)
    scale = sam.request(service, Scale(replicas=2))
    with pytest.raises(Busy) as caught:
        rotate(sam, found)
    assert caught.value.operation_id == scale.pk
    assert names(sam) == {found.name}


def test_a_form_that_is_sent_twice_rotates_once(sam: Panel) -> None:
    found = make(sam)
    first = rotate(sam, found, idempotency_key="a")
    assert rotate(sam, found, idempotency_key="a").pk == first.pk
    assert names(sam) == {found.name, f"{found.name}_v2"}


# --- Death at every boundary ---------------------------------------------------------------------


def carry_on_through(panel: Panel, operation: Operation, engine: Mortal) -> None:
    """Carry the operation on, by another worker wherever one dies."""
    while operation.active:
        with suppress(Died):
            panel.step(operation, engine)  # type: ignore[arg-type]
        # A dead worker's lease runs out.
        expired = Operation.objects.filter(pk=operation.pk, state__in=Operation.ACTIVE)
        if engine.died:
            expired.exclude(held_until=None).update(held_until=None, next_step_at=Now())
        operation.refresh_from_db()
    assert engine.died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "number"), [("update_service", 1), ("remove", 1)])
def test_a_worker_that_dies_on_the_way_costs_nothing(
    sam: Panel, method: str, number: int, after: bool
) -> None:
    found = make(sam)
    services = [consume(sam, found) for _ in range(2)]
    engine = Mortal(sam.engine, method, number, after=after)
    operation = rotate(sam, found)
    carry_on_through(sam, operation, engine)
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    written = [target for name, target in engine.sent if name == "update_service"]
    assert sorted(written) == sorted(s.engine_id for s in services), "each is written once"
    for service in services:
        until_mounted(sam, service.engine_id, b"second")
    assert names(sam) == {f"{found.name}_v2"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("method", "number"), [("update_service", 3), ("remove", 1)])
def test_a_worker_that_dies_on_the_way_back_costs_nothing(
    sam: Panel, method: str, number: int, after: bool
) -> None:
    """The third write is the first one back."""
    found = make(sam)
    first = consume(sam, found, SERVES)
    failing = consume(sam, found, UpdateConfig=PAUSES)
    engine = Mortal(sam.engine, method, number, after=after)
    operation = rotate(sam, found, b"bad")
    carry_on_through(sam, operation, engine)
    assert operation.state == State.ROLLED_BACK
    written = [target for name, target in engine.sent if name == "update_service"]
    there_and_back = [first.engine_id, failing.engine_id, failing.engine_id, first.engine_id]
    assert written == there_and_back
    assert names(sam) == {found.name}


def test_a_service_that_swarm_rolled_back_before_anybody_looked_is_not_tried_again(
    sam: Panel,
) -> None:
    found = make(sam)
    service = consume(sam, found, UpdateConfig={**PAUSES, "FailureAction": "rollback"})
    engine = Mortal(sam.engine, "update_service", 1, after=True)
    operation = rotate(sam, found, b"bad")
    with pytest.raises(Died):
        while True:
            sam.step(operation, engine)  # type: ignore[arg-type]
    sam.swarm.wait_update(service.engine_id, "rollback_completed")
    carry_on_through(sam, operation, engine)
    assert operation.state == State.ROLLED_BACK
    assert "task: non-zero exit (3)" in operation.error
    assert [name for name, _ in engine.sent] == ["update_service", "remove"]


class Broken:
    """An engine that falls silent when it shall create something: before it, or right after it."""

    def __init__(self, engine: Any, *, after: bool) -> None:
        self._engine, self._after = engine, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def create(self, noun: Noun, spec: Raw) -> str:
        if self._after:
            self._engine.create(noun, spec)
        raise EngineUnreachable("tcp://gone:2375 did not answer within 5 s")


def test_a_new_version_whose_answer_was_lost_is_found_by_its_label(sam: Panel) -> None:
    found = make(sam)
    service = consume(sam, found)
    operation = rotate(sam, found, engine=Broken(sam.engine, after=True))
    sam.carry_out(operation)
    assert operation.state == State.SUCCEEDED
    until_mounted(sam, service.engine_id, b"second")


def test_a_new_version_that_never_arrived_changes_nothing(
    sam: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make(sam)
    service = consume(sam, found)
    operation = rotate(sam, found, engine=Broken(sam.engine, after=False))
    monkeypatch.setattr(stage, "ARRIVES", timedelta(0))
    sam.carry_out(operation)
    assert operation.state == State.FAILED
    assert operation.error == "The new version did not reach the engine."
    assert moved(sam, service) == found.name


def test_a_request_that_died_before_it_reached_the_engine_ends_by_itself(
    sam: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: Any) -> None:
        raise Died

    found = make(sam)
    consume(sam, found)
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(rotations, "_create", died)
        rotate(sam, found)
    operation = Operation.objects.get()
    assert advance(str(operation.pk), lambda cluster: sam.engine, "w") is None, "not yet due"
    monkeypatch.setattr(stage, "ARRIVES", timedelta(0))
    Operation.objects.update(next_step_at=Now())
    sam.carry_out(operation)
    assert operation.state == State.FAILED
    assert names(sam) == {found.name}


def test_a_version_that_is_not_ours_is_not_taken_for_ours(
    sam: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody made one of the very name that the rotation had chosen."""
    found = make(sam)
    service = consume(sam, found)
    theirs = {"Name": f"{found.name}_v2", "Data": "dGhlaXJz", "Labels": {}}
    sam.swarm.post("/secrets/create", theirs)
    with pytest.raises(Refused, match="already exists"):
        rotate(sam, found)
    operation = Operation.objects.get()
    assert operation.state == State.FAILED
    assert "The engine refused the new version; nothing was changed" in operation.error
    assert moved(sam, service) == found.name
    sam.look()
    assert sam.carry_out(rotate(sam, found)).plan["new"]["name"] == f"{found.name}_v3"


# --- Removing, and putting back ------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["secret", "config"])
def test_what_is_in_use_is_not_removed(sam: Panel, noun: Noun) -> None:
    found = make(sam, noun)
    service = consume(sam, found)
    with pytest.raises(Invalid, match=f"in use by {service.name}"):
        making.remove(sam.actor, found, engine=sam.engine)
    Service.objects.all().delete()  # as if the watcher had not seen the service yet
    with pytest.raises(Refused, match=service.name):
        making.remove(sam.actor, found, engine=sam.engine)
    assert names(sam, noun) == {found.name}
    trail = AuditEntry.objects.filter(target=found.name, action=found.REMOVE).order_by("id")
    assert [(e.phase, e.outcome) for e in trail] == [("intent", ""), ("result", "failed")]
    assert service.name in trail[1].detail["error"]


def test_a_kept_secret_that_is_gone_can_be_put_back(sam: Panel) -> None:
    found = make(sam, data=b"\0binary\xff", labels={"a": "b"}, keep=True)
    making.remove(sam.actor, found, engine=sam.engine)
    assert names(sam) == set()
    making.put_back(sam.actor, KeptSecret.objects.get(), engine=sam.engine)
    again = find(sam, "secret", found.name)
    assert again.labels == {"a": "b"}
    service = consume(sam, again, SERVES, UpdateConfig=BRISK)
    until_mounted(sam, service.engine_id, b"\0binary\xff")
