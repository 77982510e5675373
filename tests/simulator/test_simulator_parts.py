"""Parts of the simulator on their own."""

import asyncio

import pytest

from simulator import constraints
from simulator.clock import rfc3339
from simulator.cluster import Swarm
from simulator.images import behaviour
from simulator.logs import Logs
from simulator.objects import Node, Spec, Task, TaskState, TaskStatus
from simulator.population import add_running
from simulator.specs import normalise_service, with_defaults

MINUTE = 60 * 1_000_000_000


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
    ],
)
def test_times_are_written_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


NODE = Node(
    "n1",
    spec={"Labels": {"zone": "a"}, "Role": "worker", "Availability": "active"},
    hostname="worker-1",
)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("node.labels.zone==a", True),
        ("node.labels.zone == A", True),
        ("node.labels.zone!=a", False),
        ("node.labels.none!=a", True),
        ("node.role==worker", True),
        ("node.role==manager", False),
        ("node.hostname==worker-1", True),
        ("node.id==n1", True),
        ("node.bogus==1", False),
    ],
)
def test_constraints_are_compared_with_the_node(expression: str, allowed: bool) -> None:
    assert constraints.allows(constraints.parse([expression]), NODE) is allowed


def test_normalising_leaves_the_posted_spec_alone_and_is_stable() -> None:
    posted: Spec = {"Name": "x", "TaskTemplate": {"ContainerSpec": {"Image": "i", "Env": []}}}

    once = normalise_service(posted)

    assert posted["TaskTemplate"]["ContainerSpec"] == {"Image": "i", "Env": []}
    assert normalise_service(once) == once
    assert normalise_service(with_defaults(once)) == with_defaults(once)


@pytest.mark.parametrize(
    ("image", "available", "exits"),
    [("shop/web:1", True, None), ("a/missing:1", False, None), ("a/crash:1", True, 0.3)],
)
def test_an_images_name_decides_what_it_does(
    image: str, available: bool, exits: float | None
) -> None:
    does = behaviour({"ContainerSpec": {"Image": image}})

    assert (does.available, does.exits_after) == (available, exits)


def running_task() -> Task:
    status = TaskStatus(TaskState.RUNNING, "started", MINUTE)
    spec = {"ContainerSpec": {"Image": "shop/web:1"}}
    return Task("task", spec=spec, status=status, started=MINUTE)


def test_past_lines_are_the_same_whenever_they_are_read() -> None:
    logs, task = Logs(), running_task()

    whole = logs.lines(task, MINUTE, 3 * MINUTE)
    first, second = logs.lines(task, MINUTE, 2 * MINUTE), logs.lines(task, 2 * MINUTE, 3 * MINUTE)

    assert first + second == whole
    assert [line.moment for line in whole] == sorted(line.moment for line in whole)
    assert len(whole) > 20


def test_writes_of_a_batch_share_an_index() -> None:
    async def write() -> list[int]:
        swarm = Swarm()
        service = add_running(
            swarm, {"Name": "x", "TaskTemplate": {"ContainerSpec": {"Image": "i"}}}
        )
        first = service.version
        with swarm.store.batch():
            swarm.store.update(service)
            swarm.store.update(swarm.local_node)
        swarm.store.update(service)
        return [first, swarm.local_node.version, service.version]

    first, batch, last = asyncio.run(write())
    assert first < batch < last
    assert last == batch + 1
