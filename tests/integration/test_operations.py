"""Operations on a real engine, from the request to their true result."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.authorize import Actor, Forbidden
from access.models import AuditEntry, Grant
from access.policy import Role
from clusters.changes import (
    Limits,
    Resources,
    Restart,
    Resume,
    Rollback,
    RolloutConfig,
    Scale,
    Update,
)
from clusters.models import Operation, Revision, Service
from clusters.operations.requests import preview, request_cancel
from clusters.problems import Busy, Conflict, Invalid
from clusters.specs import OPERATION_LABEL
from tests.integration.panel import BRISK, Panel, user

State = Operation.State
Cancel = Operation.Cancel
# Long enough for a task to start and to fail on a busy machine.
PAUSES = {**BRISK, "Monitor": 5 * 10**9}
ROLLS_BACK = {**PAUSES, "FailureAction": "rollback"}
CRASH = Update(image="lab/crash:1", env={"LAB_CRASH_AFTER": "0"})


def _images(panel: Panel, service: Service) -> list[str]:
    return sorted(
        task["Spec"]["ContainerSpec"]["Image"] for task in panel.swarm.running(service.engine_id)
    )


def _task_ids(panel: Panel, service: Service) -> set[str]:
    return {task["ID"] for task in panel.swarm.running(service.engine_id)}


def _cancel(panel: Panel, operation: Operation, how: Operation.Cancel) -> None:
    request_cancel(panel.actor, operation, how, wake=panel.woken.append)
    operation.refresh_from_db()


# --- Scale ---------------------------------------------------------------------------------------


def test_a_scale_up_and_down_and_to_none(panel: Panel) -> None:
    service = panel.start(replicas=2)
    kept = _task_ids(panel, service)
    for replicas, tasks in ((4, 4), (1, 1), (0, 0)):
        operation = panel.do(panel.service(service.name), Scale(replicas=replicas))
        assert (operation.state, operation.error) == (State.SUCCEEDED, "")
        assert operation.done == operation.total
        assert len(panel.swarm.running(service.engine_id)) == tasks
        if replicas == 4:
            assert kept <= _task_ids(panel, service), "a scale restarts nothing"
    assert operation.result == "Scaled to 0: 0 of 0 tasks run."


def test_a_global_service_cannot_be_scaled(panel: Panel) -> None:
    service = panel.start(Mode={"Global": {}})
    with pytest.raises(Invalid, match="A global service has no replica count") as caught:
        panel.request(service, Scale(replicas=3))
    assert caught.value.field == "replicas"
    assert not Operation.objects.exists()
    assert not AuditEntry.objects.exists()


def test_what_would_change_nothing_is_no_operation(panel: Panel) -> None:
    service = panel.start()
    for change in (Scale(replicas=1), Update(image="lab/web:1"), Update(env={"GONE": None})):
        with pytest.raises(Invalid, match="nothing would change"):
            panel.request(service, change)


# --- Updates and their ends ----------------------------------------------------------------------


def test_an_update_replaces_task_by_task_and_tells_how_far_it_is(panel: Panel) -> None:
    service = panel.start(replicas=3)
    operation = panel.request(service, Update(image="lab/web:2"))
    seen = []
    while operation.active:
        panel.step(operation)
        seen.append(operation.done)
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    assert (operation.done, operation.total) == (3, 3)
    assert seen == sorted(seen)
    assert {1, 2} & set(seen), "progress was told on the way"
    assert _images(panel, service) == ["lab/web:2"] * 3
    assert operation.result == "3 of 3 tasks run with the new spec."
    assert [(s["name"], s["state"]) for s in operation.steps] == [
        ("check", "done"),
        ("send", "done"),
        ("rollout", "done"),
    ]


def test_a_failing_update_that_rolls_itself_back_is_no_success(panel: Panel) -> None:
    service = panel.start(replicas=2, UpdateConfig=ROLLS_BACK)
    before = panel.raw(service)
    operation = panel.do(service, CRASH)
    assert operation.state == State.ROLLED_BACK
    assert operation.result == "Swarm rolled back to the spec before."
    assert "task: non-zero exit (3)" in operation.error, "the task's own words"
    assert panel.raw(service) == before


def test_a_failing_update_that_pauses_is_told_with_the_tasks_own_error(panel: Panel) -> None:
    service = panel.start(replicas=2, UpdateConfig=PAUSES)
    operation = panel.do(service, CRASH)
    assert operation.state == State.FAILED
    assert operation.error.startswith("Swarm paused the rollout after 0 of 2 tasks")
    assert "task: non-zero exit (3)" in operation.error
    assert panel.service(service.name).health == "paused"


def test_a_task_that_never_gets_healthy_fails_its_update(panel: Panel) -> None:
    service = panel.start(UpdateConfig=ROLLS_BACK)
    operation = panel.do(service, Update(image="lab/unhealthy:1"))
    assert operation.state == State.ROLLED_BACK
    assert "unhealthy" in operation.error


def test_a_missing_image_is_named(panel: Panel) -> None:
    service = panel.start()
    operation = panel.do(service, Update(image="lab/absent:1"))
    assert operation.state == State.FAILED
    assert "lab/absent:1" in operation.error


def test_a_task_that_fits_nowhere_says_so_while_it_waits(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Update(constraints=["node.labels.absent == yes"]))
    panel.step_until(operation, lambda: "no suitable node" in operation.error)
    assert operation.active


def test_a_change_of_labels_alone_restarts_nothing(panel: Panel) -> None:
    service = panel.start(replicas=2)
    tasks = _task_ids(panel, service)
    operation = panel.do(service, Update(labels={"team": "blue"}))
    assert operation.state == State.SUCCEEDED
    assert operation.result.startswith("The spec was changed; no task had to restart.")
    assert _task_ids(panel, service) == tasks


def test_a_restart_replaces_every_task_by_one_of_the_same_spec(panel: Panel) -> None:
    service = panel.start(replicas=2)
    tasks = _task_ids(panel, service)
    operation = panel.do(service, Restart())
    assert (operation.state, operation.done) == (State.SUCCEEDED, 2)
    assert not tasks & _task_ids(panel, service)
    assert _images(panel, service) == ["lab/web:1"] * 2


def test_a_service_that_is_removed_during_its_operation_is_told_as_such(panel: Panel) -> None:
    service = panel.start(replicas=2)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    panel.swarm.delete(f"/services/{service.engine_id}")
    panel.carry_out(operation)
    assert operation.state == State.FAILED
    assert operation.error == f"{service.name} no longer exists in the Swarm."


def test_a_service_that_vanished_before_its_operation_began(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Restart())
    panel.swarm.delete(f"/services/{service.engine_id}")
    assert panel.carry_out(operation).state == State.FAILED
    assert "no longer exists" in operation.error


def test_what_the_engine_refuses_is_told_in_its_own_words(panel: Panel) -> None:
    service = panel.start()
    change = Update(resources=Resources(limits=Limits(memory=1)))
    operation = panel.do(service, change)
    assert operation.state == State.FAILED
    assert "invalid memory value" in operation.error


# --- Rollback ------------------------------------------------------------------------------------


def test_a_rollback_goes_to_a_kept_revision_and_keeps_the_replicas(panel: Panel) -> None:
    service = panel.start()
    panel.do(service, Update(image="lab/web:2"))
    panel.do(panel.service(service.name), Scale(replicas=2))
    service = panel.service(service.name)
    assert [r.number for r in Revision.objects.filter(service_engine_id=service.engine_id)] == [
        3,
        2,
        1,
    ]
    operation = panel.do(service, Rollback(revision=1))
    assert operation.state == State.SUCCEEDED
    assert _images(panel, service) == ["lab/web:1"] * 2

    panel.do(panel.service(service.name), Rollback(revision=1, keep_replicas=False))
    assert _images(panel, service) == ["lab/web:1"]


def test_a_rollback_without_a_number_passes_over_what_failed(panel: Panel) -> None:
    """After 1 → crash (paused) → 2 → crash (paused), "back" means 2."""
    service = panel.start(UpdateConfig=PAUSES)
    back = Update(image="lab/web:2", env={"LAB_CRASH_AFTER": None}, update_config={"monitor": "1s"})
    again = CRASH.model_copy(update={"update_config": RolloutConfig(monitor="5s")})
    for change in (CRASH, back, again):
        panel.do(panel.service(service.name), change)
    service = panel.service(service.name)
    foreseen = preview(panel.actor, service, Rollback())
    assert foreseen.after["TaskTemplate"]["ContainerSpec"]["Image"] == "lab/web:2"
    assert panel.do(service, Rollback()).state == State.SUCCEEDED
    assert _images(panel, service) == ["lab/web:2"]


def test_a_rollback_after_a_scale_means_the_tasks(panel: Panel) -> None:
    service = panel.start()
    panel.do(service, Update(image="lab/web:2"))
    panel.do(panel.service(service.name), Scale(replicas=2))
    foreseen = preview(panel.actor, panel.service(service.name), Rollback())
    assert foreseen.after["TaskTemplate"]["ContainerSpec"]["Image"] == "lab/web:1"
    assert foreseen.after["Mode"]["Replicated"]["Replicas"] == 2


def test_there_must_be_something_to_return_to(panel: Panel) -> None:
    service = panel.start()
    with pytest.raises(Invalid, match="no earlier revision"):
        panel.request(service, Rollback())
    with pytest.raises(Invalid, match="no revision 9"):
        panel.request(service, Rollback(revision=9))
    with pytest.raises(Invalid, match="no revision"):
        panel.request(service, Rollback(revision=2**70))


# --- Two who write -------------------------------------------------------------------------------


def _someone_else_sets(panel: Panel, service: Service, **labels: str) -> None:
    panel.swarm.change(service.engine_id, lambda spec: spec["Labels"].update(labels))


def test_a_stale_version_is_a_conflict_that_shows_both_changes(panel: Panel) -> None:
    seen = panel.start()
    _someone_else_sets(panel, seen, theirs="yes")
    service = panel.service(seen.name)
    with pytest.raises(Conflict) as caught:
        panel.request(service, Update(labels={"mine": "yes"}, version=seen.version))
    clash = caught.value.clash
    assert clash.current_version == service.version
    assert [(d.path, d.after) for d in clash.theirs] == [("Labels.theirs", "yes")]
    assert [(d.path, d.after) for d in clash.yours] == [("Labels.mine", "yes")]
    assert not Operation.objects.exists()


def test_a_newer_version_of_the_same_spec_is_no_conflict(panel: Panel) -> None:
    """The version also counts the progress of rollouts."""
    service = panel.start()
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    half_way = panel.service(service.name).version
    panel.carry_out(operation)
    service = panel.service(service.name)
    assert half_way < service.version
    assert panel.do(service, Scale(replicas=2, version=half_way)).state == State.SUCCEEDED


def test_a_change_that_comes_between_the_request_and_the_worker_wins(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Update(labels={"mine": "yes"}))
    _someone_else_sets(panel, service, theirs="yes")
    panel.carry_out(operation)
    assert operation.state == State.FAILED
    assert "nothing was changed" in operation.error
    assert operation.clash["theirs"][0]["path"] == "Labels.theirs"
    assert operation.clash["yours"][0]["path"] == "Labels.mine"
    assert panel.raw(service)["Labels"] == {"theirs": "yes"}


@pytest.mark.parametrize(
    "keeps_label", [True, False], ids=["docker-service-update", "stack-deploy"]
)
def test_a_change_during_the_rollout_is_told(panel: Panel, keeps_label: bool) -> None:
    """`docker service update` copies all labels, ours too; `docker stack deploy` sets its own."""
    service = panel.start(replicas=3)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.accepted_version is not None)

    def patch(spec: dict) -> None:  # type: ignore[type-arg]
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = "lab/web:3"
        if not keeps_label:
            del spec["Labels"][OPERATION_LABEL]

    panel.swarm.change(service.engine_id, patch)
    panel.carry_out(operation)
    assert operation.state == State.INTERRUPTED
    assert "Somebody else changed the service" in operation.error
    theirs = {d["path"]: d["after"] for d in operation.clash["theirs"]}
    assert theirs == {"TaskTemplate.ContainerSpec.Image": "lab/web:3"}


def test_two_editors_with_the_same_picture_one_of_them_is_told(panel: Panel) -> None:
    service = panel.start()
    first = panel.do(service, Update(labels={"a": "1"}, version=service.version))
    assert first.state == State.SUCCEEDED
    with pytest.raises(Conflict):
        panel.request(
            panel.service(service.name), Update(labels={"b": "2"}, version=service.version)
        )


# --- Twice the same ------------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_is_one_operation(panel: Panel) -> None:
    service = panel.start()
    first = panel.request(service, Scale(replicas=2))
    assert panel.request(service, Scale(replicas=2)) == first
    assert Operation.objects.count() == AuditEntry.objects.count() == 1
    assert panel.woken == [str(first.pk)]


def test_a_repeated_key_is_the_same_operation_even_after_its_end(panel: Panel) -> None:
    service = panel.start()
    first = panel.request(service, Scale(replicas=2), idempotency_key="k1")
    panel.carry_out(first)
    again = panel.request(panel.service(service.name), Scale(replicas=2), idempotency_key="k1")
    assert again == first
    other = Actor(user("sam"), "api")
    panel.actor = other
    with pytest.raises(Invalid, match="nothing would change"):
        panel.request(panel.service(service.name), Scale(replicas=2), idempotency_key="k1")


def test_another_change_has_to_wait(panel: Panel) -> None:
    service = panel.start()
    first = panel.request(service, Scale(replicas=2))
    with pytest.raises(Busy, match="still under way") as caught:
        panel.request(service, Update(image="lab/web:2"))
    assert caught.value.operation_id == first.pk


def test_a_scale_during_a_foreign_rollout_has_to_be_insisted_on(panel: Panel) -> None:
    service = panel.start(UpdateConfig={**BRISK, "Delay": 10**11}, replicas=2)
    panel.swarm.set_image(service.engine_id, "lab/web:2")
    panel.swarm.wait_update(service.engine_id, "updating")
    service = panel.service(service.name)
    with pytest.raises(Invalid, match="A rollout is under way") as caught:
        panel.request(service, Scale(replicas=3))
    assert caught.value.field == "insist"
    assert panel.request(service, Scale(replicas=3, insist=True)).active


# --- Cancel --------------------------------------------------------------------------------------


def test_a_cancel_before_the_sending_changes_nothing(panel: Panel) -> None:
    service = panel.start()
    version = service.version
    operation = panel.request(service, Update(image="lab/web:2"))
    _cancel(panel, operation, Cancel.STOP)
    panel.carry_out(operation)
    assert (operation.state, operation.result) == (
        State.CANCELLED,
        "Cancelled before anything was changed.",
    )
    assert panel.swarm.service(service.engine_id)["Version"]["Index"] == version
    with pytest.raises(Invalid, match="already ended"):
        _cancel(panel, operation, Cancel.BACK)


def test_a_stop_holds_the_rollout_and_a_resume_lets_it_go_on(panel: Panel) -> None:
    config = {**BRISK, "Monitor": 2 * 10**9}
    service = panel.start(replicas=3, UpdateConfig=config)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.done >= 1)
    _cancel(panel, operation, Cancel.STOP)
    at_the_stop = operation.done
    panel.carry_out(operation)
    assert operation.state == State.CANCELLED
    assert "The rollout is held" in operation.result
    assert at_the_stop <= operation.done <= at_the_stop + 1, "at most one more task is replaced"
    stopped = panel.service(service.name)
    assert stopped.health == "paused"
    images = _images(panel, service)

    resumed = panel.do(stopped, Resume())
    assert resumed.state == State.SUCCEEDED
    assert images.count("lab/web:2") == operation.done
    assert _images(panel, service) == ["lab/web:2"] * 3
    assert panel.raw(service)["UpdateConfig"] == config, "the pace from before the stop"


def test_a_cancel_back_returns_to_the_spec_before(panel: Panel) -> None:
    service = panel.start(replicas=3)
    before = panel.raw(service)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.done >= 1)
    _cancel(panel, operation, Cancel.BACK)
    panel.carry_out(operation)
    assert operation.state == State.CANCELLED
    assert operation.result.startswith("Went back to the spec before: 3 of 3")
    assert panel.raw(service) == before
    assert _images(panel, service) == ["lab/web:1"] * 3


def test_a_cancel_back_does_not_undo_what_somebody_else_did(panel: Panel) -> None:
    service = panel.start(replicas=3)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    _someone_else_sets(panel, service, theirs="yes")
    _cancel(panel, operation, Cancel.BACK)
    panel.carry_out(operation)
    assert operation.state == State.INTERRUPTED
    assert panel.raw(service)["Labels"] == {"theirs": "yes"}


def test_a_stopped_scale_stays_where_it_is(panel: Panel) -> None:
    """Its other tasks can run nowhere."""
    service = panel.start(task={"Placement": {"MaxReplicas": 2}})
    operation = panel.request(service, Scale(replicas=5))
    panel.step_until(operation, lambda: operation.done >= 1 and bool(operation.error))
    _cancel(panel, operation, Cancel.STOP)
    panel.carry_out(operation)
    assert (operation.state, operation.result) == (State.CANCELLED, "Stopped at 2 tasks.")
    assert panel.raw(service)["Mode"]["Replicated"]["Replicas"] == 2


# --- Rights and the audit trail ------------------------------------------------------------------


def test_an_intent_and_a_result_are_written_and_hold_no_secret(panel: Panel) -> None:
    service = panel.start()
    operation = panel.do(service, Update(image="lab/web:2", env={"PASSWORD": "hunter2"}))
    result, intent = AuditEntry.objects.all()
    assert (intent.phase, intent.action) == ("intent", "service.update")
    assert intent.detail == {"change": {"image": "lab/web:2", "env": ["PASSWORD"]}}
    assert (result.phase, result.outcome) == ("result", "succeeded")
    assert intent.operation == result.operation == operation.pk
    assert {intent.target, result.target} == {service.name}
    assert "hunter2" not in repr([entry.detail for entry in (intent, result)])


def test_who_may_not_is_refused_and_nothing_is_written(panel: Panel) -> None:
    service = panel.start()
    panel.actor = Actor(user("viewer", Role.VIEWER), "browser")
    with pytest.raises(Forbidden):
        panel.request(service, Scale(replicas=2))
    assert not Operation.objects.exists()


def test_a_right_that_is_withdrawn_while_it_waits_is_withdrawn(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    Grant.objects.all().delete()
    panel.carry_out(operation)
    assert operation.state == State.FAILED
    assert "withdrawn" in operation.error
    assert panel.swarm.service(service.engine_id)["Version"]["Index"] == service.version
    phases = list(AuditEntry.objects.order_by("id").values_list("phase", flat=True))
    assert phases == ["intent", "refused", "result"]


def test_a_request_that_nobody_took_up_does_not_act_hours_later(panel: Panel) -> None:
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    panel.carry_out(operation)
    assert operation.state == State.FAILED
    assert "nothing was changed" in operation.error


# --- The ways of a rollout -----------------------------------------------------------------------


def test_a_change_of_the_rollout_config_alone_restarts_nothing(panel: Panel) -> None:
    service = panel.start()
    operation = panel.do(
        service, Update(update_config=RolloutConfig(delay="3s", order="start-first"))
    )
    assert operation.state == State.SUCCEEDED
    assert panel.raw(service)["UpdateConfig"] == {
        **BRISK,
        "Delay": 3 * 10**9,
        "Order": "start-first",
    }


def test_a_start_first_update_succeeds(panel: Panel) -> None:
    service = panel.start(replicas=2, UpdateConfig={**BRISK, "Order": "start-first"})
    operation = panel.do(service, Update(image="lab/web:2"))
    assert (operation.state, operation.done, operation.total) == (State.SUCCEEDED, 2, 2)
