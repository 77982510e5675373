"""Nodes that are lost, drained and come back, as the panel tells it."""

import docker
import pytest

from lab.lab import Lab
from lab.waiting import wait_until
from tests.lab.api import PATIENCE, Api

pytestmark = pytest.mark.engine
MANAGERS = ("n1", "n2", "n3")


def test_the_stack_is_there_as_the_guide_has_it(api: Api) -> None:
    cluster, nodes = api.cluster(), api.nodes()
    assert cluster["fresh"]
    assert {name for name, node in nodes.items() if node["role"] == "manager"} == {*MANAGERS}
    assert nodes["n1"]["labels"].items() >= {"consul": "server1", "postgres": "primary"}.items()
    assert nodes["n4"]["labels"]["gpu"] == "true"
    assert [stack["name"] for stack in cluster["stacks"]] == ["sutazai"]
    assert {"ai-mesh", "data-tier", "cache-tier", "monitoring"} <= {
        network["name"] for network in cluster["networks"]
    }
    # After a lost node is back, Swarm takes a minute to fill it again, on a busy machine more.
    api.until_complete(2 * PATIENCE)
    tasks = api.cluster()["tasks"]
    assert tasks["running"] == tasks["desired"] > 30


def test_tasks_of_a_lost_node_are_not_counted_and_run_elsewhere(
    lab: Lab, api: Api, web: str
) -> None:
    """Swarm itself goes on calling the tasks of a dead node running."""
    assert "n5" in api.running_on(web)

    lab.off("n5")

    wait_until(lambda: api.nodes()["n5"]["state"] == "down", "n5 is down", PATIENCE)
    assert "n5" not in api.running_on(web)
    wait_until(lambda: api.service(web)["replicas"]["running"] == 10, "ten run", PATIENCE)
    assert "n5" not in api.running_on(web)
    lost = [task for task in api.service(web)["tasks"] if task["node"] == "n5"]
    assert {task["state"] for task in lost} <= {"lost", "orphaned", "shutdown"}, lost

    lab.on("n5")
    wait_until(lambda: api.nodes()["n5"]["state"] == "ready", "n5 is back", PATIENCE)
    wait_until(lambda: len(api.running_on(web)) == 10, "ten run", PATIENCE)


def set_availability(swarm: docker.APIClient, name: str, availability: str) -> None:
    for node in swarm.nodes(filters={"name": name}):
        spec = {**node["Spec"], "Availability": availability}
        swarm.update_node(node["ID"], node["Version"]["Index"], spec)


def test_a_drained_node_loses_its_tasks_to_others(
    api: Api, swarm: docker.APIClient, web: str
) -> None:
    set_availability(swarm, "n4", "drain")
    wait_until(lambda: api.nodes()["n4"]["availability"] == "drain", "the panel sees the drain")
    wait_until(lambda: "n4" not in api.running_on(web), "n4 is empty", PATIENCE)
    wait_until(lambda: len(api.running_on(web)) == 10, "ten run elsewhere", PATIENCE)
    set_availability(swarm, "n4", "active")
