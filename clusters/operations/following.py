"""Follow a rollout that Swarm carries on by itself, and tell its true result."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from access.policy import Action
from clusters import readings, specs
from clusters.models import Cluster, Operation, Service
from clusters.operations import lease, rollout
from clusters.operations.rollout import Rollout
from clusters.operations.steps import noted
from clusters.ports import Engine, Raw
from clusters.selectors.clusters import freshness

SWARM_INIT_ACTION = Action.SWARM_INIT
PATIENCE = timedelta(minutes=5)  # without any progress, then it is told as failed
AGAIN = 0.5  # seconds
AGAIN_SOON = 0.1

S = Operation.State


def clash(operation: Operation, service: Raw, since: Raw) -> dict[str, Any]:
    """Both changes, for people to compare: what others did to `since`, and what was asked for."""
    theirs = specs.differences(since, service["Spec"])
    yours = specs.differences(operation.before, operation.after)
    return {
        "current_version": service["Version"]["Index"],
        "theirs": [asdict(difference) for difference in theirs],
        "yours": [asdict(difference) for difference in yours],
    }


def step(operation: Operation, engine: Engine) -> float | None:
    """One look at the engine: note the progress, or end the operation as it really ended."""
    service = engine.service(operation.target_id)
    seen = look(operation, engine, service, operation.after["TaskTemplate"])
    restored = specs.spec_hash(service["Spec"]) == specs.spec_hash(operation.before)
    if not seen.moving and pages_lag(operation.cluster, service):
        return AGAIN_SOON
    if seen.update_state.startswith("rollback") and restored:
        return _rolling_back(operation, seen)
    if overwritten(operation, service):
        return changed_by_another(operation, service)
    if seen.update_state == "paused":
        return _paused(operation, seen)
    if _is_job(service) or seen.converged:
        return _succeeded(operation, seen)
    return _still_moving(operation, seen)


def pages_lag(cluster: Cluster, service: Raw) -> bool:
    """Whether the watcher, being awake, has yet to store what the engine shows here.

    An operation that ended before would let the next one start from the spec of before, and then
    be told that somebody else had changed the service.
    """
    rows = Service.objects.filter(cluster=cluster, engine_id=service["ID"])
    version = rows.values_list("version", flat=True).first()
    awake = freshness(cluster).fresh
    return awake and version is not None and version < service["Version"]["Index"]


def look(
    operation: Operation, engine: Engine, service: Raw, template: Raw | None = None
) -> Rollout:
    """How far the service's tasks are; see `rollout.read`."""
    tasks = engine.tasks(services=[operation.target_id])
    ready = readings.ready_nodes(engine.nodes())
    return rollout.read(service, tasks, operation.started_at, ready, template)


def _is_job(service: Raw) -> bool:
    return specs.mode_of(service["Spec"]).endswith("-job")


def _succeeded(operation: Operation, seen: Rollout) -> float | None:
    total = _total(operation, seen)
    lease.move(
        operation,
        S.SUCCEEDED,
        done=total,
        total=total,
        error="",
        result=_sentence(operation, seen),
        steps=noted(operation, "rollout", "done"),
    )
    return None


def _sentence(operation: Operation, seen: Rollout) -> str:
    running = f"{seen.new} of {seen.desired} tasks run"
    if operation.kind == Operation.Kind.SCALE:
        return f"Scaled to {seen.desired}: {running}."
    restarts = specs.replaces_tasks(operation.before, operation.after)
    if not restarts and operation.kind != Operation.Kind.RESUME:
        return f"The spec was changed; no task had to restart. {running} as it says."
    return f"{running} with the new spec."


def _paused(operation: Operation, seen: Rollout) -> float | None:
    error = f"Swarm paused the rollout after {seen.new} of {seen.desired} tasks: {_reason(seen)}"
    lease.move(
        operation,
        S.FAILED,
        done=seen.new,
        total=seen.desired,
        error=error,
        steps=noted(operation, "rollout", "failed", seen.update_message),
    )
    return None


def _reason(seen: Rollout) -> str:
    return seen.error or seen.update_message or "it does not say why"


def _rolling_back(operation: Operation, seen: Rollout) -> float | None:
    """Swarm gave up on the new spec. A rolled-back rollout is never a success."""
    error = operation.error or f"The new tasks failed: {_reason(seen)}"
    if seen.update_state == "rollback_started":
        steps = noted(operation, "rollout", "failed", "Swarm is rolling back")
        lease.write(operation, done=seen.new, total=seen.desired, error=error, steps=steps)
        return AGAIN
    fully = seen.update_state == "rollback_completed"
    result = (
        "Swarm rolled back to the spec before."
        if fully
        else "Swarm began to roll back, and that paused, too."
    )
    lease.move(
        operation,
        S.ROLLED_BACK,
        done=seen.new,
        total=seen.desired,
        error=error,
        result=result,
        steps=noted(operation, "rollout", "failed", seen.update_message),
    )
    return None


def overwritten(operation: Operation, service: Raw) -> bool:
    """Whether the spec was written once more after this operation wrote it.

    `docker service update` copies every label, ours too: then the spec before bears it as well.
    """
    spec, previous = service["Spec"], service.get("PreviousSpec") or {}
    if specs.operation_of(spec) != str(operation.id):
        return True
    again = specs.operation_of(previous) == str(operation.id)
    return again and bool(specs.differences(previous, spec))


def changed_by_another(operation: Operation, service: Raw) -> float | None:
    """End the operation with both changes, for people to compare."""
    lease.move(
        operation,
        S.INTERRUPTED,
        error="Somebody else changed the service during the rollout, which ended it half way.",
        clash=clash(operation, service, operation.after),
    )
    return None


# --- Progress ------------------------------------------------------------------------------------


def _total(operation: Operation, seen: Rollout) -> int:
    """What there is to do: the tasks that come or go by a scale, or all that are replaced."""
    if operation.kind != Operation.Kind.SCALE:
        return seen.desired
    return abs(seen.desired - (specs.replicas_of(operation.before) or 0))


def _done(operation: Operation, seen: Rollout) -> int:
    total = _total(operation, seen)
    if operation.kind != Operation.Kind.SCALE:
        return min(total, seen.new)
    left = abs(seen.desired - seen.new) + seen.leaving
    return max(0, total - left)


def _still_moving(operation: Operation, seen: Rollout) -> float | None:
    total, done = _total(operation, seen), _done(operation, seen)
    if _stuck(operation, done, seen):
        minutes = PATIENCE.seconds // 60
        error = f"No progress for {minutes} minutes at {done} of {total} tasks; Swarm keeps trying."
        lease.move(operation, S.FAILED, done=done, total=total, error=f"{error} {seen.error}")
        return None
    steps = noted(operation, "rollout", "running", f"{done} of {total}")
    estimate = (
        _estimate(operation, done, total) if done != operation.done else operation.estimate_at
    )
    lease.write(
        operation, done=done, total=total, error=seen.error, steps=steps, estimate_at=estimate
    )
    return AGAIN


def _stuck(operation: Operation, done: int, seen: Rollout) -> bool:
    """No task has moved for too long; Swarm's own delay between two batches is no stand-still."""
    last = next((s for s in reversed(operation.steps) if s["name"] == "rollout"), None)
    if last is None or done != operation.done:
        return False
    config = operation.after.get("UpdateConfig") or {}
    own_pace = timedelta(seconds=(config.get("Delay", 0) + config.get("Monitor", 0)) / 10**9)
    return timezone.now() - datetime.fromisoformat(last["at"]) > PATIENCE + own_pace


def _estimate(operation: Operation, done: int, total: int) -> datetime | None:
    if not done or not operation.started_at:
        return None
    spent = timezone.now() - operation.started_at
    return timezone.now() + spent / done * (total - done)
