"""Nodes that are lost, drained, cut off and come back, as the panel tells it."""

import docker
import pytest

from lab.lab import Lab
from lab.waiting import wait_until
from tests.lab.api import PATIENCE, Api

pytestmark = pytest.mark.engine
MANAGERS = ("n1", "n2", "n3")


def leader(api: Api) -> str:
    return next(name for name, node in api.nodes().items() if node["leader"])


def trouble(api: Api, lab: Lab, name: str) -> str:
    """What the panel says of this manager; nothing if it is usable."""
    errors = {manager["address"]: manager["error"] for manager in api.cluster()["managers"]}
    return str(errors[lab.engine(name).url])


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

    def all_run() -> bool:
        tasks = api.cluster()["tasks"]
        return bool(tasks["running"] == tasks["desired"] > 30)

    wait_until(all_run, "every task of the stack runs", PATIENCE)


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


def test_a_leader_that_hands_over_is_hardly_noticed(
    api: Api, swarm: docker.APIClient, lab: Lab, web: str
) -> None:
    old = leader(api)
    other = next(name for name in MANAGERS if name != old)
    with lab.engine(other).client() as client:
        (node,) = client.nodes(filters={"name": old})
        client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], "Role": "worker"})
        operation = api.do(web, "scale", replicas=12)
        api.until_succeeded(operation)
        wait_until(lambda: leader(api) != old, "there is another leader", PATIENCE)
        whole = {"running": 12, "desired": 12}
        wait_until(lambda: api.service(web)["replicas"] == whole, "twelve run", PATIENCE)
        (node,) = client.nodes(filters={"name": old})
        client.update_node(
            node["ID"], node["Version"]["Index"], {**node["Spec"], "Role": "manager"}
        )
    wait_until(lambda: api.nodes()[old]["reachability"] == "reachable", "three managers", PATIENCE)


def test_a_lost_leader_is_named_and_its_work_is_done_once(lab: Lab, api: Api, web: str) -> None:
    old = leader(api)

    lab.off(old)
    operation = api.do(web, "update", env={"ROUND": "2"})

    api.until_succeeded(operation)
    wait_until(lambda: leader(api) != old, "there is another leader", PATIENCE)
    wait_until(lambda: api.cluster()["fresh"], "the picture is fresh again", PATIENCE)
    assert "reached" in trouble(api, lab, old)
    wait_until(lambda: api.nodes()[old]["state"] == "down", "the old leader is down", PATIENCE)
    # Every write is a revision: the first spec, and the one of this operation.
    assert len(api.service(web)["revisions"]) == 2


def test_a_manager_of_the_minority_is_not_believed(lab: Lab, api: Api, web: str) -> None:
    """The panel reaches the socket of a manager that has lost its quorum, as if all were well."""
    cut = "n1"  # whose address the panel tries first

    lab.partition([["n2", "n3", "n4", "n5"], [cut]])

    wait_until(lambda: api.nodes()[cut]["state"] == "down", "n1 is told as down", PATIENCE)
    wait_until(lambda: api.cluster()["fresh"], "the majority is asked", PATIENCE)
    api.until_succeeded(api.do(web, "scale", replicas=8))
    assert cut not in api.running_on(web)
    wait_until(lambda: bool(trouble(api, lab, cut)), "n1 is named as not usable", PATIENCE)

    lab.heal()
    wait_until(lambda: api.nodes()[cut]["state"] == "ready", "n1 is back", PATIENCE)
    wait_until(lambda: not trouble(api, lab, cut), "n1 is usable again", PATIENCE)
    wait_until(lambda: len(api.running_on(web)) == 8, "eight run", PATIENCE)


def test_without_a_quorum_nothing_is_written_and_all_is_told(lab: Lab, api: Api, web: str) -> None:
    lab.partition([["n1", "n4"], ["n2"], ["n3", "n5"]])
    wait_until(lambda: not api.cluster()["fresh"], "the picture is told to be old", PATIENCE)
    assert api.cluster()["stale_because"]

    operation = api.do(web, "scale", replicas=3)
    lab.heal()

    wait_until(lambda: api.cluster()["fresh"], "the picture is fresh again", PATIENCE)
    ended = api.end_of(operation)
    desired = api.service(web)["replicas"]["desired"]
    assert (ended["state"], desired) in (("succeeded", 3), ("failed", 10)), ended
