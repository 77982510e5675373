"""Nodes: what they tell, how they are changed, and what that does to tasks."""

from collections.abc import Iterator

import pytest

from tests.contract.swarm_api import Spec, SwarmApi, Task
from tests.engines import wait_for, wait_until

UNAVAILABLE = "no suitable node (1 node not available for new tasks)"


@pytest.fixture
def restored(swarm: SwarmApi) -> Iterator[SwarmApi]:
    """The node is active and without labels when the test is over."""
    yield swarm
    assert swarm.change_node(Availability="active", Labels={}).status == 200


def test_a_node_tells_what_it_is(swarm: SwarmApi) -> None:
    node = swarm.node()

    assert node["Spec"]["Role"] == "manager"
    assert node["Spec"]["Availability"] == "active"
    assert node["Status"]["State"] == "ready"
    assert node["ManagerStatus"]["Leader"] is True
    assert node["ManagerStatus"]["Reachability"] == "reachable"
    assert node["Description"]["Resources"]["NanoCPUs"] > 0
    assert node["Description"]["Resources"]["MemoryBytes"] > 0
    assert node["Description"]["Engine"]["EngineVersion"]
    assert node["Description"]["Platform"]["OS"] == "linux"


def test_nodes_are_found_by_id_name_and_role(swarm: SwarmApi) -> None:
    node = swarm.node()

    def found(**filters: list[str]) -> list[Spec]:
        return list(swarm.get("/nodes", filters=filters).body)

    assert found(role=["manager"]) == found(id=[node["ID"]]) == [node]
    assert found(name=[node["Description"]["Hostname"]]) == [node]
    assert found(role=["worker"]) == []
    assert swarm.get(f"/nodes/{node['Description']['Hostname']}").body == node


def test_an_update_replaces_the_whole_spec(restored: SwarmApi) -> None:
    restored.change_node(Labels={"zone": "a", "disk": "ssd"})
    labelled = restored.node()

    answer = restored.change_node(Labels={"zone": "b"})

    node = restored.node()
    assert (answer.status, answer.body) == (200, "")
    assert node["Spec"]["Labels"] == {"zone": "b"}
    assert node["Version"]["Index"] > labelled["Version"]["Index"]


def test_a_stale_version_of_a_node_is_refused(restored: SwarmApi) -> None:
    stale = restored.node()
    restored.change_node(Labels={"zone": "a"})

    answer = restored.post(
        f"/nodes/{stale['ID']}/update", stale["Spec"], version=stale["Version"]["Index"]
    )

    assert answer.status == 500
    assert answer.message == "rpc error: code = Unknown desc = update out of sequence"
    assert restored.node()["Spec"]["Labels"] == {"zone": "a"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Role": "bogus"}, 'invalid Role: "bogus"'),
        ({"Availability": "bogus"}, 'invalid Availability: "bogus"'),
        (
            {"Role": "worker"},
            "rpc error: code = FailedPrecondition desc = "
            "attempting to demote the last manager of the swarm",
        ),
    ],
)
def test_a_node_cannot_be_made_anything(
    swarm: SwarmApi, fields: dict[str, str], message: str
) -> None:
    answer = swarm.change_node(**fields)

    assert (answer.status, answer.message) == (400, message)


def test_a_manager_cannot_be_removed(swarm: SwarmApi) -> None:
    node = swarm.node()

    answer = swarm.delete(f"/nodes/{node['ID']}")

    assert (answer.status, answer.message) == (
        400,
        f"rpc error: code = FailedPrecondition desc = node {node['ID']} is a cluster manager and "
        "is a member of the raft cluster. It must be demoted to worker before removal",
    )


def explained(swarm: SwarmApi, service_id: str) -> Task:
    return wait_for(
        lambda: next((t for t in swarm.tasks(service_id) if "Err" in t["Status"]), None),
        "a task that says why it waits",
    )


def test_draining_stops_tasks_and_their_replacements_wait(restored: SwarmApi) -> None:
    service_id = restored.start()
    (old,) = restored.tasks(service_id)

    restored.change_node(Availability="drain")

    waiting = explained(restored, service_id)
    assert waiting["Status"]["Err"] == UNAVAILABLE
    wait_until(
        lambda: restored.get(f"/tasks/{old['ID']}").body["Status"]["State"] == "shutdown",
        "the drained task stops",
    )

    restored.change_node(Availability="active")
    restored.converge(service_id)


def test_draining_stops_a_global_task_until_the_node_is_active_again(
    restored: SwarmApi,
) -> None:
    service_id = restored.start(Mode={"Global": {}})

    restored.change_node(Availability="drain")
    wait_until(lambda: not restored.running(service_id), "the global task stops")
    assert restored.listed(service_id)["ServiceStatus"]["DesiredTasks"] == 0

    restored.change_node(Availability="active")
    wait_until(lambda: len(restored.running(service_id)) == 1, "the global task is back")


def test_a_paused_node_keeps_its_tasks_and_takes_no_more(restored: SwarmApi) -> None:
    service_id = restored.start()
    (kept,) = restored.tasks(service_id)

    restored.change_node(Availability="pause")
    restored.scale(service_id, 2)

    assert explained(restored, service_id)["Status"]["Err"] == UNAVAILABLE
    assert [task["ID"] for task in restored.running(service_id)] == [kept["ID"]]


def test_a_waiting_task_starts_when_a_node_gets_its_label(restored: SwarmApi) -> None:
    wanted = {"Placement": {"Constraints": ["node.labels.zone==here"]}}
    service_id = restored.create(task=wanted)
    explained(restored, service_id)

    restored.change_node(Labels={"zone": "here"})

    restored.converge(service_id)
    (task,) = restored.tasks(service_id)
    assert "Err" not in task["Status"]


def test_a_task_whose_node_loses_its_label_is_rejected(restored: SwarmApi) -> None:
    restored.change_node(Labels={"zone": "here"})
    wanted = {"Placement": {"Constraints": ["node.labels.zone==here"]}}
    service_id = restored.start(task=wanted)

    restored.change_node(Labels={})

    status = restored.task_in(service_id, "rejected")["Status"]
    assert status["Message"] == "task rejected by constraint enforcer"
    assert status["Err"] == "assigned node no longer meets constraints"
