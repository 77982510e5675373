"""Rolling updates, their failures and their ways back."""

from tests.contract.swarm_api import SECOND, SwarmApi, Task, image_of, images, quick_update
from tests.engines import wait_until


def snapshots(swarm: SwarmApi, service_id: str, until: str) -> list[list[Task]]:
    """The tasks as they were seen, again and again, until the update is in the state."""
    seen: list[list[Task]] = []

    def over() -> bool:
        state = swarm.update_state(service_id)
        seen.append(swarm.tasks(service_id))
        return state == until

    wait_until(over, f"update state {until}", 60)
    return seen


def is_meant_to_run(task: Task) -> bool:
    return str(task["DesiredState"]) == "running"


def has_ended(task: Task) -> bool:
    return task["Status"]["State"] in ("shutdown", "complete", "failed", "rejected")


def test_an_update_completes_with_its_times_and_message(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update())
    before = swarm.service(service_id)
    assert "UpdateStatus" not in before

    swarm.set_image(service_id, "lab/web:2")

    service = swarm.wait_update(service_id, "completed")
    status = service["UpdateStatus"]
    assert status["Message"] == "update completed"
    assert service["CreatedAt"] < status["StartedAt"] < status["CompletedAt"]
    assert service["PreviousSpec"] == before["Spec"]
    assert images(swarm.running(service_id)) == {"lab/web:2": 2}


def test_an_update_in_progress_says_so(swarm: SwarmApi) -> None:
    service_id = swarm.start(UpdateConfig=quick_update(Monitor=3 * SECOND))

    swarm.set_image(service_id, "lab/web:2")

    status = swarm.wait_update(service_id, "updating")["UpdateStatus"]
    assert status["Message"] == "update in progress"
    assert "CompletedAt" not in status


def test_stop_first_stops_the_old_task_before_the_new_one_runs(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update(Order="stop-first"))

    swarm.set_image(service_id, "lab/web:2")

    for tasks in snapshots(swarm, service_id, "completed"):
        started = {task["Slot"] for task in tasks if is_new(task) and is_meant_to_run(task)}
        old = [task for task in tasks if not is_new(task) and task["Slot"] in started]
        assert all(has_ended(task) for task in old)


def is_new(task: Task) -> bool:
    return bool(task["Spec"]["ContainerSpec"]["Image"] == "lab/web:2")


def test_start_first_stops_the_old_task_once_the_new_one_runs(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update(Order="start-first"))

    swarm.set_image(service_id, "lab/web:2")

    for tasks in snapshots(swarm, service_id, "completed"):
        replaced = {
            task["Slot"] for task in tasks if is_new(task) and task["Status"]["State"] == "running"
        }
        stopped = {task["Slot"] for task in tasks if task["DesiredState"] == "shutdown"}
        assert stopped <= replaced


def test_parallelism_limits_how_many_change_at_once(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=3, UpdateConfig=quick_update(Parallelism=2))

    swarm.set_image(service_id, "lab/web:2")

    for tasks in snapshots(swarm, service_id, "completed"):
        changing = [task for task in tasks if is_new(task) and task["Status"]["State"] != "running"]
        assert len(changing) <= 2


def test_delay_parts_the_slots(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update(Delay=SECOND // 2))

    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "completed")

    first, second = sorted(swarm.running(service_id), key=lambda task: str(task["CreatedAt"]))
    assert first["Status"]["Timestamp"] < second["CreatedAt"]


def test_a_label_restarts_nothing(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    tasks = swarm.tasks(service_id)

    before = swarm.change(service_id, lambda spec: spec["Labels"].update(note="new"))

    service = swarm.service(service_id)
    assert service["Version"]["Index"] > before["Version"]["Index"]
    assert service["PreviousSpec"] == before["Spec"]
    assert "UpdateStatus" not in service
    assert swarm.tasks(service_id) == tasks


def test_writing_the_same_spec_restarts_nothing(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    tasks = swarm.tasks(service_id)

    before = swarm.change(service_id, lambda spec: None)

    service = swarm.service(service_id)
    assert service["Version"]["Index"] > before["Version"]["Index"]
    assert service["PreviousSpec"] == service["Spec"]
    assert swarm.tasks(service_id) == tasks


def test_a_constraint_that_the_node_meets_restarts_nothing(swarm: SwarmApi) -> None:
    service_id = swarm.start()
    tasks = swarm.tasks(service_id)
    placement = {"Constraints": ["node.role==manager"]}

    swarm.change(service_id, lambda spec: spec["TaskTemplate"].update(Placement=placement))
    # A scale is carried out after the change before it: its task tells that all is settled.
    swarm.scale(service_id, 2)
    swarm.converge(service_id)

    assert {task["ID"] for task in tasks} < {task["ID"] for task in swarm.tasks(service_id)}
    assert "UpdateStatus" not in swarm.service(service_id)


def test_spelling_out_the_defaults_restarts_tasks(swarm: SwarmApi) -> None:
    """Which is why a spec must be patched as it is, not as `insertDefaults` shows it."""
    service_id = swarm.start(UpdateConfig=quick_update())
    (old,) = swarm.tasks(service_id)
    service = swarm.get(f"/services/{service_id}", insertDefaults="true").body

    assert swarm.replace(service, service["Spec"]).status == 200

    swarm.wait_update(service_id, "completed")
    assert old["ID"] not in {task["ID"] for task in swarm.running(service_id)}


def test_force_update_restarts_every_task(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update(Parallelism=0))
    before = {task["ID"] for task in swarm.tasks(service_id)}

    swarm.change(service_id, lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))

    swarm.wait_update(service_id, "completed")
    after = {task["ID"] for task in swarm.running(service_id)}
    assert len(after) == 2
    assert not before & after


def test_a_global_service_is_updated_node_by_node(swarm: SwarmApi) -> None:
    service_id = swarm.start(Mode={"Global": {}}, UpdateConfig=quick_update())

    swarm.set_image(service_id, "lab/web:2")

    swarm.wait_update(service_id, "completed")
    assert images(swarm.running(service_id)) == {"lab/web:2": 1}


def test_a_second_update_takes_the_place_of_the_first(swarm: SwarmApi) -> None:
    service_id = swarm.start(replicas=2, UpdateConfig=quick_update(Delay=SECOND // 2))
    swarm.set_image(service_id, "lab/web:2")
    swarm.wait_update(service_id, "updating")

    swarm.set_image(service_id, "lab/web:3")

    service = swarm.wait_update(service_id, "completed")
    assert image_of(service) == "lab/web:3"
    assert image_of({"Spec": service["PreviousSpec"]}) == "lab/web:2"
    assert images(swarm.running(service_id)) == {"lab/web:3": 2}
