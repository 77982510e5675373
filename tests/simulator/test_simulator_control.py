"""Faults on demand: the endpoint that no engine has."""

import time
from collections.abc import Iterator

import docker
import pytest
import requests.exceptions

from tests.contract.swarm_api import SwarmApi
from tests.engines import SimulatedEngine, wait_until


@pytest.fixture(scope="module")
def engine() -> Iterator[SimulatedEngine]:
    with SimulatedEngine("--nodes", "3", "--managers", "1", "--speed", "5") as engine:
        yield engine


@pytest.fixture
def swarm(engine: SimulatedEngine) -> Iterator[SwarmApi]:
    swarm = SwarmApi(engine.url)
    yield swarm
    swarm.remove_services()
    swarm.close()


def test_a_task_can_be_made_to_fail(engine: SimulatedEngine, swarm: SwarmApi) -> None:
    service_id = swarm.start()
    (task,) = swarm.tasks(service_id)

    status = engine.post(f"/_simulator/tasks/{task['ID']}/fail", '{"message": "out of memory"}')

    assert status == 200
    failed = swarm.get(f"/tasks/{task['ID']}").body["Status"]
    assert (failed["State"], failed["Err"]) == ("failed", "out of memory")
    swarm.converge(service_id)
    assert len(swarm.tasks(service_id)) == 2


def test_a_task_that_does_not_run_cannot_fail(engine: SimulatedEngine) -> None:
    assert engine.post("/_simulator/tasks/nowhere/fail") == 404


def test_a_lost_manager_is_unreachable(engine: SimulatedEngine, swarm: SwarmApi) -> None:
    engine.post("/_simulator/nodes/manager-1/down")
    lost = swarm.get("/nodes/manager-1").body

    engine.post("/_simulator/nodes/manager-1/up")
    back = swarm.get("/nodes/manager-1").body

    assert lost["Status"]["State"] == "down"
    assert lost["ManagerStatus"]["Reachability"] == "unreachable"
    assert back["Status"]["State"] == "ready"
    assert back["ManagerStatus"]["Reachability"] == "reachable"


def test_tasks_of_a_lost_node_move(engine: SimulatedEngine, swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=6)
    lost = swarm.get("/nodes/worker-2").body["ID"]

    engine.post("/_simulator/nodes/worker-2/down")

    def moved() -> bool:
        elsewhere = [t for t in swarm.running(service_id) if t["NodeID"] != lost]
        return len(elsewhere) == 6

    wait_until(moved, "six tasks run elsewhere")
    engine.post("/_simulator/nodes/worker-2/up")
    swarm.converge(service_id)


def test_events_can_be_lost(engine: SimulatedEngine, swarm: SwarmApi) -> None:
    since = time.time()
    engine.post("/_simulator/events/drop/2")

    for _ in range(3):
        swarm.create(replicas=0)

    def told() -> int:
        return len(swarm.events_since(since, type=["service"]))

    wait_until(lambda: told() == 1, "one event of three")


def test_an_engine_can_hang_for_a_while(engine: SimulatedEngine) -> None:
    client = docker.APIClient(engine.url, version="1.41", timeout=0.5)

    engine.post("/_simulator/hang/1.5")

    with pytest.raises(requests.exceptions.ReadTimeout):
        client.ping()
    patient = docker.APIClient(engine.url, version="1.41", timeout=10)
    assert patient.ping() is True
    client.close()
    patient.close()


def test_a_hang_can_be_ended(engine: SimulatedEngine, swarm: SwarmApi) -> None:
    engine.post("/_simulator/hang/600")

    engine.post("/_simulator/hang/0")

    assert swarm.get("/_ping").status == 200
