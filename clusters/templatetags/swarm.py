"""Tags and filters of the Swarm's vocabulary, known to every template."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.models import User
from access.policy import Action, Scope
from access.words import said
from clusters import specs, units
from clusters.models import MODELS, Cluster, Config, Operation, Secret, Service
from clusters.operations import disposing
from clusters.operations.rights import ACTIONS
from clusters.ports import Noun
from clusters.readings import STACK_LABEL
from clusters.selectors.objects import nouns_seen_by
from clusters.selectors.tasks import Slot
from clusters.specs import Reference
from clusters.templatetags.looks import look

register = template.Library()


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """An icon of the sprite, for the eye alone: the text beside it says the same."""
    return format_html(
        '<svg class="icon {}" width="24" height="24" fill="none" stroke="currentColor"'
        ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        '<use href="{}#{}"></use></svg>',
        css,
        static("vendor/tabler/icons.svg"),
        name,
    )


@register.simple_tag
def state(kind: str, value: str) -> SafeString:
    """A state by shape, colour and word."""
    tone, shape, word = look(kind, value)
    return format_html('<span class="state tone-{}">{}{}</span>', tone, icon(shape), word)


@register.simple_tag
def word(kind: str, value: str) -> str:
    return look(kind, value).word


@register.filter
def tone(value: str, kind: str) -> str:
    return look(kind, value).tone


# --- Times ---------------------------------------------------------------------------------------

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(moment: datetime) -> str:
    """ "5 min ago", "in 20 s"; static/js/times.js says the same and keeps it current."""
    seconds = round((timezone.now() - moment).total_seconds())
    if abs(seconds) < 1:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size)
    text = f"{abs(seconds) // size} {unit}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def when(moment: datetime | str | None) -> str:
    """A moment, relative, with the exact time on hover. Takes ISO text too, as steps hold it."""
    if not moment:
        return "—"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime("%A %d %B %Y, %H:%M:%S %Z"),
        ago(moment),
    )


@register.filter
def ahead(moment: datetime | None) -> bool:
    """Whether a moment is still to come: an estimate that has passed tells nothing."""
    return moment is not None and moment > timezone.now() + timedelta(seconds=1)


@register.filter
def exactly(moment: datetime | None) -> str:
    """A moment in full: for the audit trail."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else "—"


_BROWSERS = ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome")
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")


@register.filter
def browser(user_agent: str) -> str:
    """What somebody signed in with, as they would call it: "Firefox on Windows"."""
    told = (*_BROWSERS, ("Safari/", "Safari"))
    name = next((name for mark, name in told if mark in user_agent), "")
    system = next((system for system in _SYSTEMS if system in user_agent), "")
    system = "a Mac" if system == "Macintosh" else system
    if not name:
        return user_agent[:40] or "An unknown program"
    return f"{name} on {system}" if system else name


@register.filter
def lasted(seconds: float | None) -> str:
    """Seconds as people say them: "42 s", "3 min 5 s"."""
    if seconds is None:
        return "—"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# --- Docker's units and values -------------------------------------------------------------------


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
def image_name(image: str) -> str:
    """The image without its digest."""
    return image.split("@", 1)[0]


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
def item(mapping: dict[str, Any], key: str) -> Any:
    """A value of a mapping by a key that the template holds in a variable."""
    return mapping.get(key)


@register.filter
def short_id(engine_id: str) -> str:
    return engine_id[:12]


# --- Small pictures ------------------------------------------------------------------------------


@register.simple_tag
def bar(done: int, total: int, tone: str = "good") -> SafeString:
    """How much of a whole, as a bar; the numbers stand beside it."""
    width = 60 if done >= total else round(60 * max(0, done) / total)
    return format_html(
        '<svg class="bar tone-{}" width="60" height="6" aria-hidden="true">'
        '<rect class="bar-whole" width="60" height="6" rx="3"></rect>'
        '<rect class="bar-part" width="{}" height="6" rx="3"></rect></svg>',
        tone,
        width if total else 0,
    )


# --- What the tables ask -------------------------------------------------------------------------

_URGENCY = (
    "failing",
    "pending",
    "paused",
    "updating",
    "starting",
    "running",
    "complete",
    "stopped",
)


@register.filter
def by_urgency(by_health: dict[str, int]) -> list[tuple[str, int]]:
    """The counts, what somebody should look at first; states that nobody is in are left out."""
    return [(name, by_health[name]) for name in _URGENCY if by_health.get(name)]


@register.filter
def active_count(operations: Iterable[Operation]) -> int:
    return sum(operation.active for operation in operations)


@register.filter
def short_name(service: Service) -> str:
    """The name without its stack's prefix, which stands beside it."""
    prefix = f"{service.stack}_"
    return service.name.removeprefix(prefix) if service.stack else service.name


@register.filter
def sorted_by(sort: str, key: str) -> str:
    """The value of aria-sort for a column; "" if the table is sorted by another."""
    return {key: "ascending", f"-{key}": "descending"}.get(sort, "")


@register.filter
def next_sort(sort: str, key: str) -> str:
    return f"-{key}" if sort == key else key


@register.filter
def held(service: Service) -> bool:
    return specs.is_held(service.spec)


@register.filter
def asked(operation: Operation) -> str:
    """What was asked for, in a few words: no value of a variable is among them."""
    change = operation.change
    if operation.kind == Operation.Kind.SCALE:
        return f"to {change.get('replicas')}"
    if operation.disposes:
        return operation.disposes
    if operation.rotates:
        return f"to {change.get('version')}"
    if operation.kind == Operation.Kind.ROLLBACK and change.get("revision"):
        return f"to revision {change['revision']}"
    if change.get("image"):
        return f"to {change['image']}"
    return ", ".join(name.replace("_", " ") for name in change)


@register.filter
def right(operation: Operation) -> Action:
    """The action that one must be allowed to do to ask for the operation once more."""
    if noun := operation.rotates:
        return MODELS[noun].WRITE
    kinds = {kind: action for kind, action in ACTIONS.values()}
    kinds |= {Operation.Kind(kind): action for kind, action in disposing.ACTIONS.items()}
    return kinds.get(Operation.Kind(operation.kind), Action.SWARM_INIT)


@register.filter
def env_pairs(entries: list[str]) -> list[tuple[str, str]]:
    """Docker's NAME=value list as pairs."""
    return [(name, value) for name, _, value in (entry.partition("=") for entry in entries)]


# --- Secrets and configs -------------------------------------------------------------------------


@register.simple_tag
def nouns_seen(user: User, cluster: Cluster) -> list[Noun]:
    """Which of secrets and configs the user may see in the cluster."""
    return nouns_seen_by(user, cluster)


@register.filter
def own_labels(found: Secret | Config) -> list[str]:
    """The labels that somebody gave it: not the stack's, which stands beside it, nor ours."""
    own = {k: v for k, v in found.labels.items() if k != STACK_LABEL}
    return [
        f"{k}={v}" if v else k for k, v in sorted(own.items()) if not k.startswith("io.pilothouse.")
    ]


@register.filter
def mount_path(reference: Reference, noun: Noun) -> str:
    """Where the file is in the container: a secret's bare name is one below /run/secrets."""
    file = reference.file
    if file.startswith("/"):
        return file
    return f"/run/secrets/{file}" if noun == "secret" else f"/{file}"


_PARTS = {
    "waiting": "waits for its turn",
    "sending": "is being sent the new version",
    "following": "its tasks are being replaced",
    "done": "has the new version",
    "returning": "is returning to the old version",
    "back": "has the old version",
}


@register.filter
def part_word(part: dict[str, Any]) -> str:
    """How far one service of a rotation is."""
    word = _PARTS.get(part["state"], part["state"])
    return f"failed; {word}" if part.get("failed") else word


@register.filter
def octal(mode: int | None) -> str:
    """A file's mode as `ls` and `chmod` have it: 0444."""
    return "—" if mode is None else f"{mode:04o}"


# --- The task matrix -----------------------------------------------------------------------------


@register.filter
def roomy(service: Service) -> bool:
    """Whether its tasks are few enough for cells with words."""
    return service.desired <= 12


@register.filter
def slot_label(slot: Slot) -> str:
    """A cell in words: "Slot 3 Failed node-2, old version, task: non-zero exit (1)"."""
    cell = slot.current
    place = cell.node or "not placed"
    text = f"Slot {slot.label} {look('task', cell.state).word}"
    if place != slot.label:
        text += f" {place}"
    more = [*(["old version"] if cell.old else []), *([cell.task.error] if cell.task.error else [])]
    return ", ".join([text, *more])


@register.filter
def parts(path: str) -> list[str]:
    """The names of a spec's path, between which a narrow column may break."""
    return path.split(".")


# --- Rows that hardly change ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A row of the services table is what these say, and what the viewer may do."""

    values: tuple[Any, ...]
    may: frozenset[Action]
    service: Service = field(compare=False)


@register.simple_tag
def service_row(service: Service, may: frozenset[Action]) -> SafeString:
    """The row, rendered once for all who see the same: a page of a hundred is mostly these.

    Its relative times are as old as its rendering; the browser sets them right.
    """
    fields = (value for name, value in vars(service).items() if name != "_state")
    return _rendered_row(_Row((service.cluster.name, *fields), may, service))


@lru_cache(maxsize=10_000)
def _rendered_row(row: _Row) -> SafeString:
    context = {"service": row.service, "may": row.may}
    return render_to_string("clusters/_service_row.html", context)


# --- Access --------------------------------------------------------------------------------------


@register.filter
def in_scopes(scope: Scope, scopes: Iterable[Scope] | None) -> bool:
    """Whether one of the scopes reaches this one."""
    return any(held.holds(scope) for held in scopes or ())


@register.filter
def said_action(action: Action) -> str:
    """An action in the words of people."""
    return said(action)


# --- At a glance ---------------------------------------------------------------------------------


@register.filter
def since(moment: datetime) -> str:
    """A moment after which something has been so: "for 5 min", kept current in the browser."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="since {}" data-for>{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime("%A %d %B %Y, %H:%M:%S %Z"),
        ago(moment).removesuffix(" ago"),
    )


@register.filter
def clock(moment: datetime) -> str:
    """A moment by the clock: today "14:03", else with its day."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localtime().date()
    return local.strftime("%H:%M" if today else "%d %b %H:%M")


# --- The timeline --------------------------------------------------------------------------------


@register.filter
def by_clock(moment: datetime) -> str:
    """A moment by the clock to the second, with its day if that is not today."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localtime().date()
    return local.strftime("%H:%M:%S" if today else "%a %d %b %H:%M:%S")


@register.filter
def lasted_until(moment: datetime, until: datetime) -> str:
    return f"for {lasted((until - moment).total_seconds())}"
