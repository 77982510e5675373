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


FIELD_ORDER = (
    *("Name", "Labels", "TaskTemplate", "Mode", "UpdateConfig", "RollbackConfig"),
    *("Networks", "EndpointSpec"),
)
# Of the fields that managers know, those that they leave out when they are empty.
OMITTED_WHEN_EMPTY = {
    *("Command", "Args", "Hostname", "Env", "Dir", "User", "Groups", "TTY", "OpenStdin"),
    *("ReadOnly", "StopSignal", "Hosts", "Nameservers", "Search", "Secrets", "Configs", "Mounts"),
    *("Sysctls", "CapabilityAdd", "CapabilityDrop", "Ulimits", "Constraints", "Preferences"),
    *("MaxReplicas", "Platforms", "Networks", "Ports", "NanoCPUs", "MemoryBytes", "Pids"),
    *("Aliases", "DriverOpts", "Labels", "Source", "GenericResources"),
}


def normalise_service(posted: Spec) -> Spec:
    """The spec as managers store and return it. The posted one is left alone."""
    spec: Spec = _without_empty(posted)
    spec["Labels"] = spec.get("Labels") or {}
    spec["Mode"] = _normalise_mode(spec.get("Mode") or {})
    _normalise_template(spec.setdefault("TaskTemplate", {}))
    for name in ("UpdateConfig", "RollbackConfig"):
        if name in spec:
            spec[name] = _normalise_update(spec[name])
    if "EndpointSpec" in spec:
        spec["EndpointSpec"] = _normalise_endpoint(spec["EndpointSpec"])
    return {name: spec[name] for name in sorted(spec, key=_written_order)}


def _written_order(name: str) -> int:
    """Managers write the fields they know in this order; the others follow as they came."""
    return FIELD_ORDER.index(name) if name in FIELD_ORDER else len(FIELD_ORDER)


def _without_empty(value: Any, parent: str = "") -> Any:
    """A deep copy. Nulls stay in `Privileges` alone, where managers write them themselves."""
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_empty(item, key)
        for key, item in value.items()
        if (item is not None or parent == "Privileges")
        and not (key in OMITTED_WHEN_EMPTY and not item)
    }


def _normalise_mode(mode: Spec) -> Spec:
    for name in ("Replicated", "Global", *JOB_MODES):
        if name in mode:
            return {name: _normalise_counts(name, mode[name])}
    return {"Replicated": {"Replicas": 1}}


def _normalise_counts(mode: str, given: Spec) -> Spec:
    if mode == "Replicated":
        return {"Replicas": given.get("Replicas", 1)}
    if mode == "ReplicatedJob":
        concurrent = given.get("MaxConcurrent", 1)
        total = given.get("TotalCompletions", concurrent)
        return {"MaxConcurrent": concurrent, "TotalCompletions": total}
    return {}


def _normalise_template(template: Spec) -> None:
    container = template.get("ContainerSpec")
    if container is not None:
        container["Isolation"] = container.get("Isolation") or "default"
    policy = template.get("RestartPolicy")
    if policy is not None:
        policy["Condition"] = policy.get("Condition") or "any"
        policy.setdefault("MaxAttempts", 0)
    template.setdefault("ForceUpdate", 0)
    template.setdefault("Runtime", "container")


def _normalise_update(config: Spec) -> Spec:
    normal = {"Parallelism": 0, "FailureAction": "pause"}
    normal.update({name: value for name, value in config.items() if value != ""})
    normal.setdefault("MaxFailureRatio", 0)
    normal.setdefault("Order", "stop-first")
    return {name: value for name, value in normal.items() if name != "Delay" or value}


def _normalise_endpoint(endpoint: Spec) -> Spec:
    normal = {"Mode": "vip"} | {name: value for name, value in endpoint.items() if value != ""}
    if "Ports" in normal:
        normal["Ports"] = [_normalise_port(port) for port in normal["Ports"]]
    return normal


def _normalise_port(port: Spec) -> Spec:
    return {"Protocol": "tcp", "PublishMode": "ingress"} | port


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
