"""Tags and filters of the Swarm's vocabulary, known to every template."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.models import User
from access.policy import Action, Scope
from access.words import said
from clusters import specs
from clusters.models import MODELS, Cluster, Config, Operation, Secret, Service
from clusters.operations import disposing
from clusters.operations.rights import ACTIONS
from clusters.ports import Noun
from clusters.readings import STACK_LABEL
from clusters.selectors.objects import nouns_seen_by
from clusters.selectors.tasks import Slot
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


@register.filter
def item(mapping: dict[str, Any], key: str) -> Any:
    """A value of a mapping by a key that the template holds in a variable."""
    return mapping.get(key)


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
