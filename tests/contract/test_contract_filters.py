"""How services and tasks are found, and what cannot be asked for."""

import pytest

from tests.contract.swarm_api import SECOND, SwarmApi


def test_tasks_are_found_by_service_name_and_id(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    name = swarm.service(service_id)["Spec"]["Name"]

    by_id = swarm.get("/tasks", filters={"service": [service_id]}).body
    by_name = swarm.get("/tasks", filters={"service": [name]}).body
    old_form = swarm.get("/tasks", filters={"service": {name: True}}).body

    assert by_id == by_name == old_form
    assert len(by_id) == 1


def test_tasks_are_found_by_node_name_and_label(swarm: SwarmApi) -> None:
    service_id = swarm.start(Labels={"com.docker.stack.namespace": "found"})
    name = swarm.service(service_id)["Spec"]["Name"]
    (task,) = swarm.tasks(service_id)

    def found(**filters: list[str]) -> list[str]:
        return [task["ID"] for task in swarm.get("/tasks", filters=filters).body]

    assert task["ID"] in found(node=[task["NodeID"]])
    assert task["ID"] in found(node=[swarm.node()["Description"]["Hostname"]])
    assert found(name=[f"{name}.1"]) == [task["ID"]]
    assert found(name=[f"{name}.2"]) == []
    assert found(id=[task["ID"][:12]]) == [task["ID"]]
    assert found(label=["com.docker.stack.namespace=found"]) == [task["ID"]]
    assert found(label=["com.docker.stack.namespace=lost"]) == []


def test_tasks_are_found_by_desired_state(swarm: SwarmApi) -> None:
    service_id = swarm.start(UpdateConfig={"Parallelism": 1, "Monitor": SECOND // 10})
    (old,) = swarm.tasks(service_id)

    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")

    def found(*wanted: str) -> set[str]:
        tasks = swarm.tasks(service_id, **{"desired-state": list(wanted)})
        return {task["ID"] for task in tasks}

    assert found("shutdown") == {old["ID"]}
    assert len(found("running")) == 1
    assert found("running", "shutdown") == found("running") | {old["ID"]}
    assert found("ready") == set()


def test_up_to_date_tasks_are_those_that_an_update_would_keep(swarm: SwarmApi) -> None:
    service_id = swarm.start(UpdateConfig={"Parallelism": 1, "Monitor": SECOND // 10})
    swarm.scale(service_id, 2)
    swarm.converge(service_id)
    assert len(swarm.tasks(service_id, **{"_up-to-date": ["true"]})) == 2

    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")

    fresh = swarm.tasks(service_id, **{"_up-to-date": ["true"]})
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in fresh} == {"lab/web:2"}


def test_services_are_found_by_the_beginning_of_their_name(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0, Labels={"tier": "front"})
    name = swarm.service(service_id)["Spec"]["Name"]

    def found(**filters: list[str]) -> list[str]:
        return [service["ID"] for service in swarm.get("/services", filters=filters).body]

    assert found(name=[name]) == found(name=[name[:9]]) == [service_id]
    assert found(name=[name[1:]]) == []
    assert found(label=["tier=front"]) == found(label=["tier"]) == [service_id]
    assert found(label=["tier=back"]) == []
    assert found(mode=["replicated"]) == [service_id]
    assert found(mode=["global"]) == []
    assert swarm.get(f"/services/{name}").body["ID"] == service_id


@pytest.mark.parametrize("kind", ["services", "tasks", "nodes", "networks", "secrets", "configs"])
def test_an_unknown_filter(swarm: SwarmApi, kind: str) -> None:
    answer = swarm.get(f"/{kind}", filters={"bogus": ["x"]})

    assert (answer.status, answer.message.lower()) == (400, "invalid filter 'bogus'")


def test_a_filter_that_is_no_json(swarm: SwarmApi) -> None:
    answer = swarm.get("/services", filters="bad")

    old = "invalid character 'b' looking for beginning of value"
    assert (answer.status, answer.message) == (400, "invalid filter" if swarm.modern else old)


def test_a_task_filter_by_what_does_not_exist(swarm: SwarmApi) -> None:
    by_service = swarm.get("/tasks", filters={"service": ["nowhere"]})
    by_node = swarm.get("/tasks", filters={"node": ["nowhere"]})
    by_state = swarm.get("/tasks", filters={"desired-state": ["bogus"]})

    assert (by_service.status, by_service.message) == (404, "service nowhere not found")
    assert (by_node.status, by_node.message) == (404, "node nowhere not found")
    assert (by_state.status, by_state.message) == (500, "Invalid desired-state filter: 'bogus'")
