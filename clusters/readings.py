"""Raw objects of the Engine's API as the fields of our rows. Pure functions."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from clusters import specs
from clusters.changes import STACK_LABEL
from clusters.ports import Raw

# The life of a task, in order; a task never goes back. (swarmkit api/types.proto)
TASK_STATES = (
    "new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting",
    "running", "complete", "shutdown", "failed", "rejected", "remove", "orphaned",
)  # fmt: skip
ENDED = frozenset(TASK_STATES[TASK_STATES.index("complete") :])
FAILED = frozenset({"failed", "rejected"})
_UPDATING = frozenset({"updating", "rollback_started"})
_PAUSED = frozenset({"paused", "rollback_paused"})


class Health(StrEnum):
    """What a service is in, in one word; the table filters by it."""

    RUNNING = "running"
    STARTING = "starting"
    UPDATING = "updating"
    PAUSED = "paused"  # a rollout stopped half way: by Swarm, after failures, or by a person
    FAILING = "failing"  # too few tasks run, and the newest ended in an error
    PENDING = "pending"  # too few tasks run, and Swarm finds no node for one
    STOPPED = "stopped"  # zero tasks wanted
    COMPLETE = "complete"  # a job that is done


def moment_of(nanoseconds: int | None) -> datetime | None:
    """The time of an event of the engine, which counts nanoseconds since 1970."""
    return datetime.fromtimestamp(nanoseconds / 10**9, UTC) if nanoseconds else None


def moment(text: str | None) -> datetime | None:
    """The Engine's RFC 3339 time with nanoseconds; None for its zero time."""
    if not text or text.startswith("0001-"):
        return None
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6].ljust(6, '0')}+00:00")


def storable(value: Any) -> Any:
    """The value without NUL, which an engine takes in a label or an error and PostgreSQL does not.

    One such service must not keep the whole cluster from being stored.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


def stack_of(labels: dict[str, str] | None) -> str:
    return (labels or {}).get(STACK_LABEL, "")[:64]


def template_hash(template: Raw) -> str:
    """The identity of a task template; the Engine writes the default runtime in one place only."""
    return specs.fingerprint(_without_runtime(template))


def _without_runtime(template: Raw) -> Raw:
    return {key: value for key, value in template.items() if key != "Runtime"}


def node_fields(raw: Raw) -> dict[str, Any]:
    spec, description, status = raw["Spec"], raw.get("Description") or {}, raw.get("Status") or {}
    platform, resources = description.get("Platform") or {}, description.get("Resources") or {}
    manager = raw.get("ManagerStatus") or {}
    return {
        "hostname": description.get("Hostname", "")[:255],
        "role": spec.get("Role", ""),
        "availability": spec.get("Availability", ""),
        "state": status.get("State", "unknown"),
        "message": status.get("Message", ""),
        "address": status.get("Addr", "")[:64],
        "leader": bool(manager.get("Leader")),
        "reachability": manager.get("Reachability", ""),
        "engine_version": (description.get("Engine") or {}).get("EngineVersion", "")[:32],
        "platform": f"{platform.get('OS', '')}/{platform.get('Architecture', '')}"[:64],
        "cpus": resources.get("NanoCPUs", 0) / 10**9,
        "memory": resources.get("MemoryBytes", 0),
        "labels": spec.get("Labels") or {},
        "version": raw["Version"]["Index"],
    }


def ready_nodes(nodes: Iterable[Raw]) -> frozenset[str]:
    """The ids of those whose tasks can be believed."""
    return frozenset(n["ID"] for n in nodes if (n.get("Status") or {}).get("State") == "ready")


def network_fields(raw: Raw) -> dict[str, Any]:
    configs = (raw.get("IPAM") or {}).get("Config") or []
    return {
        "name": raw["Name"],
        "stack": stack_of(raw.get("Labels")),
        "driver": raw.get("Driver", ""),
        "scope": raw.get("Scope", ""),
        "attachable": bool(raw.get("Attachable")),
        "ingress": bool(raw.get("Ingress")),
        "encrypted": "encrypted" in (raw.get("Options") or {}),
        "subnets": [config["Subnet"] for config in configs if config.get("Subnet")],
    }


def secret_fields(raw: Raw) -> dict[str, Any]:
    spec = raw["Spec"]
    return {
        "name": spec["Name"],
        "stack": stack_of(spec.get("Labels")),
        "labels": spec.get("Labels") or {},
        "driver": (spec.get("Driver") or {}).get("Name", "")[:255],
        "templating": (spec.get("Templating") or {}).get("Name", "")[:64],
        "version": raw["Version"]["Index"],
        "created_at": moment(raw["CreatedAt"]),
        "updated_at": moment(raw["UpdatedAt"]),
    }


def config_fields(raw: Raw) -> dict[str, Any]:
    fields = secret_fields(raw)
    del fields["driver"]  # a config's data always stands in the Swarm itself
    return {**fields, "data": base64.b64decode(raw["Spec"].get("Data") or "")}


def task_fields(raw: Raw, hash_of: Callable[[Raw], str] = template_hash) -> dict[str, Any]:
    """`hash_of` is the template's hash, for who knows a quicker way to it."""
    status, spec = raw.get("Status") or {}, raw.get("Spec") or {}
    container = status.get("ContainerStatus") or {}
    ended = status.get("State") in ENDED
    return {
        "service_engine_id": raw.get("ServiceID", ""),
        "slot": raw.get("Slot", 0),
        "node_engine_id": raw.get("NodeID", ""),
        "state": status.get("State", "new"),
        "desired_state": raw.get("DesiredState", ""),
        "message": status.get("Message", ""),
        "error": status.get("Err", ""),
        "exit_code": container.get("ExitCode") if ended else None,
        "image": (spec.get("ContainerSpec") or {}).get("Image", "").split("@", 1)[0],
        "container_id": container.get("ContainerID", ""),
        "template_hash": hash_of(spec),
        "version": raw["Version"]["Index"],
        "created_at": moment(raw["CreatedAt"]),
        "state_at": moment(status.get("Timestamp")) or moment(raw["CreatedAt"]),
    }


def service_fields(raw: Raw) -> dict[str, Any]:
    """Everything of a service that its own object tells; `tally` adds what its tasks tell."""
    spec, update = raw["Spec"], raw.get("UpdateStatus") or {}
    constraints = (spec.get("TaskTemplate", {}).get("Placement") or {}).get("Constraints") or []
    return {
        "name": spec["Name"],
        "stack": stack_of(spec.get("Labels")),
        "image": specs.image_of(spec),
        "mode": specs.mode_of(spec),
        "update_state": update.get("State", ""),
        "update_message": update.get("Message", ""),
        "update_started_at": moment(update.get("StartedAt")),
        "update_finished_at": moment(update.get("CompletedAt")),
        "version": raw["Version"]["Index"],
        "spec": spec,
        "previous_spec": raw.get("PreviousSpec"),
        "endpoint": raw.get("Endpoint") or {},
        "template_hash": template_hash(spec.get("TaskTemplate", {})),
        "placement": ", ".join(constraints)[:255],
        "created_at": moment(raw["CreatedAt"]),
        "updated_at": moment(raw["UpdatedAt"]),
    }


@dataclass(frozen=True, slots=True)
class Tally:
    """What a service's tasks add up to."""

    running: int
    desired: int
    health: Health
    last_error: str
    last_error_at: datetime | None


def tally(service: Raw, tasks: Sequence[Raw], ready_nodes: Iterable[str]) -> Tally:
    """Count the tasks that really run: one on a lost node still claims to, and does not count."""
    ready = set(ready_nodes)
    wanted = [
        task for task in tasks if task.get("DesiredState") in ("running", "ready", "accepted")
    ]
    running = sum(1 for t in wanted if _state(t) == "running" and t.get("NodeID") in ready)
    desired = _desired(service, wanted)
    troubled = [t for t in tasks if _state(t) in FAILED or waits_in_vain(t)]
    newest = max(troubled, key=lambda task: (waits_in_vain(task), _state_at(task)), default=None)
    return Tally(
        running=running,
        desired=desired,
        health=_health(service, tasks, wanted, running, desired),
        last_error=_error_of(newest) if newest else "",
        last_error_at=moment(_state_at(newest)) if newest else None,
    )


def _state(task: Raw) -> str:
    return str((task.get("Status") or {}).get("State", "new"))


def _state_at(task: Raw) -> str:
    return str((task.get("Status") or {}).get("Timestamp") or task["CreatedAt"])


def waits_in_vain(task: Raw) -> bool:
    """Whether the scheduler found no node for the task: its Err says why."""
    return _state(task) == "pending" and bool((task.get("Status") or {}).get("Err"))


def _error_of(task: Raw) -> str:
    status = task.get("Status") or {}
    return str(status.get("Err") or status.get("Message", ""))


def _desired(service: Raw, wanted: Sequence[Raw]) -> int:
    replicas = specs.replicas_of(service["Spec"])
    if replicas is not None:
        return replicas
    status = service.get("ServiceStatus") or {}
    return int(status.get("DesiredTasks", len(wanted)))


def _health(
    service: Raw, tasks: Sequence[Raw], wanted: Sequence[Raw], running: int, desired: int
) -> Health:
    update = (service.get("UpdateStatus") or {}).get("State", "")
    if update in _PAUSED or (update in _UPDATING and specs.is_held(service["Spec"])):
        return Health.PAUSED
    if update in _UPDATING:
        return Health.UPDATING
    if running >= desired:
        return _settled(service, tasks, desired)
    return _short(tasks, wanted)


def _settled(service: Raw, tasks: Sequence[Raw], desired: int) -> Health:
    if desired:
        return Health.RUNNING
    done = specs.mode_of(service["Spec"]).endswith("-job") and any(
        _state(t) == "complete" for t in tasks
    )
    return Health.COMPLETE if done else Health.STOPPED


def _short(tasks: Sequence[Raw], wanted: Sequence[Raw]) -> Health:
    """Why fewer tasks run than are wanted: the newest of each missing slot tells."""
    waiting = [task for task in wanted if _state(task) != "running"]
    if any(waits_in_vain(task) for task in waiting):
        return Health.PENDING
    slots = {_slot(task) for task in waiting}
    if any(_state(t) in FAILED and (not slots or _slot(t) in slots) for t in tasks):
        return Health.FAILING
    return Health.STARTING


def _slot(task: Raw) -> Any:
    return task.get("Slot") or task.get("NodeID")


def as_asked(service: Raw, tasks: Sequence[Raw]) -> bool:
    """Whether as many tasks run as the spec asks for, and each with its present template."""
    template = _without_runtime(service["Spec"].get("TaskTemplate", {}))
    wanted = [task for task in tasks if task.get("DesiredState") == "running"]
    return len(wanted) == _desired(service, wanted) and all(
        _without_runtime(task.get("Spec") or {}) == template for task in wanted
    )


def settled(task: Raw) -> bool:
    """Whether a task has reached what is desired of it, so that no change is due."""
    state, desired = _state(task), task.get("DesiredState")
    return state in ENDED or (state == "running" and desired == "running")
