"""What the engine tells of changes, and what it does not."""

import json
import time
from typing import Any

from tests.contract.swarm_api import SECOND, Spec, SwarmApi, quick_update, unique
from tests.engines import wait_until

Told = list[tuple[str, dict[str, str]]]


def service_events(swarm: SwarmApi, since: float, service_id: str) -> Told:
    """Actions and attributes (but the name) of a service's own events, in order."""
    events = swarm.events_since(since, type=["service"])
    return [
        (event["Action"], without_name(event))
        for event in events
        if event["Actor"]["ID"] == service_id
    ]


def without_name(event: Spec) -> dict[str, str]:
    attributes = dict(event["Actor"]["Attributes"])
    attributes.pop("name")
    return attributes


def wait_told(swarm: SwarmApi, since: float, service_id: str, expected: Told) -> None:
    def told() -> bool:
        return service_events(swarm, since, service_id) == expected

    wait_until(told, f"the events {expected}", 10)


def test_a_service_event_names_service_scope_and_time(swarm: SwarmApi) -> None:
    since = time.time()
    service_id = swarm.create(replicas=0)
    name = swarm.service(service_id)["Spec"]["Name"]
    wait_told(swarm, since, service_id, [("create", {})])

    (event,) = swarm.events_since(since, type=["service"])

    assert event["Type"] == "service"
    assert event["scope"] == "swarm"
    assert event["Actor"] == {"ID": service_id, "Attributes": {"name": name}}
    assert since * SECOND <= event["timeNano"] <= time.time_ns()
    assert event["time"] == event["timeNano"] // SECOND


def test_removing_a_service_is_told(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)
    since = time.time()

    swarm.delete(f"/services/{service_id}")

    wait_told(swarm, since, service_id, [("remove", {})])


def test_scaling_is_told_once_and_its_tasks_not_at_all(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    since = time.time()

    swarm.scale(service_id, 3)
    swarm.converge(service_id)

    scaled = ("update", {"replicas.old": "1", "replicas.new": "3"})
    assert service_events(swarm, since, service_id) == [scaled]
    kinds = {event["Type"] for event in swarm.events_since(since, scope=["swarm"])}
    assert kinds <= {"service", "node"}


def test_an_update_tells_its_image_and_its_states(swarm: SwarmApi) -> None:
    service_id = swarm.start(UpdateConfig=quick_update(Monitor=SECOND // 10))
    since = time.time()

    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")

    expected: Told = [
        ("update", {"image.old": "lab/web:1", "image.new": "lab/web:2"}),
        ("update", {"updatestate.new": "updating"}),
        ("update", {"updatestate.old": "updating", "updatestate.new": "completed"}),
    ]
    wait_told(swarm, since, service_id, expected)


def test_a_rollback_tells_its_states(swarm: SwarmApi) -> None:
    update = quick_update(Monitor=SECOND // 10)
    service_id = swarm.start(UpdateConfig=update, RollbackConfig=update)
    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")
    since = time.time()

    swarm.change(service_id, lambda spec: None, rollback="previous")
    swarm.wait_update(service_id, "rollback_completed")

    begun = {"image.old": "lab/web:2", "image.new": "lab/web:1"}
    begun |= {"updatestate.old": "completed", "updatestate.new": "rollback_started"}
    ended = {
        "updatestate.old": "rollback_started",
        "updatestate.new": "rollback_completed",
    }
    wait_told(swarm, since, service_id, [("update", begun), ("update", ended)])


def test_a_label_is_told_without_details(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)
    since = time.time()

    swarm.change(service_id, lambda spec: spec["Labels"].update(a="b"))

    wait_told(swarm, since, service_id, [("update", {})])


def test_a_node_tells_its_availability_and_not_its_labels(swarm: SwarmApi) -> None:
    since = time.time()
    swarm.change_node(Labels={"told": "no"})
    swarm.change_node(Availability="pause")
    swarm.change_node(Availability="active", Labels={})

    def told() -> list[dict[str, str]]:
        return [without_name(e) for e in swarm.events_since(since, type=["node"])]

    paused = {"availability.old": "active", "availability.new": "pause"}
    active = {"availability.old": "pause", "availability.new": "active"}
    wait_until(lambda: told() == [{}, paused, active], "the node's events", 10)


def test_secrets_configs_and_networks_are_told(swarm: SwarmApi) -> None:
    name, since = unique("told"), time.time()
    for kind, extra in (("secret", {"Data": "eA=="}), ("config", {"Data": "eA=="})):
        swarm.post(f"/{kind}s/create", {"Name": name, **extra})
        swarm.delete(f"/{kind}s/{name}")
    swarm.post("/networks/create", {"Name": name, "Driver": "overlay"})
    swarm.delete(f"/networks/{name}")

    def told() -> set[tuple[str, str]]:
        events = swarm.events_since(since, scope=["swarm"])
        mine = [e for e in events if e["Actor"]["Attributes"].get("name") == name]
        return {(event["Type"], event["Action"]) for event in mine}

    kinds = ("secret", "config", "network")
    expected = {(kind, action) for kind in kinds for action in ("create", "remove")}
    wait_until(lambda: told() >= expected, "six events", 10)


def test_containers_of_this_node_name_their_service_and_task(swarm: SwarmApi) -> None:
    since = time.time()
    service_id = swarm.start()
    (task,) = swarm.tasks(service_id)

    events = swarm.events_since(since, type=["container"])

    mine = [e for e in events if attribute(e, "com.docker.swarm.task.id") == task["ID"]]
    assert [event["Action"] for event in mine][:2] == ["create", "start"]
    for event in mine:
        assert event["scope"] == "local"
        assert event["Actor"]["ID"] == task["Status"]["ContainerStatus"]["ContainerID"]
        assert attribute(event, "com.docker.swarm.service.id") == service_id
        assert attribute(event, "image") == "lab/web:1"


def attribute(event: Spec, name: str) -> str:
    return str(event["Actor"]["Attributes"].get(name, ""))


def test_a_dying_container_tells_its_exit_code(swarm: SwarmApi) -> None:
    since = time.time()
    service_id = swarm.create(image="lab/crash:1")
    swarm.task_in(service_id, "failed")

    def codes() -> list[str]:
        events = swarm.events_since(since, type=["container"], event=["die"])
        mine = [e for e in events if attribute(e, "com.docker.swarm.service.id") == service_id]
        return [attribute(event, "exitCode") for event in mine]

    wait_until(lambda: codes() == ["3"], "the container's death", 10)


def test_a_stopped_container_is_killed_dies_and_is_stopped(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    since = time.time()
    swarm.change(service_id, lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))

    def actions() -> list[str]:
        events = swarm.events_since(since, type=["container"])
        mine = [e for e in events if attribute(e, "com.docker.swarm.service.id") == service_id]
        return [e["Action"] for e in mine if e["Action"] in ("kill", "die", "stop")]

    def whole() -> bool:  # engines differ in which of the last two they tell first
        return actions()[:1] == ["kill"] and sorted(actions()[1:]) == ["die", "stop"]

    wait_until(whole, "the end of a container", 15)


def test_events_come_live(swarm: SwarmApi) -> None:
    stream = swarm.docker.events(filters={"type": "service"}, decode=True)
    service_id = swarm.create(replicas=0)

    event: dict[str, Any] = next(stream)

    assert (event["Action"], event["Actor"]["ID"]) == ("create", service_id)
    stream.close()


def test_a_stream_that_has_only_an_end_replays_what_is_remembered(swarm: SwarmApi) -> None:
    since = time.time()
    service_id = swarm.create(replicas=0)
    wait_told(swarm, since, service_id, [("create", {})])

    response = swarm.docker.get(
        f"{swarm.docker.base_url}/events", params={"until": f"{time.time():.9f}"}, timeout=10
    )

    assert service_id in response.text


def test_a_stream_without_since_and_until_replays_nothing(swarm: SwarmApi) -> None:
    swarm.create(replicas=0)
    stream = swarm.docker.events(filters={"type": "secret"}, decode=True)
    name = unique("secret")
    swarm.post("/secrets/create", {"Name": name, "Data": "eA=="})

    assert next(stream)["Actor"]["Attributes"]["name"] == name
    stream.close()


def test_events_can_be_filtered_by_type_and_service(swarm: SwarmApi) -> None:
    since = time.time()
    service_id, other_id = swarm.create(replicas=0), swarm.create(replicas=0)
    wait_told(swarm, since, other_id, [("create", {})])

    mine = swarm.events_since(since, type=["service"], service=[service_id])
    nodes = swarm.events_since(since, type=["secret"])

    assert [event["Actor"]["ID"] for event in mine] == [service_id]
    assert nodes == []


def test_events_are_one_json_object_a_line(swarm: SwarmApi) -> None:
    since = time.time()
    swarm.create(replicas=0)
    response = swarm.docker.get(
        f"{swarm.docker.base_url}/events",
        params={"since": f"{since:.9f}", "until": f"{time.time() + 0.5:.9f}"},
        timeout=10,
    )

    assert response.headers["Content-Type"] == "application/json"
    assert all(json.loads(line)["Type"] for line in response.text.splitlines())
