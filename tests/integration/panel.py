"""The panel's core beside an engine: its rows, its watcher and its worker, driven by hand.

There is no broker and no other process: a test says when the watcher looks and when a worker takes
a step, and may do something else in between.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

from access.authorize import Actor
from access.models import Grant, User
from access.policy import Role
from clusters.adapters.docker_engine import DockerEngine
from clusters.changes import ServiceChange
from clusters.inventory import lease
from clusters.inventory.store import Store
from clusters.inventory.watch import Watch
from clusters.models import Cluster, Operation, Service
from clusters.operations.carry_out import advance
from clusters.operations.requests import request, request_cancel
from clusters.ports import Connection, Engine, Raw
from tests.contract.swarm_api import SECOND, SwarmApi, service_spec
from tests.engines import wait_until

# Brisk, so that a rollout of three tasks takes a second or two, and its failure as much.
BRISK: Raw = {
    "Parallelism": 1,
    "Monitor": SECOND // 2,
    "FailureAction": "pause",
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def user(name: str = "kim", role: Role = Role.OPERATOR, **scope: str) -> User:
    found, _ = User.objects.get_or_create(username=name)
    Grant.objects.get_or_create(user=found, role=role, **scope)
    return found


class Panel:
    """One cluster of the panel. `swarm` speaks to its engine as anybody else would."""

    def __init__(self, *addresses: str, timeout: float = 5.0) -> None:
        self.cluster = Cluster.objects.create(name="lab", addresses=list(addresses))
        self.engine = DockerEngine(Connection(addresses, timeout=timeout))
        self.swarm = SwarmApi(addresses[0])
        self.actor = Actor(user(), "browser", "192.0.2.1")
        self.woken: list[str] = []

    def close(self) -> None:
        self.engine.close()
        self.swarm.close()

    # --- The watcher -----------------------------------------------------------------------------

    def watch(self, holder: str = "watcher") -> Watch:
        """A watcher that has just taken the cluster and knows nothing yet."""
        token = lease.take(self.cluster.pk, holder)
        assert token is not None, "another watcher holds the cluster"
        return Watch(self.engine, Store(Cluster.objects.get(pk=self.cluster.pk), token))

    def look(self) -> None:
        """Bring the rows up to date: a fresh watcher's first step reads everything."""
        self.watch().step([])
        self.cluster.refresh_from_db()

    def start(self, image: str = "lab/web:1", replicas: int = 1, **parts: Any) -> Service:
        """A service whose tasks all run, and its row."""
        update = {"UpdateConfig": BRISK, "RollbackConfig": BRISK, "Labels": {}}
        spec = service_spec(image, replicas, **{**copy.deepcopy(update), **parts})
        self.swarm.start(spec)
        return self.service(spec["Name"])

    def service(self, name: str) -> Service:
        """The row, as of now."""
        self.look()
        return Service.objects.select_related("cluster").get(cluster=self.cluster, name=name)

    def raw(self, service: Service) -> Raw:
        """The spec as the engine has it, without the panel's label."""
        spec = self.swarm.service(service.engine_id)["Spec"]
        labels = {k: v for k, v in spec["Labels"].items() if not k.startswith("io.pilothouse.")}
        return {**spec, "Labels": labels}

    def images(self, service: Service) -> list[str]:
        """Those of the running tasks."""
        running = self.swarm.running(service.engine_id)
        return sorted(task["Spec"]["ContainerSpec"]["Image"] for task in running)

    def task_ids(self, service: Service) -> set[str]:
        """Those of the running tasks."""
        return {task["ID"] for task in self.swarm.running(service.engine_id)}

    # --- The worker ------------------------------------------------------------------------------

    def request(self, service: Service, change: ServiceChange, **options: Any) -> Operation:
        return request(self.actor, service, change, wake=self.woken.append, **options)

    def cancel(self, operation: Operation, how: Operation.Cancel) -> None:
        request_cancel(self.actor, operation, how, wake=self.woken.append)
        operation.refresh_from_db()

    def step(self, operation: Operation, engine: Engine | None = None, holder: str = "w") -> None:
        """Let a worker take the next step, as soon as it is due."""
        wait_until(lambda: _is_due(operation), "the next step is due", 30)
        # No watcher is awake meanwhile, so the operation must not wait for one to see its end.
        Cluster.objects.filter(pk=self.cluster.pk).update(seen_at=None)
        advance(str(operation.pk), lambda cluster: engine or self.engine, holder)
        operation.refresh_from_db()

    def step_until(
        self, operation: Operation, condition: Callable[[], bool], seconds: float = 60
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{vars(operation)}"
            assert operation.active, f"it has ended: {vars(operation)}"
            self.step(operation)

    def carry_out(self, operation: Operation, seconds: float = 60) -> Operation:
        """Step until it has ended."""
        deadline = time.monotonic() + seconds
        while operation.active:
            assert time.monotonic() < deadline, f"{vars(operation)}"
            self.step(operation)
        return operation

    def do(self, service: Service, change: ServiceChange) -> Operation:
        """Ask for a change and carry it out to its end."""
        return self.carry_out(self.request(service, change))


def _is_due(operation: Operation) -> bool:
    from_db = Operation.objects.only("next_step_at").get(pk=operation.pk)
    return from_db.next_step_at.timestamp() <= time.time()
