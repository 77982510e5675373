"""What becomes of services when a node is lost, and when it is back."""

import struct
import time

from tests.contract.swarm_api import SECOND, Spec, SwarmApi, Task
from tests.engines import EnginePair, SimulatedPair, wait_until

RESTARTS = {"RestartPolicy": {"Condition": "any", "Delay": SECOND // 2}}


def node_named(swarm: SwarmApi, name: str) -> Spec:
    nodes = swarm.get("/nodes").body
    return next(dict(node) for node in nodes if node["Description"]["Hostname"] == name)


def on_node(tasks: list[Task], node: Spec) -> list[Task]:
    return [task for task in tasks if task.get("NodeID") == node["ID"]]


def test_a_lost_node_and_its_return(pair: EnginePair | SimulatedPair) -> None:
    """One story, for a real node takes its time to be missed."""
    swarm = SwarmApi(pair.url)
    service_id = swarm.start(replicas=4, task=RESTARTS)
    global_id = swarm.start(Mode={"Global": {}})
    worker = node_named(swarm, pair.worker_name)
    lost = on_node(swarm.tasks(service_id), worker)
    assert len(lost) == 2, "tasks are spread over the nodes"
    since = time.time()

    pair.lose_worker()

    wait_until(lambda: state_of(swarm, pair) == "down", "the node is missed", 60)
    assert node_named(swarm, pair.worker_name)["Status"]["Message"] == "heartbeat failure"
    assert told_states(swarm, since, worker) == [("ready", "down")]
    wait_until(lambda: len(on_others(swarm, service_id, worker)) == 4, "all are replaced", 60)
    still = on_node(swarm.tasks(service_id), worker)
    assert {task["ID"] for task in still} == {task["ID"] for task in lost}
    assert {(t["DesiredState"], t["Status"]["State"]) for t in still} == {("shutdown", "running")}
    # The tasks of the lost node still count as running.
    assert swarm.listed(service_id)["ServiceStatus"]["RunningTasks"] == 6
    assert swarm.listed(global_id)["ServiceStatus"]["DesiredTasks"] == 1
    assert f"node {worker['ID']} is not available" in complaint(swarm, service_id)

    pair.restore_worker()

    wait_until(lambda: state_of(swarm, pair) == "ready", "the node is back", 60)
    swarm.converge(global_id)
    wait_until(
        lambda: swarm.listed(service_id)["ServiceStatus"]["RunningTasks"] == 4,
        "the lost tasks are known to have ended",
        60,
    )
    swarm.close()


def state_of(swarm: SwarmApi, pair: EnginePair | SimulatedPair) -> str:
    return str(node_named(swarm, pair.worker_name)["Status"]["State"])


def told_states(swarm: SwarmApi, since: float, node: Spec) -> list[tuple[str, str]]:
    events = swarm.events_since(since, type=["node"])
    mine = [e["Actor"]["Attributes"] for e in events if e["Actor"]["ID"] == node["ID"]]
    return [(a["state.old"], a["state.new"]) for a in mine if "state.new" in a]


def on_others(swarm: SwarmApi, service_id: str, lost: Spec) -> list[Task]:
    return [task for task in swarm.running(service_id) if task["NodeID"] != lost["ID"]]


def complaint(swarm: SwarmApi, service_id: str) -> str:
    """The last frame of the logs, which is of the kind that managers write themselves."""
    url = f"{swarm.docker.base_url}/services/{service_id}/logs"
    content = swarm.docker.get(url, params={"stdout": 1}, timeout=20).content
    frames = []
    while content:
        stream, length = struct.unpack(">BxxxL", content[:8])
        frames.append((stream, content[8 : 8 + length].decode()))
        content = content[8 + length :]
    stream, text = frames[-1]
    assert stream == 3
    return str(text)
