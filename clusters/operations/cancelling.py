"""Cancel an operation: before it was sent, or a rollout under way, by stopping or going back."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from clusters import specs
from clusters.models import Operation
from clusters.operations import following, lease
from clusters.operations.following import AGAIN, AGAIN_SOON
from clusters.operations.rollout import Rollout
from clusters.operations.steps import noted
from clusters.ports import Engine, Raw, Refused, StaleVersion

PICKS = timedelta(seconds=1)  # in which Swarm's updater, started anew, picks its one last task
SETTLE = timedelta(seconds=30)  # for that task to run


S = Operation.State


def step(operation: Operation, engine: Engine) -> float | None:
    """One step towards `cancelled`, each judged by the spec that the engine has now."""
    service = engine.service(operation.target_id)
    if not _was_sent(operation, service):
        lease.move(
            operation, S.CANCELLED, error="", result="Cancelled before anything was changed."
        )
        return None
    seen = following.look(operation, engine, service)
    if operation.cancel == Operation.Cancel.STOP and _over(operation, service, seen):
        return following.step(operation, engine)  # there is nothing left to stop
    if operation.cancel == Operation.Cancel.BACK and _by_another(operation, service):
        return following.changed_by_another(operation, service)
    aim = _aim(operation, service, seen)
    if specs.spec_hash(service["Spec"]) != specs.spec_hash(aim):
        return _send(operation, engine, service, aim)
    return _wait(operation, seen)


def _was_sent(operation: Operation, service: Raw) -> bool:
    if operation.accepted_version is not None:
        return True
    return specs.operation_of(service["Spec"]) == str(operation.id)


def _by_another(operation: Operation, service: Raw) -> bool:
    """Whether the present spec is none that this operation, its stop or its way back wrote."""
    if not following.overwritten(operation, service):
        return False
    present, after = service["Spec"], operation.after
    written = [operation.before, after, specs.held(after)]
    if operation.kind == Operation.Kind.SCALE:
        written.append(specs.scaled(after, specs.replicas_of(present) or 0))
    return specs.spec_hash(present) not in map(specs.spec_hash, written)


def _over(operation: Operation, service: Raw, seen: Rollout) -> bool:
    """Whether the rollout ended by itself before it could be stopped."""
    if _stopped(operation) or specs.is_held(service["Spec"]):
        return False
    return seen.converged or seen.update_state not in ("", "updating")


def _aim(operation: Operation, service: Raw, seen: Rollout) -> Raw:
    """The spec that cancelling leads to."""
    if operation.cancel == Operation.Cancel.BACK:
        return _before(operation)
    present = service["Spec"]
    if operation.kind == Operation.Kind.SCALE and not _stopped(operation):
        return specs.scaled(present, seen.new)
    return specs.held(present) if seen.moving else present


def _before(operation: Operation) -> Raw:
    """The spec to go back to. What resumed a rollout that Swarm had paused changed nothing in the
    spec: back is where it stands still again."""
    same = specs.spec_hash(operation.before) == specs.spec_hash(operation.after)
    return specs.held(operation.before) if same else operation.before


def _name(operation: Operation) -> str:
    return "back" if operation.cancel == Operation.Cancel.BACK else "stop"


def _stopped(operation: Operation) -> bool:
    return any(s["name"] == _name(operation) and s["state"] == "done" for s in operation.steps)


def _send(operation: Operation, engine: Engine, service: Raw, aim: Raw) -> float | None:
    """Write the aim at the version just read; on a stale one look again."""
    name = _name(operation)
    lease.write(operation, steps=noted(operation, name, "running"))
    try:
        engine.update_service(
            operation.target_id, service["Version"]["Index"], specs.marked(aim, str(operation.id))
        )
    except StaleVersion:
        return AGAIN_SOON
    except Refused as error:
        lease.move(operation, S.FAILED, error=f"The engine refused to cancel: {error}")
        return None
    lease.write(operation, steps=_with_rollout_stopped(noted(operation, name, "done")))
    return AGAIN_SOON


def _with_rollout_stopped(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The step that the cancel cut short no longer runs."""
    cut = {"name": "rollout", "state": "running"}
    return [{**s, "state": "stopped"} if cut.items() <= s.items() else s for s in steps]


def _wait(operation: Operation, seen: Rollout) -> float | None:
    """Until the tasks are back, or the one that a stop may still replace has settled."""
    if operation.cancel == Operation.Cancel.STOP or specs.is_held(_before(operation)):
        if not _still(operation, seen):
            return AGAIN
    elif not (seen.converged or _patience_over(operation)):
        lease.write(operation, done=seen.new, total=seen.desired, error=seen.error)
        return AGAIN
    lease.move(
        operation, S.CANCELLED, done=seen.new, total=seen.desired, result=_sentence(operation, seen)
    )
    return None


def _still(operation: Operation, seen: Rollout) -> bool:
    """Whether the last task that a stop may replace has been, or will not be."""
    settled = not seen.coming and not seen.leaving and _since_last_step(operation) > PICKS
    return settled or _patience_over(operation)


def _since_last_step(operation: Operation) -> timedelta:
    last = operation.steps[-1]["at"] if operation.steps else timezone.now().isoformat()
    return timezone.now() - datetime.fromisoformat(last)


def _patience_over(operation: Operation) -> bool:
    limit = SETTLE if operation.cancel == Operation.Cancel.STOP else 10 * SETTLE
    return _since_last_step(operation) > limit


def _sentence(operation: Operation, seen: Rollout) -> str:
    if operation.cancel == Operation.Cancel.BACK:
        if seen.update_state == "paused":
            return (
                f"Went back to the spec before, but Swarm paused on the way: {seen.update_message}"
            )
        return f"Went back to the spec before: {seen.new} of {seen.desired} tasks run with it."
    if operation.kind == Operation.Kind.SCALE:
        return f"Stopped at {seen.new} tasks."
    reached = f"{seen.new} of {seen.desired} tasks have the new spec"
    return f"Stopped: {reached}. The rollout is held until it is resumed or changed."
