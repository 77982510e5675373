"""There: lead one service after another to the new version, then remove the old one."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters import readings, specs
from clusters.inventory import revisions
from clusters.models import KeptSecret, Operation
from clusters.operations import following, lease
from clusters.operations.following import AGAIN, AGAIN_SOON
from clusters.operations.rollout import Rollout
from clusters.operations.rotating.stage import ENGINE_AGAIN, Part, Stage, fail, trouble
from clusters.operations.steps import noted
from clusters.ports import ObjectMissing, Raw, Refused, StaleVersion

STEADY = timedelta(seconds=5)  # that tasks must run, once one of them has failed
FAILING = timedelta(seconds=20)  # of failures after Swarm has ended its update
S = Operation.State


class Leading(Stage):
    """The way there: of every service in its turn, then of the old version."""

    turn, verb = "update", "Update"

    def step(self) -> float | None:
        if self.plan.get("removing"):
            return self._remove_old()
        if not self._arrived():
            if self._may_arrive():
                return ENGINE_AGAIN
            return fail(self.operation, "", "The new version did not reach the engine.")
        for part in self.plan["consumers"]:
            if part["state"] != "done":
                return self._lead(part)
        return self._remove_old()

    def _lead(self, part: Part) -> float | None:
        """One step of one service towards the new version."""
        try:
            service = self.engine.service(part["id"])
        except ObjectMissing:
            return self._done(part, "it no longer exists")
        if self._uses(service["Spec"], "new"):
            return self._follow(part, service)
        if not self._uses(service["Spec"], "old"):
            return self._done(part, "it uses neither version any more")
        if self._was_led(part):
            return self._came_back(part, service)
        return self._send(part, service)

    def _was_led(self, part: Part) -> bool:
        """Whether it has had the new version. If nobody noted it, a task that has it tells."""
        if part["state"] == "sending":
            return self._led_template(part["id"]) is not None
        return part["state"] == "following"

    def _led_template(self, service_id: str) -> Raw | None:
        """The template of the newest task that has the new version, though its service has not."""
        tasks = self.engine.tasks(services=[service_id])
        led = [t for t in tasks if self._uses({"TaskTemplate": t["Spec"]}, "new")]
        newest = max(led, key=lambda task: str(task["CreatedAt"]), default=None)
        template: Raw | None = newest["Spec"] if newest else None
        return template

    def _send(self, part: Part, service: Raw) -> float | None:
        """Write the one reference, unless another rollout has to end first."""
        if (service.get("UpdateStatus") or {}).get("State") in ("updating", "rollback_started"):
            if specs.is_held(service["Spec"]):
                return self._failed(part, "its rollout was stopped half way")
            return self._wait(part, service, "waits until the rollout under way has ended")
        fresh = self._rereferenced(service["Spec"], "old", "new")
        part |= {"state": "sending", "hash": specs.spec_hash(fresh)}
        part |= {"moved_at": timezone.now().isoformat(), "new": 0}
        seen = revisions.Seen(part["id"], service["Version"]["Index"], service["Spec"])
        with transaction.atomic():
            revisions.lock(self.operation.cluster)
            revisions.keep(self.operation.cluster, [seen])
            self._write(steps=self._step(part, "running", "send the changed spec"))
        if not self._post(part, service, fresh):
            return AGAIN_SOON
        part["state"] = "following"
        self._write(accepted_version=0, error="")
        return AGAIN_SOON

    def _post(self, part: Part, service: Raw, fresh: Raw) -> bool:
        """Whether the engine took it. What it refuses is told; a stale version is read again."""
        try:
            self.engine.update_service(part["id"], service["Version"]["Index"], fresh)
        except StaleVersion:
            return False
        except Refused as error:
            part["state"] = "waiting"
            del part["hash"]
            self._failed(part, f"the engine refused the change: {error}")
            return False
        return True

    def _follow(self, part: Part, service: Raw) -> float | None:
        seen = self._look(service, service["Spec"]["TaskTemplate"])
        if seen.update_state in ("paused", "rollback_paused"):
            return self._failed(part, trouble(seen, "Swarm paused the rollout"))
        job = specs.mode_of(service["Spec"]).endswith("-job")
        if job or (seen.converged and self._steady(service, seen)):
            if following.pages_lag(self.operation.cluster, service):
                return AGAIN_SOON
            return self._done(
                part, "" if job else f"{seen.new} of {seen.desired} tasks run with it"
            )
        if self._keeps_failing(part, seen):
            return self._failed(part, trouble(seen, "its new tasks fail"))
        return self._wait(part, service, f"{seen.new} of {seen.desired} tasks", seen)

    def _steady(self, service: Raw, seen: Rollout) -> bool:
        """A service whose tasks fail and start again is whole for moments."""
        if not seen.error:
            return True
        young = timezone.now() - STEADY
        wanted = [t for t in self.tasks if t.get("DesiredState") == "running"]
        times = (readings.moment(t["Status"].get("Timestamp")) for t in wanted)
        return all(at is not None and at < young for at in times)

    def _keeps_failing(self, part: Part, seen: Rollout) -> bool:
        if seen.moving or not seen.error:
            part.pop("troubled_at", None)
            return False
        since = part.setdefault("troubled_at", timezone.now().isoformat())
        return timezone.now() - datetime.fromisoformat(since) > FAILING

    def _came_back(self, part: Part, service: Raw) -> float | None:
        """The service refers to the old version again: Swarm rolled back, or somebody wrote it."""
        failed = self._led_template(part["id"])  # Swarm forgets the spec that it rolls back
        seen = self._look(service, failed or service["Spec"]["TaskTemplate"])
        if not seen.update_state.startswith("rollback"):
            return self._failed(part, "somebody else returned it to the old version meanwhile")
        if seen.moving:
            return self._wait(part, service, "Swarm is rolling it back", seen)
        return self._failed(part, trouble(seen, "Swarm rolled it back"))

    def _wait(
        self, part: Part, service: Raw, message: str, seen: Rollout | None = None
    ) -> float | None:
        """Look again soon, but not for ever."""
        now, new = timezone.now(), seen.new if seen else 0
        if part.get("new") != new or "moved_at" not in part:
            part |= {"new": new, "moved_at": now.isoformat()}
        config = service["Spec"].get("UpdateConfig") or {}
        own_pace = timedelta(seconds=(config.get("Delay", 0) + config.get("Monitor", 0)) / 10**9)
        if now - datetime.fromisoformat(part["moved_at"]) > following.PATIENCE + own_pace:
            minutes = following.PATIENCE.seconds // 60
            error = f"no progress for {minutes} minutes. {seen.error if seen else ''}".strip()
            return self._failed(part, error)
        error = f"{part['name']}: {seen.error}" if seen and seen.error else ""
        self._write(steps=self._step(part, "running", message), error=error)
        return AGAIN

    def _done(self, part: Part, message: str) -> float:
        part["state"] = "done"
        self._write(steps=self._step(part, "done", message), error="")
        return AGAIN_SOON

    def _failed(self, part: Part, error: str) -> float:
        part["failed"] = True
        self.operation.plan = {**self.plan}
        return fail(self.operation, part["name"], error, steps=self._step(part, "failed", error))

    def _remove_old(self) -> float | None:
        """Every service has the new version: the old one goes, unless somebody else uses it."""
        if not self.plan.get("removing"):
            self.plan["removing"] = True
            self._write(steps=noted(self.operation, "remove-old", "running"))
        if reason := self._remove(self.old):
            kept = f"{self.old['name']} stays: {reason}"
            return self._succeeded(f" {kept}", noted(self.operation, "remove-old", "stopped", kept))
        return self._succeeded(
            f" {self.old['name']} was removed.", noted(self.operation, "remove-old", "done")
        )

    def _succeeded(self, ending: str, steps: list[dict[str, Any]]) -> float | None:
        count = len(self.plan["consumers"])
        services = f"{count} service{'' if count == 1 else 's'}"
        verb = "uses" if count == 1 else "use"
        result = f"{services} {verb} {self.new['name']}." if count else "No service used it."
        with transaction.atomic():
            if self.noun == "secret":  # its value is out of use: nobody shall put it back
                kept = KeptSecret.objects.filter(cluster=self.operation.cluster)
                kept.filter(name=self.old["name"]).delete()
            lease.move(
                self.operation,
                S.SUCCEEDED,
                error="",
                result=result + ending,
                done=count,
                steps=steps,
            )
        return None
