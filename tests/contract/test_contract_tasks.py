"""How tasks live, fail, wait and are found."""

import pytest

from tests.contract.swarm_api import SECOND, SwarmApi, Task, crash_after
from tests.engines import wait_for, wait_until

LIFE = ["new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"]
QUICK_RESTART = {"RestartPolicy": {"Condition": "any", "Delay": SECOND // 5}}


def test_a_task_goes_through_its_states_in_order(swarm: SwarmApi) -> None:
    service_id = swarm.create()
    seen: list[str] = []

    def runs() -> bool:
        for task in swarm.tasks(service_id):
            if not seen or seen[-1] != task["Status"]["State"]:
                seen.append(task["Status"]["State"])
        return bool(seen) and seen[-1] == "running"

    wait_until(runs, "the task runs")
    assert seen == sorted(seen, key=LIFE.index)
    assert len(set(seen)) == len(seen)


def test_a_running_task_names_its_node_slot_and_container(swarm: SwarmApi) -> None:
    service_id = swarm.start()

    (task,) = swarm.tasks(service_id)
    status = task["Status"]
    assert task["ServiceID"] == service_id
    assert (task["Slot"], task["NodeID"]) == (1, swarm.node()["ID"])
    assert (task["DesiredState"], status["State"], status["Message"]) == (
        "running",
        "running",
        "started",
    )
    assert len(status["ContainerStatus"]["ContainerID"]) == 64
    assert status["ContainerStatus"]["PID"] > 0
    assert status["ContainerStatus"]["ExitCode"] == 0
    assert status["PortStatus"] == {}
    assert "Err" not in status
    assert "Runtime" not in task["Spec"]


def test_slots_are_numbered_from_one(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=3)

    assert sorted(task["Slot"] for task in swarm.tasks(service_id)) == [1, 2, 3]


def test_a_crashing_task_tells_why_and_is_replaced_in_its_slot(swarm: SwarmApi) -> None:
    service_id = swarm.create(image="lab/crash:1", task=QUICK_RESTART)

    def failed_and_replaced() -> list[Task]:
        tasks = swarm.tasks(service_id)
        ended = [task for task in tasks if task["DesiredState"] == "shutdown"]
        return ended if len(tasks) > len(ended) else []

    failed = wait_for(failed_and_replaced, "a failed task and its replacement")[0]
    status = failed["Status"]
    assert (status["State"], status["Message"], status["Err"]) == (
        "failed",
        "started",
        "task: non-zero exit (3)",
    )
    assert status["ContainerStatus"]["ExitCode"] == 3
    assert status["ContainerStatus"]["PID"] == 0
    assert len(status["ContainerStatus"]["ContainerID"]) == 64
    assert {task["Slot"] for task in swarm.tasks(service_id)} == {1}


def test_the_replacement_waits_ready_for_the_restart_delay(swarm: SwarmApi) -> None:
    policy = {"RestartPolicy": {"Condition": "any", "Delay": 3 * SECOND}}
    service_id = swarm.create(image="lab/crash:1", task=policy)

    def waiting() -> list[Task]:
        return swarm.tasks(service_id, **{"desired-state": ["ready"]})

    (task,) = wait_for(waiting, "a replacement in desired state ready")
    assert task["DesiredState"] == "ready"
    assert task["Status"]["State"] in LIFE[: LIFE.index("ready") + 1]


def test_a_slot_remembers_its_last_five_tasks(swarm: SwarmApi) -> None:
    policy = {"RestartPolicy": {"Condition": "any", "Delay": SECOND // 20}}
    service_id = swarm.create(image="lab/crash:1", container=crash_after(0), task=policy)
    seen: set[str] = set()

    def many_restarts() -> bool:
        seen.update(task["ID"] for task in swarm.tasks(service_id))
        return len(seen) >= 7

    wait_until(many_restarts, "seven tasks in one slot", 40)
    swarm.scale(service_id, 0)
    wait_until(lambda: len(swarm.tasks(service_id)) <= 5, "the history is cut to five")


def test_a_missing_image_is_rejected(swarm: SwarmApi) -> None:
    service_id = swarm.create(image="nowhere/missing:1", task=QUICK_RESTART)

    status = swarm.task_in(service_id, "rejected")["Status"]
    assert status["Message"] == "preparing"
    assert status["Err"] == "No such image: nowhere/missing:1"
    assert status["ContainerStatus"] == {"ContainerID": "", "PID": 0, "ExitCode": 0}


def test_an_unhealthy_container_fails_its_task(swarm: SwarmApi) -> None:
    service_id = swarm.create(image="lab/unhealthy:1")

    status = swarm.task_in(service_id, "failed")["Status"]
    assert status["Err"] == "task: non-zero exit (137): dockerexec: unhealthy container"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (
            {"Placement": {"Constraints": ["node.labels.zone==nowhere"]}},
            "scheduling constraints not satisfied on 1 node",
        ),
        (
            {"Resources": {"Reservations": {"NanoCPUs": 10**12}}},
            "insufficient resources on 1 node",
        ),
    ],
)
def test_a_task_without_suitable_node_waits_and_says_why(
    swarm: SwarmApi, task: dict[str, object], reason: str
) -> None:
    service_id = swarm.create(task=task)

    def explained() -> Task | None:
        return next((t for t in swarm.tasks(service_id) if "Err" in t["Status"]), None)

    waiting = wait_for(explained, "an explanation")
    status = waiting["Status"]
    assert (status["State"], status["Message"]) == ("pending", "pending task scheduling")
    assert status["Err"] == f"no suitable node ({reason})"
    assert "NodeID" not in waiting
    assert "ContainerStatus" not in status


def test_a_limit_of_replicas_per_node(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=2, task={"Placement": {"MaxReplicas": 1}})

    def explained() -> str:
        errors = [task["Status"].get("Err") for task in swarm.tasks(service_id)]
        return next((error for error in errors if error), "")

    assert wait_for(explained, "an explanation") == (
        "no suitable node (max replicas per node limit exceed)"
    )


@pytest.mark.parametrize("condition", ["none", "on-failure"])
def test_a_task_that_ended_well_is_not_restarted(swarm: SwarmApi, condition: str) -> None:
    service_id = swarm.create(
        image="lab/crash:1",
        container=crash_after(0, code=0),
        task={"RestartPolicy": {"Condition": condition, "Delay": SECOND // 10}},
    )

    status = swarm.task_in(service_id, "complete")["Status"]
    assert status["Message"] == "finished"
    assert "Err" not in status
    wait_until(lambda: swarm.states(service_id) == [("shutdown", "complete")], "it is left alone")
    assert swarm.listed(service_id)["ServiceStatus"] == {
        "RunningTasks": 0,
        "DesiredTasks": 1,
        "CompletedTasks": 0,
    }


def test_restarts_end_after_max_attempts(swarm: SwarmApi) -> None:
    policy = {"Condition": "any", "Delay": SECOND // 10, "MaxAttempts": 1}
    service_id = swarm.create(
        image="lab/crash:1", container=crash_after(0), task={"RestartPolicy": policy}
    )

    given_up = [("shutdown", "failed")] * 2
    wait_until(lambda: swarm.states(service_id) == given_up, "the restarts are used up")


# Scaling and removing


def test_scaling_up_keeps_the_tasks_and_adds_some(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2)
    before = {task["ID"] for task in swarm.tasks(service_id)}

    swarm.scale(service_id, 4)
    swarm.converge(service_id)

    after = {task["ID"] for task in swarm.tasks(service_id)}
    assert before < after
    assert len(after) == 4
    assert "UpdateStatus" not in swarm.service(service_id)


def test_scaling_down_removes_tasks_without_history(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=3)

    swarm.scale(service_id, 1)

    wait_until(
        lambda: (
            sorted(swarm.states(service_id))
            in ([("remove", "running")] * 2 + [("running", "running")], [("running", "running")])
        ),
        "two tasks are to be removed",
    )
    wait_until(lambda: swarm.states(service_id) == [("running", "running")], "they are forgotten")


def test_scaling_to_zero_leaves_no_task(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2)

    swarm.scale(service_id, 0)

    wait_until(lambda: not swarm.tasks(service_id), "no task is left")
    assert swarm.listed(service_id)["ServiceStatus"]["DesiredTasks"] == 0


def test_a_removed_service_is_gone_at_once_and_its_tasks_soon(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    (task,) = swarm.tasks(service_id)

    assert swarm.delete(f"/services/{service_id}").status == 200

    assert swarm.get(f"/services/{service_id}").status == 404
    assert swarm.get("/tasks", filters={"service": [service_id]}).status == 404
    wait_until(lambda: swarm.get(f"/tasks/{task['ID']}").status == 404, "the task is gone")


# Global services


def test_a_global_service_has_one_task_per_node_and_no_slots(swarm: SwarmApi) -> None:
    service_id = swarm.start(Mode={"Global": {}})

    (task,) = swarm.tasks(service_id)
    assert "Slot" not in task
    assert task["NodeID"] == swarm.node()["ID"]
    assert swarm.listed(service_id)["ServiceStatus"]["DesiredTasks"] == 1
