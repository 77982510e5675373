"""What managers refuse in a service's spec, in their words."""

import re
from typing import Any

from simulator import constraints, specs
from simulator.cluster import Swarm
from simulator.http.errors import ApiError, invalid, name_taken
from simulator.objects import Service, Spec

UINT64 = 1 << 64
_NAME = re.compile(r"^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_]*[a-zA-Z0-9])?$")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9-]+)*(?::[0-9]+)?/)?"
_IMAGE = re.compile(
    rf"^{_DOMAIN}{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?$"
)


def _refuse(message: str) -> ApiError:
    return invalid(f"rpc error: code = InvalidArgument desc = {message}")


def check_types(spec: Spec) -> None:
    """What does not even fit the Engine's types is refused as bad JSON."""
    mode: dict[str, Any] = spec.get("Mode") or {}
    replicas = (mode.get("Replicated") or {}).get("Replicas")
    if replicas is None:
        return
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        kind = "bool" if isinstance(replicas, bool) else "string"
        shown = f"number {replicas}" if isinstance(replicas, float) else kind
        raise _type_error(shown)
    if not 0 <= replicas < UINT64:
        raise _type_error(f"number {replicas}")


def _type_error(shown: str) -> ApiError:
    return invalid(
        f"json: cannot unmarshal {shown} into Go struct field "
        "ServiceSpec.Mode.Replicated.Replicas of type uint64"
    )


def check_spec(spec: Spec) -> None:
    name = str(spec.get("Name") or "")
    if not name or not _NAME.match(name):
        raise _refuse("name must be valid as a DNS name component")
    if len(name) > 63:
        raise _refuse("name must be 63 characters or fewer")
    _check_image(spec)
    _check_placement(spec)
    if len([mode for mode in (spec.get("Mode") or {}).values() if mode is not None]) > 1:
        raise invalid("must specify only one service mode")


def _check_image(spec: Spec) -> None:
    container = (spec.get("TaskTemplate") or {}).get("ContainerSpec")
    if container is None:
        raise _refuse("TaskSpec: missing runtime")
    image = str(container.get("Image") or "")
    if not image:
        raise _refuse("ContainerSpec: image reference must be provided")
    if not _IMAGE.match(image):
        raise _refuse(f'ContainerSpec: "{image}" is not a valid repository/tag')


def _check_placement(spec: Spec) -> None:
    try:
        constraints.parse(specs.constraints(spec["TaskTemplate"]))
    except constraints.InvalidConstraint as error:
        raise _refuse(str(error)) from error


def check_references(swarm: Swarm, spec: Spec) -> None:
    container = spec["TaskTemplate"]["ContainerSpec"]
    for kind, table in (("Secret", swarm.store.secrets), ("Config", swarm.store.configs)):
        for reference in container.get(f"{kind}s") or []:
            if reference.get(f"{kind}ID") not in table.by_id:
                name = reference.get(f"{kind}Name", "")
                raise _refuse(f"{kind.lower()} not found: {name}")


def check_change(service: Service, spec: Spec) -> None:
    if spec["Name"] != service.name:
        raise ApiError(
            501, "rpc error: code = Unimplemented desc = renaming services is not supported"
        )
    if next(iter(spec["Mode"])) != service.mode:
        raise ApiError(
            501, "rpc error: code = Unimplemented desc = service mode change is not allowed"
        )


def check_name_is_free(swarm: Swarm, name: str) -> None:
    if any(service.name == name for service in swarm.store.services):
        raise name_taken("service", name)
