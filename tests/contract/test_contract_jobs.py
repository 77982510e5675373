"""Jobs: services whose tasks end."""

from collections.abc import Callable
from typing import Any

from tests.contract.swarm_api import SwarmApi, crash_after
from tests.engines import wait_until

ENDS_WELL: dict[str, Any] = {"image": "lab/crash:1", "container": crash_after(0, code=0)}


def completed(swarm: SwarmApi, service_id: str, count: int) -> Callable[[], bool]:
    return lambda: swarm.listed(service_id)["ServiceStatus"]["CompletedTasks"] == count


def test_a_replicated_job_runs_until_its_completions(swarm: SwarmApi) -> None:
    mode = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}}
    service_id = swarm.create(Mode=mode, **ENDS_WELL)

    wait_until(completed(swarm, service_id, 3), "three completions")

    tasks = swarm.tasks(service_id)
    assert sorted(task.get("Slot", 0) for task in tasks) == [0, 1, 2]
    assert all(task["JobIteration"] == {} for task in tasks)
    assert swarm.states(service_id) == [("complete", "complete")] * 3
    assert swarm.service(service_id)["JobStatus"]["JobIteration"] == {}


def test_an_update_runs_a_job_again(swarm: SwarmApi) -> None:
    service_id = swarm.create(Mode={"ReplicatedJob": {}}, **ENDS_WELL)
    wait_until(completed(swarm, service_id, 1), "the first run completes")

    swarm.change(service_id, lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))

    assert swarm.service(service_id)["JobStatus"]["JobIteration"] == {"Index": 1}
    wait_until(
        lambda: (
            sorted(task["JobIteration"].get("Index", 0) for task in swarm.tasks(service_id))
            == [0, 1]
        ),
        "a task of the second run",
    )
    wait_until(completed(swarm, service_id, 1), "the second run completes")
    assert "UpdateStatus" not in swarm.service(service_id)


def test_a_global_job_runs_once_per_node(swarm: SwarmApi) -> None:
    service_id = swarm.create(Mode={"GlobalJob": {}}, **ENDS_WELL)

    wait_until(completed(swarm, service_id, 1), "it completes on the node")
    assert swarm.states(service_id) == [("complete", "complete")]
