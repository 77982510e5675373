"""The trail as a file: JSON lines, which can be proved without the panel, or CSV for a table."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from access.audit import exported
from access.chain import FIELDS
from access.models import AuditEntry

BATCH = 1000  # entries in memory at a time
COLUMNS = (*FIELDS, "hash")
# What a spreadsheet would take for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def batches(entries: QuerySet[AuditEntry]) -> Iterator[list[dict[str, Any]]]:
    """All that are there now, chain by chain, each from its first entry; a part at a time."""
    newest = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    frozen = entries.filter(id__lte=newest).order_by("cluster", "sequence")
    cluster, sequence = "", 0
    while True:
        later = Q(cluster__gt=cluster) | Q(sequence__gt=sequence)
        batch = list(frozen.filter(later, cluster__gte=cluster)[:BATCH])
        if not batch:
            return
        cluster, sequence = batch[-1].cluster, batch[-1].sequence
        yield [exported(entry) for entry in batch]


def as_jsonl(batch: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in batch)


def as_csv(batch: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(entry[name]) for name in COLUMNS] for entry in batch)
    return text.getvalue()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else value if isinstance(value, str) else _as_json(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Format:
    media_type: str
    head: str  # what a file begins with
    written: Callable[[list[dict[str, Any]]], str]


FORMATS = {
    "jsonl": Format("application/jsonl", "", as_jsonl),
    "csv": Format("text/csv; charset=utf-8", ",".join(COLUMNS) + "\r\n", as_csv),
}


def pieces(entries: QuerySet[AuditEntry], kind: str) -> Iterator[str]:
    """The text of a file, a piece at a time."""
    form = FORMATS[kind]
    if form.head:
        yield form.head
    for batch in batches(entries):
        yield form.written(batch)
