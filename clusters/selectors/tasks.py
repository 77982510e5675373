"""One service's tasks: each slot with its history."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, F, Q, When
from django.db.models.functions import Cast

from clusters.models import Service, SwarmTask
from clusters.readings import ENDED, FAILED

WANTED = ("running", "ready")


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

    @property
    def gone(self) -> bool:
        """Whether the slot is no more: its last task ended, and none is wanted in its place."""
        return self.current.ended and self.current.task.desired_state in ("shutdown", "remove")


@dataclass(frozen=True, slots=True)
class Legend:
    """What the present tasks of all slots add up to."""

    states: dict[str, int]
    old: int  # of an earlier template
    failed: bool  # whether earlier tasks failed


def task_matrix(service: Service, keys: Iterable[str] | None = None) -> list[Slot]:
    """Every slot of the service, or those of these keys, with its history as Swarm keeps it."""
    tasks = _tasks_of(service)
    if keys is not None:
        tasks = tasks.filter(key__in=keys)
    by_slot: dict[Any, list[Cell]] = {}
    cell_of = _cells(service)
    for task in tasks.order_by("slot", "node_engine_id", "-created_at"):
        by_slot.setdefault(task.slot or task.node_engine_id, []).append(cell_of(task))
    return [_slot(key, cells) for key, cells in by_slot.items()]


def task_legend(service: Service) -> Legend:
    """Counts over the present task of every slot: one row of each is read."""
    cell_of = _cells(service)
    newest_wanted_first = ("key", F("wanted").desc(), "-created_at")
    present = _tasks_of(service).order_by(*newest_wanted_first).distinct("key")
    slots = [Slot("", "", cell_of(task), []) for task in present.only(*_LEGEND)]
    cells = [slot.current for slot in slots if not slot.gone]
    return Legend(
        states=dict(sorted(Counter(cell.state for cell in cells).items())),
        old=sum(cell.old for cell in cells),
        failed=_tasks_of(service).filter(wanted=False, state__in=FAILED).exists(),
    )


_LEGEND = ("state", "desired_state", "node_engine_id", "template_hash")


def _tasks_of(service: Service) -> Any:  # a query set with annotations
    """With the `key` of each task's slot, and whether it is `wanted`."""
    tasks = SwarmTask.objects.filter(cluster=service.cluster, service_engine_id=service.engine_id)
    number = Cast("slot", CharField())
    return tasks.annotate(
        key=Case(When(slot=0, then=F("node_engine_id")), default=number),
        wanted=Q(desired_state__in=WANTED),
    )


def _cells(service: Service) -> Callable[[SwarmTask], Cell]:
    known = service.cluster.nodes.only("engine_id", "hostname", "state")
    nodes = {node.engine_id: node for node in known}

    def cell_of(task: SwarmTask) -> Cell:
        node = nodes.get(task.node_engine_id)
        return Cell(
            task=task,
            node=node.hostname if node else "",
            node_ready=node is not None and node.state == "ready",
            old=task.template_hash != service.template_hash,
        )

    return cell_of


def _slot(key: Any, cells: list[Cell]) -> Slot:
    """The present task is the newest that is still wanted; else the newest of all."""
    current = next((c for c in cells if c.task.desired_state in WANTED), cells[0])
    label = str(key) if isinstance(key, int) else current.node or str(key)[:12]
    return Slot(label, str(key), current, [cell for cell in cells if cell is not current])
