"""A large population that exists, running, from the first moment."""

import random

from simulator.clock import NANOSECONDS, now
from simulator.cluster import Swarm
from simulator.identifiers import container_id, object_id
from simulator.objects import Node, Service, Spec, TaskState, TaskStatus
from simulator.specs import normalise_service
from simulator.tasks import new_task

STACK_SIZE = 10


def add_nodes(swarm: Swarm, count: int, managers: int) -> None:
    """Add nodes until there are `count`, the first `managers` of them managers."""
    while swarm.active and len(swarm.store.nodes) < count:
        number = len(swarm.store.nodes) + 1
        role = "manager" if number <= managers else "worker"
        swarm.add_node(f"{role}-{number}", role=role, labels={"zone": f"z{number % 3}"})


def add_services(swarm: Swarm, count: int, tasks: int) -> None:
    """Add plain services that have `tasks` running together."""
    for number in range(count):
        share, rest = divmod(tasks, count)
        add_running(swarm, _plain_service(number, share + (number < rest)))


def _plain_service(number: int, replicas: int) -> Spec:
    stack = f"stack{number // STACK_SIZE:03d}"
    return {
        "Name": f"{stack}_web{number:04d}",
        "Labels": {
            "com.docker.stack.namespace": stack,
            "com.docker.stack.image": "registry.example/web:1",
        },
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "registry.example/web:1",
                "Labels": {"com.docker.stack.namespace": stack},
                "Env": ["LOG_LEVEL=info", f"SERVICE_NUMBER={number}"],
            },
            "Resources": {"Reservations": {"MemoryBytes": 16 << 20}},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 2, "FailureAction": "rollback", "Order": "stop-first"},
    }


def add_running(swarm: Swarm, posted: Spec, age_seconds: float = 3600.0) -> Service:
    """A service whose tasks have been running for a while, spread over the nodes that fit."""
    born = now() - round(age_seconds * NANOSECONDS)
    service = Service(object_id(), spec=normalise_service(posted), created=born)
    service.endpoint_ports = swarm.ports.publish(service)
    service.virtual_ips = swarm.allocator.virtual_ips(service)
    swarm.store.load(service)
    nodes = swarm.scheduler.fitting(new_task(service, 1))
    if service.mode == "Global":
        for node in nodes:
            _add_task(swarm, service, 0, node, born)
    elif nodes:
        start = random.randrange(len(nodes))
        for slot in range(1, service.replicas + 1):
            _add_task(swarm, service, slot, nodes[(start + slot) % len(nodes)], born)
    return service


def _add_task(swarm: Swarm, service: Service, slot: int, node: Node, born: int) -> None:
    task = new_task(service, slot, "" if slot else node.id)
    task.node_id = node.id
    task.networks = swarm.allocator.attachments(task.spec)
    task.created = task.started = born + random.randrange(5 * NANOSECONDS)
    task.status = TaskStatus(
        TaskState.RUNNING,
        "started",
        task.started,
        container_id=container_id(),
        pid=random.randrange(300, 4_000_000),
    )
    swarm.store.load(task)
