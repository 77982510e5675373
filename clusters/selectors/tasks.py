"""One service's tasks: each slot with its history."""

from dataclasses import dataclass
from typing import Any

from clusters.models import Service, SwarmTask
from clusters.readings import ENDED, FAILED


@dataclass(frozen=True, slots=True)
class Cell:
    """One task in the matrix. `old`: it was made from an earlier task template."""

    task: SwarmTask
    node: str  # hostname, or "" when not placed
    node_ready: bool
    old: bool

    @property
    def state(self) -> str:
        """The task's state; `lost` when its node does not answer and it only claims to run."""
        if self.task.state == "running" and not self.node_ready:
            return "lost"
        return self.task.state

    @property
    def ended(self) -> bool:
        return self.task.state in ENDED

    @property
    def failed(self) -> bool:
        return self.task.state in FAILED


@dataclass(frozen=True, slots=True)
class Slot:
    """A replica's place: its present task and those that were there before, newest first."""

    label: str  # the slot's number, or the node's hostname for a global service
    key: str  # stable over the slot's life: slot number or node id
    current: Cell
    history: list[Cell]


def task_matrix(service: Service) -> list[Slot]:
    """Every slot of the service with its history as Swarm keeps it."""
    nodes = {node.engine_id: node for node in service.cluster.nodes.all()}
    tasks = SwarmTask.objects.filter(cluster=service.cluster, service_engine_id=service.engine_id)
    by_slot: dict[Any, list[Cell]] = {}
    for task in tasks.order_by("slot", "node_engine_id", "-created_at"):
        node = nodes.get(task.node_engine_id)
        cell = Cell(
            task=task,
            node=node.hostname if node else "",
            node_ready=node is not None and node.state == "ready",
            old=task.template_hash != service.template_hash,
        )
        by_slot.setdefault(task.slot or task.node_engine_id, []).append(cell)
    return [_slot(key, cells) for key, cells in by_slot.items()]


def _slot(key: Any, cells: list[Cell]) -> Slot:
    """The present task is the newest that is still wanted; else the newest of all."""
    current = next((c for c in cells if c.task.desired_state in ("running", "ready")), cells[0])
    label = str(key) if isinstance(key, int) else current.node or str(key)[:12]
    return Slot(label, str(key), current, [cell for cell in cells if cell is not current])
