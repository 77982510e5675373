"""What the way there and the way back have in common."""

import copy
from contextlib import suppress
from typing import Any

from django.utils import timezone

from clusters import readings, specs
from clusters.models import Operation
from clusters.operations import lease, rollout
from clusters.operations.following import AGAIN_SOON
from clusters.operations.rollout import Rollout
from clusters.operations.rotations import ARRIVES
from clusters.operations.steps import noted
from clusters.ports import Engine, Noun, ObjectMissing, Raw, Refused

ENGINE_AGAIN = 1.0  # seconds
Part = dict[str, Any]  # one service in the plan


def noun_of(operation: Operation) -> Noun:
    if operation.rotates is None:
        raise ValueError(f"{operation} is no rotation")
    return operation.rotates


def fail(operation: Operation, name: str, error: str, **fields: Any) -> float:
    """From now on the way leads back. `name`: the service that failed, if one did."""
    plan = {**operation.plan, "failed": {"name": name, "error": error}}
    lease.write(operation, plan=plan, error=f"{name}: {error}" if name else error, **fields)
    return AGAIN_SOON


def trouble(seen: Rollout, what: str) -> str:
    """What happened, with the task's own words if there are any."""
    why = seen.error or seen.update_message
    return f"{what}: {why}" if why else what


class Stage:
    """One step of a rotation, with what it needs at hand."""

    turn: str  # how a service's step is named
    verb: str  # what it tells people

    def __init__(self, operation: Operation, engine: Engine) -> None:
        self.operation, self.engine, self.noun = operation, engine, noun_of(operation)
        self.plan: dict[str, Any] = copy.deepcopy(operation.plan)
        self.old, self.new = self.plan["old"], self.plan["new"]

    def step(self) -> float | None:
        raise NotImplementedError

    def _arrived(self) -> bool:
        """Whether the engine has the new version: ours, not another of the same name."""
        if self.new["id"]:
            return True
        try:
            raw = self.engine.named(self.noun, self.new["name"])
        except ObjectMissing:
            return False
        labels = raw["Spec"].get("Labels") or {}
        if labels.get(specs.OPERATION_LABEL) != str(self.operation.pk):
            return False
        self.new["id"] = raw["ID"]
        message = f"{self.new['name']} is in the Swarm."
        self._write(steps=noted(self.operation, "create", "done", message))
        return True

    def _may_arrive(self) -> bool:
        """Whether the request may still be on its way to the engine."""
        return timezone.now() - self.operation.released_at < ARRIVES

    def _uses(self, spec: Raw, which: str) -> bool:
        object_id = self.plan[which]["id"]
        return bool(object_id) and specs.refers_to(spec, self.noun, object_id)

    def _rereferenced(self, spec: Raw, source: str, aim: str) -> Raw:
        aims = self.plan[aim]
        fresh = specs.rereferenced(
            spec, self.noun, self.plan[source]["id"], aims["id"], aims["name"]
        )
        return specs.marked(fresh, str(self.operation.pk))

    def _look(self, service: Raw, template: Raw) -> Rollout:
        self.tasks = self.engine.tasks(services=[service["ID"]])
        ready = readings.ready_nodes(self.engine.nodes())
        # No task before this rotation had the new version: every error with it counts.
        return rollout.read(service, self.tasks, None, ready, template)

    def _remove(self, version: dict[str, Any]) -> str:
        """Why the version stays in the Swarm; empty once it is gone, whoever removed it."""
        try:
            with suppress(ObjectMissing):
                self.engine.remove(self.noun, version["id"])
        except Refused as error:
            return str(error)
        return ""

    def _step(self, part: Part, state: str, message: str) -> list[dict[str, Any]]:
        title = f"{self.verb} {part['name']}:"
        return noted(self.operation, f"{self.turn}:{part['id']}", state, message, title)

    def _write(self, **fields: Any) -> None:
        self.plan |= {"old": self.old, "new": self.new}
        done = sum(part["state"] == "done" for part in self.plan["consumers"])
        lease.write(self.operation, plan=copy.deepcopy(self.plan), done=done, **fields)
