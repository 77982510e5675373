"""Rolling updates that fail, and their ways back."""

from tests.contract.swarm_api import SECOND, SwarmApi, image_of, images, quick_update
from tests.engines import wait_until

BAD = "lab/crash:1"


def test_a_failing_update_pauses_and_names_the_task(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=3, UpdateConfig=quick_update(Monitor=2 * SECOND))

    swarm.set_image(service_id, BAD)

    service = swarm.wait_update(service_id, "paused")
    status = service["UpdateStatus"]
    prefix = "update paused due to failure or early termination of task "
    assert status["Message"].startswith(prefix)
    task = swarm.get(f"/tasks/{status['Message'].removeprefix(prefix)}").body
    assert task["Status"]["State"] == "failed"
    assert task["Spec"]["ContainerSpec"]["Image"] == BAD
    assert "CompletedAt" not in status
    assert image_of(service) == BAD
    assert images(swarm.running(service_id))["lab/web:1"] >= 1


def test_a_write_resumes_a_paused_update(swarm: SwarmApi) -> None:
    """So whoever scales a paused, failed rollout carries it on."""
    service_id = swarm.start(replicas=3, UpdateConfig=quick_update(Monitor=2 * SECOND))
    swarm.set_image(service_id, BAD)
    swarm.wait_update(service_id, "paused")

    swarm.scale(service_id, 4)

    assert swarm.wait_update(service_id, "updating", 5)


def test_a_failing_update_goes_on_if_told_to(swarm: SwarmApi) -> None:
    update = quick_update(FailureAction="continue", Parallelism=0)
    service_id = swarm.start(replicas=2, UpdateConfig=update)

    swarm.set_image(service_id, BAD)

    status = swarm.wait_update(service_id, "completed")["UpdateStatus"]
    assert status["Message"] == "update completed"


def test_failures_within_the_ratio_are_tolerated(swarm: SwarmApi) -> None:
    update = quick_update(MaxFailureRatio=1, Parallelism=0, Monitor=SECOND)
    service_id = swarm.start(replicas=2, UpdateConfig=update)

    swarm.set_image(service_id, BAD)

    assert swarm.wait_update(service_id, "completed")


def test_a_failing_update_rolls_back_by_itself(swarm: SwarmApi) -> None:
    update = quick_update(FailureAction="rollback", Monitor=2 * SECOND)
    rollback = quick_update(Monitor=SECOND // 10)
    restarts = {"RestartPolicy": {"Condition": "any", "Delay": SECOND // 2}}
    service_id = swarm.start(
        replicas=2, task=restarts, UpdateConfig=update, RollbackConfig=rollback
    )
    original = swarm.service(service_id)

    swarm.set_image(service_id, BAD)

    service = swarm.wait_update(service_id, "rollback_completed")
    status = service["UpdateStatus"]
    assert status["Message"] == "rollback completed"
    assert status["StartedAt"] < status["CompletedAt"]
    assert service["Spec"] == original["Spec"]
    assert "PreviousSpec" not in service
    swarm.converge(service_id)
    assert images(swarm.running(service_id)) == {"lab/web:1": 2}


def test_an_automatic_rollback_names_the_task_while_it_runs(swarm: SwarmApi) -> None:
    update = quick_update(FailureAction="rollback", Monitor=2 * SECOND, Parallelism=2)
    rollback = quick_update(Monitor=2 * SECOND, Delay=SECOND)
    service_id = swarm.start(replicas=3, UpdateConfig=update, RollbackConfig=rollback)

    swarm.set_image(service_id, BAD)

    def told() -> bool:
        status = swarm.service(service_id).get("UpdateStatus", {})
        prefix = "update rolled back due to failure or early termination of task "
        message = str(status.get("Message"))
        return status.get("State") == "rollback_started" and message.startswith(prefix)

    wait_until(told, "the rollback names the task")


def test_a_rollback_by_hand_swaps_the_specs(swarm: SwarmApi) -> None:
    update = quick_update(Monitor=SECOND // 10)
    service_id = swarm.start(UpdateConfig=update, RollbackConfig=update)
    swarm.set_image(service_id, "lab/web:2")
    updated = swarm.wait_update(service_id, "completed")

    swarm.change(service_id, lambda spec: None, rollback="previous")

    status = swarm.service(service_id)["UpdateStatus"]
    assert (status["State"], status["Message"]) == (
        "rollback_started",
        "manually requested rollback",
    )
    service = swarm.wait_update(service_id, "rollback_completed")
    assert service["UpdateStatus"]["Message"] == "rollback completed"
    assert (service["Spec"], service["PreviousSpec"]) == (
        updated["PreviousSpec"],
        updated["Spec"],
    )
    assert images(swarm.running(service_id)) == {"lab/web:1": 1}


def test_a_failing_rollback_pauses(swarm: SwarmApi) -> None:
    quick = {"RestartPolicy": {"Condition": "any", "Delay": 30 * SECOND}}
    update = quick_update(FailureAction="continue", Monitor=SECOND // 10)
    service_id = swarm.create(
        image=BAD,
        task=quick,
        UpdateConfig=update,
        RollbackConfig=quick_update(Monitor=2 * SECOND),
    )
    swarm.task_in(service_id, "failed")
    swarm.set_image(service_id, "lab/web:1")
    swarm.wait_update(service_id, "completed")
    swarm.converge(service_id)

    swarm.change(service_id, lambda spec: None, rollback="previous")

    status = swarm.wait_update(service_id, "rollback_paused")["UpdateStatus"]
    assert status["Message"].startswith(
        "update paused due to failure or early termination of task "
    )


def test_rolling_back_after_a_scale_brings_back_the_count_alone(swarm: SwarmApi) -> None:
    """Every write overwrites the previous spec, a scale too."""
    service_id = swarm.start(UpdateConfig=quick_update(Monitor=SECOND // 10))
    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")
    swarm.scale(service_id, 2)

    swarm.change(service_id, lambda spec: None, rollback="previous")

    service = swarm.wait_update(service_id, "rollback_completed")
    assert image_of(service) == "lab/web:2"
    assert service["Spec"]["Mode"] == {"Replicated": {"Replicas": 1}}
