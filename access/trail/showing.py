"""An entry as a page shows it: its detail as differences and as pairs."""

import json
from dataclasses import dataclass
from typing import Any

from access.authorize import allowed_by
from access.models import AuditEntry
from access.policy import Action, Held, Scope


@dataclass(frozen=True, slots=True)
class Shown:
    """`differences`: name, before, after. `pairs`: whatever else the detail holds."""

    entry: AuditEntry
    differences: list[tuple[str, str, str]]
    pairs: list[tuple[str, str]]
    may_open: bool  # the operation's own page


def shown(entry: AuditEntry, grants: list[Held]) -> Shown:
    detail = entry.detail if isinstance(entry.detail, dict) else {"detail": entry.detail}
    before, after = detail.get("before"), detail.get("after")
    differences = []
    if "before" in detail and "after" in detail:
        detail = {name: detail[name] for name in detail if name not in ("before", "after")}
        differences = _differences(before, after)
    pairs = [(name, _text(value)) for name, value in _flat(detail)]
    scope = Scope(entry.cluster, entry.stack)
    may_open = bool(entry.operation) and Action.OPERATION_VIEW in allowed_by(grants, scope)
    return Shown(entry, differences, pairs, may_open)


def _differences(before: Any, after: Any) -> list[tuple[str, str, str]]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [("value", _text(before), _text(after))]
    names = dict.fromkeys((*before, *after))
    return [
        (name, _text(before.get(name)), _text(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _flat(detail: dict[str, Any]) -> list[tuple[str, Any]]:
    """`change` holds what was asked: its parts read better than it does."""
    found: list[tuple[str, Any]] = []
    for name, value in detail.items():
        if isinstance(value, dict) and value:
            found += [(f"{name}.{part}", inner) for part, inner in value.items()]
        else:
            found.append((name, value))
    return found


def _text(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
