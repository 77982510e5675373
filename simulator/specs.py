"""What managers make of a spec: normal form, defaults, and which tasks a change touches.

Unknown fields stay as they are: a client may be newer than this simulator.
"""

import copy
from typing import Any

from simulator.objects import Service, Spec, Task

SECOND = 1_000_000_000
DEFAULT_RESTART_DELAY = 5.0
DEFAULT_MONITOR = 5.0
JOB_MODES = ("ReplicatedJob", "GlobalJob")
UPDATE_DEFAULTS = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * SECOND,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def normalise_service(posted: Spec) -> Spec:
    """The spec as managers store and return it. The posted one is left alone."""
    spec = copy.deepcopy(posted)
    spec["Labels"] = spec.get("Labels") or {}
    spec["Mode"] = _normalise_mode(spec.get("Mode") or {})
    template = spec.setdefault("TaskTemplate", {})
    _normalise_template(template)
    for name in ("UpdateConfig", "RollbackConfig"):
        if spec.get(name) is not None:
            spec[name] = _normalise_update(spec[name])
    if spec.get("EndpointSpec") is not None:
        spec["EndpointSpec"] = _normalise_endpoint(spec["EndpointSpec"])
    stored: Spec = _without_nulls(spec)
    return stored


def _normalise_mode(mode: Spec) -> Spec:
    for name in ("Replicated", "Global", *JOB_MODES):
        if mode.get(name) is not None:
            chosen = dict(mode[name])
            if name == "Replicated":
                chosen.setdefault("Replicas", 1)
            if name == "ReplicatedJob":
                concurrent = chosen.setdefault("MaxConcurrent", 1)
                chosen.setdefault("TotalCompletions", concurrent)
            return {name: chosen}
    return {"Replicated": {"Replicas": 1}}


def _normalise_template(template: Spec) -> None:
    container = template.get("ContainerSpec")
    if container is not None:
        container.setdefault("Isolation", "default")
        for mount in container.get("Mounts") or []:
            mount.setdefault("Type", "bind")
    policy = template.get("RestartPolicy")
    if policy is not None:
        policy.setdefault("Condition", "any")
        policy.setdefault("MaxAttempts", 0)
    template.setdefault("ForceUpdate", 0)
    template.setdefault("Runtime", "container")


def _normalise_update(config: Spec) -> Spec:
    normal = {"Parallelism": 0, "FailureAction": "pause"}
    normal.update({name: value for name, value in config.items() if value != ""})
    normal.setdefault("MaxFailureRatio", 0)
    normal.setdefault("Order", "stop-first")
    return normal


def _normalise_endpoint(endpoint: Spec) -> Spec:
    normal = dict(endpoint)
    normal["Mode"] = normal.get("Mode") or "vip"
    if normal.get("Ports"):
        normal["Ports"] = [_normalise_port(port) for port in normal["Ports"]]
    return normal


def _normalise_port(port: Spec) -> Spec:
    normal = dict(port)
    normal.setdefault("Protocol", "tcp")
    normal.setdefault("PublishMode", "ingress")
    return normal


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def with_defaults(spec: Spec) -> Spec:
    """The spec with what managers assume, as `insertDefaults=true` shows it."""
    full = copy.deepcopy(spec)
    template = full["TaskTemplate"]
    container = template.get("ContainerSpec")
    if container is not None:
        container.setdefault("StopGracePeriod", 10 * SECOND)
        container.setdefault("DNSConfig", {})
    template.setdefault("Resources", {})
    policy = template.setdefault("RestartPolicy", {})
    for name, value in {"Condition": "any", "Delay": 5 * SECOND, "MaxAttempts": 0}.items():
        policy.setdefault(name, value)
    template.setdefault("Placement", {})
    for name in ("UpdateConfig", "RollbackConfig"):
        config = full.setdefault(name, {})
        for key, value in UPDATE_DEFAULTS.items():
            config.setdefault(key, value)
    return full


def restart_policy(spec: Spec) -> Spec:
    policy: Spec = spec.get("RestartPolicy") or {}
    return policy


def seconds(nanoseconds: int | None, default: float) -> float:
    return default if nanoseconds is None else nanoseconds / SECOND


def constraints(spec: Spec) -> list[str]:
    return list((spec.get("Placement") or {}).get("Constraints") or [])


def only_placement_differs(service: Service, task: Task) -> bool:
    wanted, present = dict(service.spec["TaskTemplate"]), dict(task.spec)
    changed = wanted.pop("Placement", None) != present.pop("Placement", None)
    return changed and wanted == present and _same_endpoint(service, task)


def is_outdated(service: Service, task: Task) -> bool:
    """Whether the task's spec differs from what the service now asks for."""
    if task.spec_version == service.spec_version:
        return False
    return task.spec != service.spec["TaskTemplate"] or not _same_endpoint(service, task)


def _same_endpoint(service: Service, task: Task) -> bool:
    return task.endpoint_spec == service.spec.get("EndpointSpec")
