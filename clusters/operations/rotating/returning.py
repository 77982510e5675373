"""And back: return every service to the old version, then remove the new one."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters import specs
from clusters.models import KeptSecret, Operation
from clusters.operations import following, lease
from clusters.operations.following import AGAIN, AGAIN_SOON
from clusters.operations.rollout import Rollout
from clusters.operations.rotating.stage import ENGINE_AGAIN, Part, Stage, trouble
from clusters.operations.steps import noted
from clusters.ports import ObjectMissing, Raw, Refused, StaleVersion

S = Operation.State


class Returning(Stage):
    """The way back: of every service in reverse order, then of the new version."""

    turn, verb = "back", "Return"

    def step(self) -> float | None:
        self._arrived()
        for part in reversed(self.plan["consumers"]):
            if part["state"] != "back":
                return self._return(part)
        return self._remove_new()

    def _return(self, part: Part) -> float | None:
        try:
            service = self.engine.service(part["id"])
        except ObjectMissing:
            return self._is_back(part, "it no longer exists")
        if self._uses(service["Spec"], "new"):
            return self._send_back(part, service)
        if part["state"] == "waiting":  # it was never led away
            part["state"] = "back"
            self._write()
            return AGAIN_SOON
        return self._follow_back(part, service)

    def _send_back(self, part: Part, service: Raw) -> float | None:
        fresh = self._rereferenced(service["Spec"], "new", "old")
        part |= {"state": "returning", "moved_at": timezone.now().isoformat(), "new": -1}
        part["hash"] = specs.spec_hash(fresh)
        self._write(steps=self._step(part, "running", "send the spec with the old version"))
        try:
            self.engine.update_service(part["id"], service["Version"]["Index"], fresh)
        except StaleVersion:
            return AGAIN_SOON
        except Refused as error:
            return self._is_back(part, f"it could not be returned: {error}", "failed")
        return AGAIN_SOON

    def _follow_back(self, part: Part, service: Raw) -> float | None:
        seen = self._look(service, service["Spec"]["TaskTemplate"])
        if seen.moving or not seen.converged:
            return self._wait_back(part, service, seen)
        if following.pages_lag(self.operation.cluster, service):
            return AGAIN_SOON
        return self._is_back(part, f"{seen.new} of {seen.desired} tasks run with it")

    def _wait_back(self, part: Part, service: Raw, seen: Rollout) -> float | None:
        """One that does not come up with the old version either must not hold up the others."""
        last = datetime.fromisoformat(part.get("moved_at") or timezone.now().isoformat())
        over = timezone.now() - last > following.PATIENCE
        if seen.update_state in ("paused", "rollback_paused") or over:
            error = trouble(seen, "it did not come up again with the old version")
            return self._is_back(part, error, "failed")
        if part.get("new") != seen.new or "moved_at" not in part:
            part |= {"new": seen.new, "moved_at": timezone.now().isoformat()}
        message = f"{seen.new} of {seen.desired} tasks"
        self._write(steps=self._step(part, "running", message))
        return AGAIN

    def _is_back(self, part: Part, message: str, state: str = "done") -> float:
        steps = self._step(part, state, message)
        part |= {"state": "back", "stuck": state == "failed"}
        self._write(steps=steps)
        return AGAIN_SOON

    def _remove_new(self) -> float | None:
        if self.new["id"]:
            if reason := self._remove(self.new):
                steps = noted(self.operation, "remove-new", "failed", reason)
                return self._ended_back(steps, stays=reason)
        elif self._may_arrive():
            return ENGINE_AGAIN
        return self._ended_back(noted(self.operation, "remove-new", "done"))

    def _ended_back(self, steps: list[dict[str, Any]], stays: str = "") -> float | None:
        failed, parts = self.plan.get("failed"), self.plan["consumers"]
        touched = [part for part in parts if "hash" in part]
        state = S.ROLLED_BACK if touched else S.FAILED
        if self.operation.state == S.CANCELLING and not failed:
            state = S.CANCELLED
        stuck = [part["name"] for part in parts if part.get("stuck")]
        result = [
            self.plan.get("closed", ""),  # why nobody approved it
            f"Every service uses {self.old['name']} as before."
            if touched
            else "No service was changed.",
            f"But look at {', '.join(stuck)}: see its step." if stuck else "",
            f"{self.new['name']} stays: {stays}" if stays else f"{self.new['name']} was removed.",
        ]
        error = ""
        if failed:
            error = f"{failed['name']}: {failed['error']}" if failed["name"] else failed["error"]
        with transaction.atomic():
            if self.noun == "secret" and not stays:
                kept = KeptSecret.objects.filter(cluster=self.operation.cluster)
                kept.filter(name=self.new["name"]).delete()
            lease.move(
                self.operation,
                state,
                error=error,
                result=" ".join(filter(None, result)),
                done=sum(not part.get("stuck") for part in parts),
                steps=steps,
            )
        return None
