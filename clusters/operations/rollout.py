"""Read from the engine's own objects how far a rollout is. Pure functions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clusters import readings, specs
from clusters.ports import Raw


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the tasks of a service are from its spec."""

    update_state: str  # Swarm's UpdateStatus, "" before the first update
    update_message: str
    new: int  # wanted tasks that run with the spec's own template
    desired: int
    coming: int  # wanted tasks that do not run yet
    leaving: int  # tasks that still run though they are no longer wanted
    error: str  # of the newest task that failed with the spec's own template, or waits in vain

    @property
    def moving(self) -> bool:
        return self.update_state in ("updating", "rollback_started")

    @property
    def converged(self) -> bool:
        # Not more than desired either: Swarm accepts a scale before it marks the tasks that go.
        return not self.moving and self.new == self.desired and not self.leaving


def read(
    service: Raw,
    tasks: Sequence[Raw],
    since: datetime | None,
    ready_nodes: Collection[str],
    template: Raw | None = None,
) -> Rollout:
    """The state of a rollout; errors are those of tasks made after `since`, with `template`.

    A task on a node that is not ready claims to run, and to leave, for as long as the node is lost.

    `template` is the task template whose tasks' errors matter (default: the service's present one):
    after an automatic rollback the errors are those of the template that failed.
    """
    present = readings.template_hash(service["Spec"]["TaskTemplate"])
    blamed = readings.template_hash(template) if template else present
    status = service.get("UpdateStatus") or {}
    wanted = [t for t in tasks if t.get("DesiredState") in ("running", "ready", "accepted")]
    running = [t for t in tasks if _state(t) == "running" and t.get("NodeID") in ready_nodes]
    staying = [t for t in running if t in wanted]
    return Rollout(
        update_state=status.get("State", ""),
        update_message=status.get("Message", ""),
        new=sum(1 for t in staying if readings.template_hash(t["Spec"]) == present),
        desired=_desired(service, wanted),
        coming=len(wanted) - len(staying),
        leaving=len(running) - len(staying),
        error=_error([t for t in tasks if readings.template_hash(t["Spec"]) == blamed], since),
    )


def _state(task: Raw) -> str:
    return str((task.get("Status") or {}).get("State", ""))


def _desired(service: Raw, wanted: Sequence[Raw]) -> int:
    replicas = specs.replicas_of(service["Spec"])
    return len(wanted) if replicas is None else replicas


def _error(tasks: Sequence[Raw], since: datetime | None) -> str:
    """The newest failure in the task's own words, with its slot and exit code if it has them."""
    in_trouble = [t for t in tasks if _failed_since(t, since) or readings.waits_in_vain(t)]
    if not in_trouble:
        return ""
    newest = max(in_trouble, key=lambda t: str(t["Status"].get("Timestamp", "")))
    status = newest["Status"]
    where = f"Task {newest['Slot']}: " if newest.get("Slot") else ""
    return f"{where}{status.get('Err') or status.get('Message', '')}"


def _failed_since(task: Raw, since: datetime | None) -> bool:
    made = readings.moment(task["CreatedAt"])
    recent = since is None or made is None or made >= since
    return recent and _state(task) in readings.FAILED
