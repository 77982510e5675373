"""Docker's units and the values of specs as people say them, known to every template."""

import json
from typing import Any

from django import template

from clusters import units
from clusters.ports import Noun
from clusters.specs import Reference

register = template.Library()


@register.filter
def duration(ns: int | None) -> str:
    return units.duration(ns)


@register.filter
def memory(count: int | None) -> str:
    return units.memory(count)


@register.filter
def gibibytes(count: int | None) -> str:
    """An amount of memory as a machine's size: "15.6 GiB"."""
    return f"{(count or 0) / 2**30:.1f} GiB"


@register.filter
def cpus(nano: int | None) -> str:
    return units.cpus(nano)


@register.filter
def octal(mode: int | None) -> str:
    """A file's mode as `ls` and `chmod` have it: 0444."""
    return "—" if mode is None else f"{mode:04o}"


@register.filter
def image_name(image: str) -> str:
    """The image without its digest."""
    return image.split("@", 1)[0]


@register.filter
def short_id(engine_id: str) -> str:
    return engine_id[:12]


@register.filter
def env_pairs(entries: list[str]) -> list[tuple[str, str]]:
    """Docker's NAME=value list as pairs."""
    return [(name, value) for name, _, value in (entry.partition("=") for entry in entries)]


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def spec_value(value: Any) -> str:
    """One side of a difference, in short."""
    if isinstance(value, dict | list):
        return json.dumps(value, indent=1, ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool) else str(value)


_SAID = {"MemoryBytes": units.memory, "NanoCPUs": units.cpus} | dict.fromkeys(
    ("Delay", "Monitor", "Interval", "Timeout", "StartPeriod", "StopGracePeriod", "Window"),
    units.duration,
)


@register.filter
def said_of(path: str, value: Any) -> str:
    """The raw number of a spec's path as people say it: "10s", "512M"; "" for other paths."""
    say = _SAID.get(path.rpartition(".")[2])
    return say(value) if say and isinstance(value, int) else ""


@register.filter
def parts(path: str) -> list[str]:
    """The names of a spec's path, between which a narrow column may break."""
    return path.split(".")


@register.filter
def mount_path(reference: Reference, noun: Noun) -> str:
    """Where the file is in the container: a secret's bare name is one below /run/secrets."""
    file = reference.file
    if file.startswith("/"):
        return file
    return f"/run/secrets/{file}" if noun == "secret" else f"/{file}"
