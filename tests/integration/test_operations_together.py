"""Operations on a real engine when others act, too: editors, repetitions, cancels, rights."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.authorize import Actor, Forbidden
from access.models import AuditEntry, Grant
from access.policy import Role
from clusters.changes import (
    Resume,
    Scale,
    Update,
)
from clusters.models import Operation, Service
from clusters.problems import Busy, Conflict, Invalid
from clusters.specs import OPERATION_LABEL, is_held
from tests.engines import Engine
from tests.integration.panel import BRISK, Panel, user

State = Operation.State
Cancel = Operation.Cancel


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
    panel.cancel(operation, Cancel.STOP)
    panel.carry_out(operation)
    assert (operation.state, operation.result) == (
        State.CANCELLED,
        "Cancelled before anything was changed.",
    )
    assert panel.swarm.service(service.engine_id)["Version"]["Index"] == version
    with pytest.raises(Invalid, match="already ended"):
        panel.cancel(operation, Cancel.BACK)


def test_a_stop_holds_the_rollout_and_a_resume_lets_it_go_on(panel: Panel) -> None:
    config = {**BRISK, "Monitor": 2 * 10**9}
    service = panel.start(replicas=6, UpdateConfig=config)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.done >= 1)
    panel.cancel(operation, Cancel.STOP)
    at_the_stop = operation.done
    panel.carry_out(operation)
    assert operation.state == State.CANCELLED
    assert "The rollout is held" in operation.result
    # The one that was being replaced at the stop, and at most one more.
    assert at_the_stop <= operation.done <= at_the_stop + 2
    stopped = panel.service(service.name)
    assert stopped.health == "paused"
    images = panel.images(service)

    resumed = panel.do(stopped, Resume())
    assert resumed.state == State.SUCCEEDED
    assert images.count("lab/web:2") == operation.done
    assert panel.images(service) == ["lab/web:2"] * 6
    assert panel.raw(service)["UpdateConfig"] == config, "the pace from before the stop"


def test_a_cancel_back_returns_to_the_spec_before(panel: Panel) -> None:
    service = panel.start(replicas=3)
    before = panel.raw(service)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.done >= 1)
    panel.cancel(operation, Cancel.BACK)
    panel.carry_out(operation)
    assert operation.state == State.CANCELLED
    assert operation.result.startswith("Went back to the spec before: 3 of 3")
    assert panel.raw(service) == before
    assert panel.images(service) == ["lab/web:1"] * 3


def test_a_cancel_back_of_a_resume_holds_the_rollout_again(panel: Panel) -> None:
    service = panel.start(replicas=6, UpdateConfig={**BRISK, "Monitor": 2 * 10**9})
    update = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(update, lambda: update.done >= 1)
    panel.cancel(update, Cancel.STOP)
    panel.carry_out(update)
    stopped = panel.raw(service)

    resume = panel.request(panel.service(service.name), Resume())
    panel.step_until(resume, lambda: resume.accepted_version is not None)
    panel.cancel(resume, Cancel.BACK)
    panel.carry_out(resume)
    assert resume.state == State.CANCELLED
    assert resume.done < resume.total, "it is not waited for what is held"
    assert panel.raw(service) == stopped


def test_a_cancel_back_of_a_resume_after_swarms_own_pause_holds_it(
    panel: Panel, swarm_engine: Engine
) -> None:
    config = {**BRISK, "Monitor": 2 * 10**9, "FailureAction": "pause"}
    service = panel.start(replicas=6, UpdateConfig=config)
    assert panel.do(service, Update(image="lab/later:1")).state == State.FAILED
    with swarm_engine.client() as client:
        client.tag("lab/web:2", "lab/later", "1")

    resume = panel.request(panel.service(service.name), Resume())
    panel.step_until(resume, lambda: resume.accepted_version is not None)
    panel.cancel(resume, Cancel.BACK)
    panel.carry_out(resume)
    assert resume.state == State.CANCELLED
    assert resume.done < resume.total, "it is not waited for what is held"
    assert is_held(panel.raw(service))
    assert panel.do(panel.service(service.name), Resume()).state == State.SUCCEEDED
    assert panel.images(service) == ["lab/later:1"] * 6
    assert panel.raw(service)["UpdateConfig"] == config, "the pace from before"


def test_a_cancel_back_does_not_undo_what_somebody_else_did(panel: Panel) -> None:
    service = panel.start(replicas=3)
    operation = panel.request(service, Update(image="lab/web:2"))
    panel.step_until(operation, lambda: operation.accepted_version is not None)
    _someone_else_sets(panel, service, theirs="yes")
    panel.cancel(operation, Cancel.BACK)
    panel.carry_out(operation)
    assert operation.state == State.INTERRUPTED
    assert panel.raw(service)["Labels"] == {"theirs": "yes"}


def test_a_stopped_scale_stays_where_it_is(panel: Panel) -> None:
    """Its other tasks can run nowhere."""
    service = panel.start(task={"Placement": {"MaxReplicas": 2}})
    operation = panel.request(service, Scale(replicas=5))
    panel.step_until(operation, lambda: operation.done >= 1 and bool(operation.error))
    panel.cancel(operation, Cancel.STOP)
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
    Operation.objects.update(released_at=timezone.now() - timedelta(minutes=16))
    panel.carry_out(operation)
    assert operation.state == State.FAILED
    assert "nothing was changed" in operation.error
