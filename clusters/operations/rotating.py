"""Carry a rotation out: lead one service after another to the new version, or all of them back.

Each step looks at the engine first and does one thing. The plan in the operation's row only says
how far it is; what a service really refers to stands in its spec. A service is written at the
version just read, with one reference changed and everything else as it is by then, so that nothing
is sent twice and nobody's change is overwritten.
"""

import copy
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from access import audit
from access.authorize import Actor
from access.models import AuditEntry
from clusters import readings, specs
from clusters.inventory import revisions
from clusters.models import MODELS, Cluster, KeptSecret, Operation
from clusters.operations import approvals, following, lease, rollout
from clusters.operations.following import AGAIN, AGAIN_SOON
from clusters.operations.rights import may_still
from clusters.operations.rollout import Rollout
from clusters.operations.rotations import ARRIVES
from clusters.operations.steps import noted
from clusters.ports import Engine, EngineError, Noun, ObjectMissing, Raw, Refused, StaleVersion

EXPIRES = timedelta(minutes=15)  # a request that no worker took up by then surprises if it acts
BEGINS_WITHIN = timedelta(seconds=30)  # of an engine's silence before anything was changed
STEADY = timedelta(seconds=5)  # that tasks must run, once one of them has failed
FAILING = timedelta(seconds=20)  # of failures after Swarm has ended its update
ENGINE_AGAIN = 1.0  # seconds

S = Operation.State
Part = dict[str, Any]  # one service in the plan


def step(operation: Operation, engine_for: Callable[[Cluster], Engine]) -> float | None:
    """Take the rotation one step further; the seconds until the next, or None once it has ended."""
    if operation.state == S.PENDING:
        _begin(operation)
    try:
        return _Rotation(operation, engine_for(operation.cluster)).step()
    except EngineError as error:
        return _engine_away(operation, error)


def _begin(operation: Operation) -> None:
    """From pending to running. What must not be carried out any more goes back at once."""
    steps = noted(operation, "check", "done")
    lease.move(operation, S.RUNNING, started_at=timezone.now(), steps=steps)
    if not may_still(operation, MODELS[_noun(operation)].WRITE):
        _refused(operation)
        _fail(operation, "", "The right to do this was withdrawn before it began.")
    elif not approvals.stands(operation):
        _fail(operation, "", "It is protected, and nobody else approved the change.")
    elif timezone.now() - operation.released_at > EXPIRES:
        _fail(operation, "", "No worker took the request up within 15 minutes.")


def _refused(operation: Operation) -> None:
    actor = Actor(operation.requested_by, operation.requested_via, operation.requested_from or "")
    audit.record(
        actor,
        MODELS[_noun(operation)].WRITE,
        AuditEntry.Phase.REFUSED,
        scope=operation.scope,
        target=operation.target,
        operation=operation.id,
    )


def _noun(operation: Operation) -> Noun:
    if operation.rotates is None:
        raise ValueError(f"{operation} is no rotation")
    return operation.rotates


def _parts(operation: Operation) -> list[Part]:
    parts: list[Part] = operation.plan["consumers"]
    return parts


def _fail(operation: Operation, name: str, error: str, **fields: Any) -> float:
    """From now on the way leads back. `name`: the service that failed, if one did."""
    plan = {**operation.plan, "failed": {"name": name, "error": error}}
    lease.write(operation, plan=plan, error=f"{name}: {error}" if name else error, **fields)
    return AGAIN_SOON


def _engine_away(operation: Operation, error: EngineError) -> float:
    """Wait for the engine. If it was away before anything was changed, do not begin later on."""
    lease.write(operation, error=str(error))
    started = operation.started_at or timezone.now()
    untouched = all(part["state"] == "waiting" for part in _parts(operation))
    forward = operation.state == S.RUNNING and not operation.plan.get("failed")
    if forward and untouched and timezone.now() - started > BEGINS_WITHIN:
        _fail(operation, "", str(error))
    return ENGINE_AGAIN


class _Rotation:
    """One step of a rotation, with what it needs at hand."""

    def __init__(self, operation: Operation, engine: Engine) -> None:
        self.operation, self.engine, self.noun = operation, engine, _noun(operation)
        self.plan: dict[str, Any] = copy.deepcopy(operation.plan)
        self.old, self.new = self.plan["old"], self.plan["new"]

    def step(self) -> float | None:
        if self.plan.get("removing"):  # there is no way back from here, nor a need for one
            return self._remove_old()
        if self.operation.state == S.CANCELLING or self.plan.get("failed"):
            return self._back()
        return self._forward()

    # --- There ------------------------------------------------------------------------------------

    def _forward(self) -> float | None:
        if not self._arrived():
            if timezone.now() - self.operation.released_at < ARRIVES:
                return ENGINE_AGAIN
            return _fail(self.operation, "", "The new version did not reach the engine.")
        for part in self.plan["consumers"]:
            if part["state"] != "done":
                return self._lead(part)
        return self._remove_old()

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

    def _uses(self, spec: Raw, which: str) -> bool:
        object_id = self.plan[which]["id"]
        return bool(object_id) and specs.refers_to(spec, self.noun, object_id)

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
        with transaction.atomic():
            revisions.keep(
                self.operation.cluster, part["id"], service["Version"]["Index"], service["Spec"]
            )
            self._write(steps=self._step(part, "running", "send the changed spec"))
        if not self._post(part, service, fresh):
            return AGAIN_SOON
        part["state"] = "following"
        self._write(accepted_version=0, error="")
        return AGAIN_SOON

    def _rereferenced(self, spec: Raw, source: str, aim: str) -> Raw:
        aims = self.plan[aim]
        fresh = specs.rereferenced(
            spec, self.noun, self.plan[source]["id"], aims["id"], aims["name"]
        )
        return specs.marked(fresh, str(self.operation.pk))

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
            return self._failed(part, _trouble(seen, "Swarm paused the rollout"))
        job = specs.mode_of(service["Spec"]).endswith("-job")
        if job or (seen.converged and self._steady(service, seen)):
            if following.pages_lag(self.operation.cluster, service):
                return AGAIN_SOON
            return self._done(
                part, "" if job else f"{seen.new} of {seen.desired} tasks run with it"
            )
        if self._keeps_failing(part, seen):
            return self._failed(part, _trouble(seen, "its new tasks fail"))
        return self._wait(part, service, f"{seen.new} of {seen.desired} tasks", seen)

    def _look(self, service: Raw, template: Raw) -> Rollout:
        self.tasks = self.engine.tasks(services=[service["ID"]])
        ready = readings.ready_nodes(self.engine.nodes())
        # No task before this rotation had the new version: every error with it counts.
        return rollout.read(service, self.tasks, None, ready, template)

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
        return self._failed(part, _trouble(seen, "Swarm rolled it back"))

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
        return _fail(self.operation, part["name"], error, steps=self._step(part, "failed", error))

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

    def _remove(self, version: dict[str, Any]) -> str:
        """Why the version stays in the Swarm; empty once it is gone, whoever removed it."""
        try:
            with suppress(ObjectMissing):
                self.engine.remove(self.noun, version["id"])
        except Refused as error:
            return str(error)
        return ""

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

    # --- And back ---------------------------------------------------------------------------------

    def _back(self) -> float | None:
        """Lead the services back in reverse order, then remove the new version."""
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
            trouble = _trouble(seen, "it did not come up again with the old version")
            return self._is_back(part, trouble, "failed")
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
        elif timezone.now() - self.operation.released_at < ARRIVES:
            return ENGINE_AGAIN  # the request may still be on its way to the engine
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

    # --- What is written down ---------------------------------------------------------------------

    def _step(self, part: Part, state: str, message: str) -> list[dict[str, Any]]:
        back = self.operation.state == S.CANCELLING or bool(self.operation.plan.get("failed"))
        name = f"{'back' if back else 'update'}:{part['id']}"
        title = f"{'Return' if back else 'Update'} {part['name']}:"
        return noted(self.operation, name, state, message, title)

    def _write(self, **fields: Any) -> None:
        self.plan |= {"old": self.old, "new": self.new}
        done = sum(part["state"] == "done" for part in self.plan["consumers"])
        lease.write(self.operation, plan=copy.deepcopy(self.plan), done=done, **fields)


def _trouble(seen: Rollout, what: str) -> str:
    """What happened, with the task's own words if there are any."""
    why = seen.error or seen.update_message
    return f"{what}: {why}" if why else what
