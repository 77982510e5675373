"""The hash chain of the audit trail. Pure: whoever has an export can check it with this alone.

    hash(n) = SHA-256( hash(n-1) ‖ canonical JSON of entry n )        hash(0) = ""

The canonical JSON is UTF-8 with sorted keys and no spaces; a whole number is written as one.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What an entry's hash covers, in the export's names.
FIELDS = (
    "cluster", "sequence", "at", "phase", "actor", "via", "address", "action", "stack", "target",
    "operation", "outcome", "detail",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry of a chain that is not as it was written, and what is wrong with it."""

    cluster: str
    sequence: int
    reason: str


def link(previous: str, entry: Mapping[str, Any]) -> str:
    """The hash of `entry`, whose chain's last hash is `previous`."""
    covered = {name: entry[name] for name in FIELDS}
    text = json.dumps(
        _whole(covered), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()


def _whole(value: Any) -> Any:
    """Numbers as the database gives them back: it does not tell 2.0 from 2 beyond all doubt."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return value


def first_break(
    entries: Iterable[Mapping[str, Any]], sequence: int = 0, last: str = ""
) -> Break | None:
    """Follow one chain, oldest entry first, after entry `sequence` whose hash is `last`."""
    for entry in entries:
        sequence += 1
        cluster = str(entry["cluster"])
        if entry["sequence"] != sequence:
            return Break(cluster, sequence, f"entry {sequence} is missing")
        last = link(last, entry)
        if entry["hash"] != last:
            return Break(cluster, sequence, f"entry {sequence} is not as it was written")
    return None
