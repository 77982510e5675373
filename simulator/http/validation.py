"""What the Engine and the managers refuse in a service's spec, in their words."""

import re
from typing import Any

from simulator import constraints, specs
from simulator.cluster import Swarm
from simulator.http.errors import ApiError, invalid, name_taken, not_found, refused
from simulator.identifiers import service_name
from simulator.objects import Service, Spec

INT64, UINT64 = 1 << 63, 1 << 64
SMALLEST_CPU, SMALLEST_MEMORY = 1_000_000, 4 << 20
_NAME = re.compile(r"^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_]*[a-zA-Z0-9])?$")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:(?:localhost|(?=[^/]*[.:])[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]+)?/)?"
_IMAGE = re.compile(
    rf"^{_DOMAIN}(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?$"
)
LONGEST_IMAGE_NAME = 255
_UNSIGNED = {
    ("Mode", "Replicated", "Replicas"): "ReplicatedService",
    ("UpdateConfig", "Parallelism"): "UpdateConfig",
    ("RollbackConfig", "Parallelism"): "UpdateConfig",
    ("TaskTemplate", "ForceUpdate"): "TaskSpec",
}


def accept(swarm: Swarm, posted: Spec) -> Spec:
    """The spec in normal form, its networks by id; an `ApiError` if anybody would refuse it."""
    _check_types(posted)
    _check_words(posted)
    spec = specs.normalise_service(posted)
    spec["Name"] = spec.get("Name") or service_name()
    _resolve_networks(swarm, spec)
    _check_name(spec["Name"])
    _check_resources(spec)
    _check_restart_policy(spec)
    _check_placement(spec)
    _check_image(spec)
    _check_updates(spec)
    _check_mode(spec)
    _check_endpoint(spec)
    _check_references(swarm, spec)
    return spec


def _check_types(spec: Spec) -> None:
    """What does not fit the Engine's types is refused as JSON already."""
    for path, go_type in _UNSIGNED.items():
        value = _at(spec, path)
        if value is None or (type(value) is int and 0 <= value < UINT64):
            continue
        shown = {bool: "bool", str: "string", dict: "object", list: "array"}.get(type(value))
        raise invalid(
            f"json: cannot unmarshal {shown or f'number {value}'} into Go struct field "
            f"{go_type}.{'.'.join(path)} of type uint64"
        )


def _at(spec: Spec, path: tuple[str, ...]) -> Any:
    value: Any = spec
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _check_words(spec: Spec) -> None:
    """The choices that the Engine itself looks at."""
    template = spec.get("TaskTemplate") or {}
    if template.get("ContainerSpec") is None:
        raise invalid("mismatched Runtime and *Spec fields")
    if len([mode for mode in (spec.get("Mode") or {}).values() if mode is not None]) > 1:
        raise invalid("must specify only one service mode")
    for name in ("UpdateConfig", "RollbackConfig"):
        config = spec.get(name) or {}
        if config.get("FailureAction") not in (None, "", "pause", "continue", "rollback"):
            raise invalid(f"unrecognized update failure action {config['FailureAction']}")
        if config.get("Order") not in (None, "", "stop-first", "start-first"):
            raise invalid(f"unrecognized update order {config['Order']}")
    condition = (template.get("RestartPolicy") or {}).get("Condition")
    if condition not in (None, "", "none", "on-failure", "any"):
        raise invalid(f'invalid RestartCondition: "{condition}"')
    mode = (spec.get("EndpointSpec") or {}).get("Mode")
    if mode not in (None, "", "vip", "dnsrr"):
        raise invalid(f'invalid resolution mode: "{mode}"')


def _resolve_networks(swarm: Swarm, spec: Spec) -> None:
    for entry in spec["TaskTemplate"].get("Networks") or []:
        target = entry.get("Target")
        found = [net for net in swarm.store.networks if target in (net.id, net.name)]
        if not found:
            raise ApiError(500, not_found("network", str(target)).message)
        entry["Target"] = found[0].id


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise refused("name must be valid as a DNS name component")
    if len(name) > 63:
        raise refused("name must be 63 characters or fewer")


def _check_resources(spec: Spec) -> None:
    resources = spec["TaskTemplate"].get("Resources") or {}
    for part in (resources.get("Limits") or {}, resources.get("Reservations") or {}):
        cpu, memory = part.get("NanoCPUs") or 0, part.get("MemoryBytes") or 0
        if cpu and cpu < SMALLEST_CPU:
            raise refused(f"invalid cpu value {cpu / specs.SECOND:g}: Must be at least 0.001")
        if memory and memory < SMALLEST_MEMORY:
            raise refused(f"invalid memory value {memory}: Must be at least 4MiB")


def _check_restart_policy(spec: Spec) -> None:
    policy = specs.restart_policy(spec["TaskTemplate"])
    for name in ("Delay", "Window"):
        if (policy.get(name) or 0) < 0:
            raise refused(f"TaskSpec: restart-{name.lower()} cannot be negative")


def _check_placement(spec: Spec) -> None:
    try:
        constraints.parse(specs.constraints(spec["TaskTemplate"]))
    except constraints.InvalidConstraint as error:
        raise ApiError(500, f"rpc error: code = Unknown desc = {error}") from error


def _check_image(spec: Spec) -> None:
    image = str(spec["TaskTemplate"]["ContainerSpec"].get("Image") or "")
    if not image:
        raise refused("ContainerSpec: image reference must be provided")
    match = _IMAGE.match(image)
    if match is None or len(match["path"]) > LONGEST_IMAGE_NAME:
        raise refused(f'ContainerSpec: "{image}" is not a valid repository/tag')


def _check_updates(spec: Spec) -> None:
    for name, word in (("UpdateConfig", "update"), ("RollbackConfig", "rollback")):
        config = spec.get(name) or {}
        for key in ("Delay", "Monitor"):
            if (config.get(key) or 0) < 0:
                raise refused(f"TaskSpec: {word}-{key.lower()} cannot be negative")
        if not 0 <= (config.get("MaxFailureRatio") or 0) <= 1:
            raise refused(
                f"TaskSpec: {word}-maxfailureratio cannot be less than 0 or bigger than 1"
            )


def _check_mode(spec: Spec) -> None:
    mode = next(iter(spec["Mode"]))
    if mode == "Replicated" and spec["Mode"][mode]["Replicas"] >= INT64:
        raise refused("Number of replicas must be non-negative")
    if mode in specs.JOB_MODES and spec.get("UpdateConfig") is not None:
        raise refused("Jobs may not have an update config")


def _check_endpoint(spec: Spec) -> None:
    endpoint = spec.get("EndpointSpec") or {}
    ports = endpoint.get("Ports") or []
    ingress = [port for port in ports if port["PublishMode"] == "ingress"]
    if ingress and endpoint["Mode"] == "dnsrr":
        raise refused(
            "EndpointSpec: port published with ingress mode can't be used with dnsrr mode"
        )
    published = [(p["PublishedPort"], p["Protocol"]) for p in ports if p.get("PublishedPort")]
    if len(published) != len(set(published)):
        raise refused("EndpointSpec: duplicate published ports provided")


def _check_references(swarm: Swarm, spec: Spec) -> None:
    container = spec["TaskTemplate"]["ContainerSpec"]
    for kind, table in (("Secret", swarm.store.secrets), ("Config", swarm.store.configs)):
        for reference in container.get(f"{kind}s") or []:
            if reference.get(f"{kind}ID") not in table.by_id:
                name = reference.get(f"{kind}Name", "")
                raise refused(f"{kind.lower()} not found: {name}")


def check_change(service: Service, spec: Spec) -> None:
    unimplemented = "rpc error: code = Unimplemented desc = "
    if next(iter(spec["Mode"])) != service.mode:
        raise ApiError(501, unimplemented + "service mode change is not allowed")
    if spec["Name"] != service.name:
        raise ApiError(501, unimplemented + "renaming services is not supported")


def check_name_is_free(swarm: Swarm, name: str) -> None:
    if any(service.name == name for service in swarm.store.services):
        raise name_taken("service", name)


def check_ports_are_free(swarm: Swarm, service: Service, spec: Spec) -> None:
    for port in (spec.get("EndpointSpec") or {}).get("Ports") or []:
        owner = swarm.ports.owner(port) if port.get("PublishedPort") else None
        if owner is not None and owner != service.id:
            name = swarm.store.services.by_id[owner].name
            raise refused(
                f"port '{port['PublishedPort']}' is already in use by service '{name}' ({owner}) "
                "as an ingress port"
            )
