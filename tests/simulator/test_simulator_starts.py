"""The ways to start the simulator, and what it then shows."""

from collections import Counter

import docker
import pytest

from tests.contract.swarm_api import SwarmApi, service_spec
from tests.engines import SimulatedEngine, wait_until


def test_it_says_that_it_is_simulated() -> None:
    with SimulatedEngine() as engine:
        info = SwarmApi(engine.url).get("/info").body

    assert info["OperatingSystem"] == "Simulated Swarm"
    assert "io.pilothouse.simulated=true" in info["Labels"]


def test_it_starts_with_a_large_population_running() -> None:
    with SimulatedEngine("--services", "1000", "--tasks", "10000", "--nodes", "50") as engine:
        swarm = SwarmApi(engine.url)
        services = swarm.get("/services", status="true").body
        tasks = swarm.get("/tasks").body
        nodes = swarm.get("/nodes").body

    statuses = [service["ServiceStatus"] for service in services]
    assert len(services) == 1000
    assert sum(status["RunningTasks"] for status in statuses) == 10_000
    assert sum(status["DesiredTasks"] for status in statuses) == 10_000
    assert {task["Status"]["State"] for task in tasks} == {"running"}
    assert Counter(node["Spec"]["Role"] for node in nodes) == {"manager": 3, "worker": 47}
    per_node = Counter(task["NodeID"] for task in tasks)
    assert len(per_node) == 50


def test_a_loaded_service_is_scaled_and_updated_like_any_other() -> None:
    with SimulatedEngine("--services", "3", "--tasks", "6", "--speed", "20") as engine:
        swarm = SwarmApi(engine.url)
        service_id = swarm.get("/services").body[0]["ID"]
        swarm.scale(service_id, 4)
        swarm.converge(service_id)
        swarm.set_image(service_id, "registry.example/web:2")
        swarm.wait_update(service_id, "completed")

        images = {task["Spec"]["ContainerSpec"]["Image"] for task in swarm.running(service_id)}
    assert images == {"registry.example/web:2"}


def test_the_demo_has_something_well_and_something_ill() -> None:
    with SimulatedEngine("--demo") as engine:
        swarm = SwarmApi(engine.url)
        names = {service["Spec"]["Name"]: service["ID"] for service in swarm.get("/services").body}
        assert len(swarm.get("/nodes").body) == 5
        swarm.converge(names["sutazai_ai-agent"])
        assert len(swarm.running(names["sutazai_ai-agent"])) == 10
        assert len(swarm.running(names["sutazai_haproxy"])) == 5
        swarm.task_in(names["shop_mailer"], "failed", 60)
        wait_until(
            lambda: any("Err" in t["Status"] for t in swarm.tasks(names["shop_search"])),
            "a task that says why it waits",
        )


def test_the_demos_services_keep_talking() -> None:
    with SimulatedEngine("--demo", "--speed", "20") as engine:
        client = docker.APIClient(engine.url, version="auto", timeout=20)
        stream = client.service_logs("shop_web", stdout=True, stderr=True, follow=True, tail=0)

        assert next(stream)
        client.close()


@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        (["--api-version", "1.24"], "1.24"),
        (["--api-version", "1.44"], "1.44"),
        (["--api-version", "1.52", "--min-api-version", "1.44"], "1.52"),
    ],
)
def test_it_speaks_up_to_a_version(arguments: list[str], version: str) -> None:
    with SimulatedEngine(*arguments) as engine:
        answer = SwarmApi(engine.url).get("/version").body

    assert answer["ApiVersion"] == version


def test_an_engine_that_is_too_new_refuses_an_old_client() -> None:
    with SimulatedEngine("--api-version", "1.52", "--min-api-version", "1.44") as engine:
        answer = SwarmApi(engine.url).get("/v1.41/services")

    assert answer.status == 400
    assert answer.message.startswith("client version 1.41 is too old.")


def test_an_engine_outside_swarm_mode_can_be_initialised() -> None:
    with SimulatedEngine("--inactive") as engine:
        swarm = SwarmApi(engine.url)
        before = swarm.get("/info").body["Swarm"]
        refused = swarm.get("/services")
        answer = swarm.post("/swarm/init", {"ListenAddr": "0.0.0.0:2377"})

        assert before["LocalNodeState"] == "inactive"
        assert refused.status == 503
        assert refused.message.startswith("This node is not a swarm manager.")
        assert answer.status == 200
        assert swarm.node()["ID"] == answer.body
        assert swarm.get("/services").body == []


def test_fields_that_nobody_knows_yet_survive() -> None:
    spec = service_spec(replicas=0, container={"OomScoreAdj": 7}, Future={"a": [1, None, {}]})
    with SimulatedEngine() as engine:
        swarm = SwarmApi(engine.url)
        service_id = swarm.create(spec)
        swarm.scale(service_id, 1)
        stored = swarm.service(service_id)["Spec"]

    assert stored["TaskTemplate"]["ContainerSpec"]["OomScoreAdj"] == 7
    assert stored["Future"] == {"a": [1, None, {}]}


def test_an_absurd_number_of_replicas_does_not_stop_it() -> None:
    with SimulatedEngine() as engine:
        swarm = SwarmApi(engine.url)
        service_id = swarm.create(replicas=10**18)

        assert swarm.listed(service_id)["ServiceStatus"]["DesiredTasks"] == 10**18
        swarm.delete(f"/services/{service_id}")
        assert swarm.get("/_ping").status == 200
