"""Operations on a real engine, from the request to their true result."""

import pytest
from django.db.models.functions import Now

from access.models import AuditEntry
from clusters.changes import (
    Limits,
    Resources,
    Restart,
    Rollback,
    RolloutConfig,
    Scale,
    Update,
)
from clusters.models import Cluster, Operation, Revision
from clusters.operations.carry_out import advance
from clusters.operations.previews import preview
from clusters.problems import Invalid
from tests.engines import wait_until
from tests.integration.panel import BRISK, Panel

State = Operation.State
# Long enough for a task to start and to fail on a busy machine.
PAUSES = {**BRISK, "Monitor": 5 * 10**9}
ROLLS_BACK = {**PAUSES, "FailureAction": "rollback"}
CRASH = Update(image="lab/crash:1", env={"LAB_CRASH_AFTER": "0"})


# --- Scale ---------------------------------------------------------------------------------------


def test_a_scale_up_and_down_and_to_none(panel: Panel) -> None:
    service = panel.start(replicas=2)
    kept = panel.task_ids(service)
    for replicas, tasks in ((4, 4), (1, 1), (0, 0)):
        operation = panel.do(panel.service(service.name), Scale(replicas=replicas))
        assert (operation.state, operation.error) == (State.SUCCEEDED, "")
        assert operation.done == operation.total
        assert len(panel.swarm.running(service.engine_id)) == tasks
        if replicas == 4:
            assert kept <= panel.task_ids(service), "a scale restarts nothing"
    assert operation.result == "Scaled to 0: 0 of 0 tasks run."


def test_an_operation_ends_when_its_pages_show_it(panel: Panel) -> None:
    service = panel.start(replicas=1)
    operation = panel.request(service, Scale(replicas=2))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    wait_until(lambda: len(panel.swarm.running(service.engine_id)) == 2, "the scale", 30)
    Cluster.objects.update(seen_at=Now())  # a watcher is awake, but has not stored it yet

    for _ in range(5):
        Operation.objects.update(next_step_at=Now())
        advance(str(operation.pk), lambda cluster: panel.engine, "w")
        operation.refresh_from_db()
        assert operation.active

    panel.look()
    Operation.objects.update(next_step_at=Now())
    advance(str(operation.pk), lambda cluster: panel.engine, "w")
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED


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
    assert panel.images(service) == ["lab/web:2"] * 3
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
    tasks = panel.task_ids(service)
    operation = panel.do(service, Update(labels={"team": "blue"}))
    assert operation.state == State.SUCCEEDED
    assert operation.result.startswith("The spec was changed; no task had to restart.")
    assert panel.task_ids(service) == tasks


def test_a_restart_replaces_every_task_by_one_of_the_same_spec(panel: Panel) -> None:
    service = panel.start(replicas=2)
    tasks = panel.task_ids(service)
    operation = panel.do(service, Restart())
    assert (operation.state, operation.done) == (State.SUCCEEDED, 2)
    assert not tasks & panel.task_ids(service)
    assert panel.images(service) == ["lab/web:1"] * 2


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
    assert panel.images(service) == ["lab/web:1"] * 2

    panel.do(panel.service(service.name), Rollback(revision=1, keep_replicas=False))
    assert panel.images(service) == ["lab/web:1"]


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
    assert panel.images(service) == ["lab/web:2"]


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
