"""The raw spec: the only place that writes into one. Pure functions; the input is never changed.

A Swarm update replaces the whole spec, so whatever is not sent is lost. Every function here takes
the raw spec as the Engine gave it, copies it, and touches the asked-for paths alone.
"""

import copy
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, cast

from clusters.changes import STACK_LABEL, Limits, Reservations, RolloutConfig, Update
from clusters.ports import Noun, Raw

OPERATION_LABEL = "io.pilothouse.operation"  # tells a panel that comes back which write was its own
# A secret or config never changes: it is replaced by another version of its family.
FAMILY_LABEL = "io.pilothouse.family"
VERSION_LABEL = "io.pilothouse.version"
ENV = "TaskTemplate.ContainerSpec.Env"
# Swarm has no "pause": a rollout is held by a delay that nobody lives to see the end of. Its
# updater starts anew with every write: at most one more task is replaced before the delay begins.
HELD_DELAY = 87_600 * 3600 * 10**9  # nanoseconds: ten years


class NotScalable(ValueError):
    """The service's mode has no replica count."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One path of the spec that differs; None means absent. `secret` values are for few eyes."""

    path: str
    before: Any
    after: Any
    secret: bool = False


def mode_of(spec: Raw) -> str:
    """replicated, global, replicated-job or global-job."""
    names = {
        "Replicated": "replicated",
        "Global": "global",
        "ReplicatedJob": "replicated-job",
        "GlobalJob": "global-job",
    }
    return next((name for key, name in names.items() if key in spec.get("Mode", {})), "replicated")


def replicas_of(spec: Raw) -> int | None:
    """The replica count of a replicated service (1 if the spec leaves it out); None for others."""
    mode = spec.get("Mode", {})
    if mode_of(spec) != "replicated":
        return None
    return int((mode.get("Replicated") or {}).get("Replicas", 1))


def image_of(spec: Raw) -> str:
    """The image as people name it: without the digest that Swarm pins."""
    return str(_container(spec).get("Image", "")).split("@", 1)[0]


def _container(spec: Raw) -> Raw:
    container: Raw = spec.get("TaskTemplate", {}).get("ContainerSpec") or {}
    return container


def _plain(spec: Raw) -> Raw:
    """The spec without our own label, which is no change that anybody asked for."""
    labels = {k: v for k, v in (spec.get("Labels") or {}).items() if k != OPERATION_LABEL}
    return {**spec, "Labels": labels}


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON."""
    text = json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _whole(value: Any) -> Any:
    """The value with every whole number as an int: JSON has one number 1, Python two."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def spec_hash(spec: Raw) -> str:
    """The identity of a spec, our own label left out."""
    return fingerprint(_plain(spec))


def operation_of(spec: Raw) -> str:
    """The id of the operation that wrote the spec; "" if it was not the panel."""
    return str((spec.get("Labels") or {}).get(OPERATION_LABEL, ""))


def marked(spec: Raw, operation_id: str) -> Raw:
    """The spec with the operation's id as a label. A service label restarts no task."""
    return {**spec, "Labels": {**(spec.get("Labels") or {}), OPERATION_LABEL: operation_id}}


# --- Secrets and configs: what a service refers to -----------------------------------------------

_VERSION = re.compile(r"(.+)[._-]v([1-9][0-9]{0,5})", re.ASCII)
LONGEST_NAME = 64  # of a secret or config, as the managers take it


@dataclass(frozen=True, slots=True)
class Reference:
    """How a service mounts a secret or config. Without a `file` (a runtime config) it mounts none.

    `mode` is the file's mode as `ls` knows it: 0o444.
    """

    id: str
    name: str
    file: str
    uid: str
    gid: str
    mode: int | None


def references(spec: Raw, noun: Noun) -> list[Reference]:
    """The secrets or configs that a service's containers get, in the spec's order."""
    return [_reference(raw, noun) for raw in _container(spec).get(f"{noun.title()}s") or []]


def _reference(raw: Raw, noun: Noun) -> Reference:
    title, file = noun.title(), raw.get("File") or {}
    return Reference(
        id=str(raw.get(f"{title}ID", "")),
        name=str(raw.get(f"{title}Name", "")),
        file=str(file.get("Name", "")),
        uid=str(file.get("UID", "")),
        gid=str(file.get("GID", "")),
        mode=file.get("Mode"),
    )


def refers_to(spec: Raw, noun: Noun, object_id: str) -> bool:
    return any(reference.id == object_id for reference in references(spec, noun))


def rereferenced(spec: Raw, noun: Noun, old: str, new: str, name: str) -> Raw:
    """The spec with every reference to `old` led to `new`; the file stays as it is mounted."""
    title = noun.title()
    fresh = copy.deepcopy(spec)
    for reference in _container(fresh).get(f"{title}s") or []:
        if reference.get(f"{title}ID") == old:
            reference[f"{title}ID"], reference[f"{title}Name"] = new, name
    return fresh


def family_of(name: str, labels: dict[str, str]) -> tuple[str, int]:
    """A secret's or config's family and version: by our labels, or else by a name like app_v3."""
    family, version = labels.get(FAMILY_LABEL), labels.get(VERSION_LABEL, "")
    if family and version.isascii() and version.isdigit() and len(version) < 7:
        return family, int(version)
    found = _VERSION.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, 1)


def version_name(family: str, version: int) -> str:
    """The name of one version of a family; a long family's name is cut to what the managers take.

    >>> version_name("db_password", 2)
    'db_password_v2'
    """
    ending = f"_v{version}"
    return family[: LONGEST_NAME - len(ending)] + ending


# --- Changes -------------------------------------------------------------------------------------


def scaled(spec: Raw, replicas: int) -> Raw:
    """The spec with another replica count. Raises NotScalable for global services and jobs."""
    mode = mode_of(spec)
    if mode != "replicated":
        raise NotScalable(
            f"A {mode} service has no replica count: Swarm decides how many tasks it runs."
        )
    new = copy.deepcopy(spec)
    replicated = (new.get("Mode") or {}).get("Replicated") or {}
    new["Mode"] = {**(new.get("Mode") or {}), "Replicated": {**replicated, "Replicas": replicas}}
    return new


def restarted(spec: Raw) -> Raw:
    """The spec with ForceUpdate counted up, which replaces every task."""
    new = copy.deepcopy(spec)
    new["TaskTemplate"]["ForceUpdate"] = new["TaskTemplate"].get("ForceUpdate", 0) + 1
    return new


def returned_to(spec: Raw, revision: Raw, *, keep_replicas: bool) -> Raw:
    """The revision's spec, with the present replica count if asked and if both have one.

    It stays in its present stack: that decides who may change it.
    """
    new = _in_stack_of(spec, copy.deepcopy(_plain(revision)))
    replicas = replicas_of(spec)
    if keep_replicas and replicas is not None and replicas_of(new) is not None:
        new = scaled(new, replicas)
    return new


def _in_stack_of(spec: Raw, new: Raw) -> Raw:
    labels = {name: value for name, value in new["Labels"].items() if name != STACK_LABEL}
    present = spec.get("Labels") or {}
    if STACK_LABEL in present:
        labels[STACK_LABEL] = present[STACK_LABEL]
    return {**new, "Labels": labels}


def held(spec: Raw) -> Raw:
    """The spec whose rollout stands still after at most one more task, until it is released."""
    new = copy.deepcopy(spec)
    new["UpdateConfig"] = {**(new.get("UpdateConfig") or {}), "Parallelism": 1, "Delay": HELD_DELAY}
    return new


def is_held(spec: Raw) -> bool:
    """Whether a stopped rollout left the service's updater standing still."""
    return bool((spec.get("UpdateConfig") or {}).get("Delay") == HELD_DELAY)


def updated(spec: Raw, change: Update) -> Raw:
    """The spec with the asked-for fields changed, and nothing else."""
    new = copy.deepcopy(spec)
    asked = change.model_fields_set
    template = new["TaskTemplate"]
    container = template["ContainerSpec"]
    if change.image is not None:
        container["Image"] = change.image
    if change.env:
        _set_or_remove(container, "Env", _env_list(container.get("Env") or [], change.env))
    if change.labels:
        new["Labels"] = _merged(new.get("Labels") or {}, change.labels)
    if change.container_labels:
        _set_or_remove(
            container, "Labels", _merged(container.get("Labels") or {}, change.container_labels)
        )
    if change.constraints is not None:
        _set_constraints(template, change.constraints)
    if "resources" in asked:
        _set_resources(template, change)
    if change.update_config is not None:
        new["UpdateConfig"] = _rollout(new.get("UpdateConfig"), change.update_config)
    if change.rollback_config is not None:
        new["RollbackConfig"] = _rollout(new.get("RollbackConfig"), change.rollback_config)
    return new


def _set_or_remove(where: Raw, key: str, value: Any) -> None:
    """An empty list or map is left out, as the Engine itself leaves it out."""
    if value:
        where[key] = value
    else:
        where.pop(key, None)


def _env_list(present: list[str], change: dict[str, str | None]) -> list[str]:
    """Changed variables keep their place, new ones come last, nulls go."""
    kept = []
    for entry in present:
        name = entry.split("=", 1)[0]
        if name not in change:
            kept.append(entry)
        elif change[name] is not None:
            kept.append(f"{name}={change[name]}")
    known = {entry.split("=", 1)[0] for entry in present}
    return kept + [
        f"{name}={value}"
        for name, value in change.items()
        if value is not None and name not in known
    ]


def _merged(present: dict[str, str], change: dict[str, str | None]) -> dict[str, str]:
    merged = {**present, **change}
    return {name: value for name, value in merged.items() if value is not None}


def _set_constraints(template: Raw, constraints: list[str]) -> None:
    placement = template.setdefault("Placement", {})
    _set_or_remove(placement, "Constraints", list(constraints))


def _set_resources(template: Raw, change: Update) -> None:
    for key, part in (
        ("Limits", change.resources.limits),
        ("Reservations", change.resources.reservations),
    ):
        if part.model_fields_set:
            resources = template.setdefault("Resources", {})
            _set_or_remove(resources, key, _amounts(resources.get(key) or {}, part))


def _amounts(present: Raw, change: Limits | Reservations) -> Raw:
    new = dict(present)
    names = {"cpus": "NanoCPUs", "memory": "MemoryBytes", "pids": "Pids"}
    for field in change.model_fields_set:
        value = getattr(change, field)
        if field == "cpus" and value is not None:
            value = round(value * 10**9)
        _set_or_remove(new, names[field], value)
    return new


def _rollout(present: Raw | None, change: RolloutConfig) -> Raw:
    names = {
        "parallelism": "Parallelism",
        "delay": "Delay",
        "failure_action": "FailureAction",
        "monitor": "Monitor",
        "max_failure_ratio": "MaxFailureRatio",
        "order": "Order",
    }
    # A service without the section has the Engine's defaults; ours are the same, written out.
    fields = change.model_fields_set if present else names.keys()
    new = {**(present or {}), **{names[field]: getattr(change, field) for field in fields}}
    for section in ("Delay", "Monitor"):  # as the Engine itself leaves out a zero of these
        _set_or_remove(new, section, new.get(section))
    return cast(Raw, _whole(new))


# --- What a change means -------------------------------------------------------------------------


def replaces_tasks(before: Raw, after: Raw) -> bool:
    """Whether Swarm will replace the running tasks: it compares the task templates."""
    return bool(before.get("TaskTemplate") != after.get("TaskTemplate"))


# What a container reaches beyond its own files. The panel changes none of it, but a rollback leads
# to a spec that somebody with the whole engine at hand wrote, and may have taken back since.
_REACHING = (
    "TaskTemplate.Runtime", "TaskTemplate.PluginSpec", "TaskTemplate.Networks", "Networks",
    *(f"TaskTemplate.ContainerSpec.{name}" for name in (
        "CapabilityAdd", "CapabilityDrop", "Isolation", "Mounts", "Privileges", "Secrets",
        "Sysctls",
    )),
)  # fmt: skip


def widened(before: Raw, after: Raw) -> list[str]:
    """The paths by which `after` lets its containers reach what those of `before` do not."""
    return [path for path in _REACHING if _reaches_more(path, _at(before, path), _at(after, path))]


def _at(spec: Raw, path: str) -> Any:
    found: Any = spec
    for name in path.split("."):
        found = (found or {}).get(name)
    return found


def _reaches_more(path: str, before: Any, after: Any) -> bool:
    if path.endswith("Drop"):
        before, after = after, before
    if isinstance(before or [], list) and isinstance(after or [], list):
        return bool({_reach(entry) for entry in after or []} - set(map(_reach, before or [])))
    return (before or None) != (after or None)


def _reach(entry: Any) -> str:
    """What an entry of a list reaches. For a secret: which; not by which file."""
    secret = entry.get("SecretID") if isinstance(entry, dict) else None
    return str(secret or fingerprint(entry))


def differences(before: Raw, after: Raw) -> list[Difference]:
    """Every path in which two specs differ, our own label left out. Env is compared by name."""
    found: list[Difference] = []
    _compare("", _plain(before), _plain(after), found)
    return found


def _compare(path: str, before: Any, after: Any, found: list[Difference]) -> None:
    if before == after:
        return
    if path == ENV and _by_name(before) != _by_name(after):
        before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            _compare(f"{path}.{key}" if path else key, before.get(key), after.get(key), found)
    else:
        secret = path.startswith(ENV) or ENV.startswith(path)  # in it, or a section that holds it
        found.append(Difference(path, before, after, secret))


def _by_name(env: list[str] | None) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in env or [])


def has_env(spec: Raw) -> bool:
    return bool(_container(spec).get("Env"))


def redacted(spec: Raw) -> Raw:
    """The spec for those who may not see environment values."""
    env = _container(spec).get("Env")
    if not env:
        return spec
    new = copy.deepcopy(spec)
    new["TaskTemplate"]["ContainerSpec"]["Env"] = [f"{entry.split('=', 1)[0]}=•••" for entry in env]
    return new
