"""The chains' heads, kept where whoever can write to the database cannot: off the host.

A head proves every entry up to it. Written to the log and, if PILOTHOUSE_AUDIT_HEADS names a
directory, to a file there, `verify` tells what was taken off the end or written anew since.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from django.utils import timezone

from access.audit import Head, heads

FILE = "audit-heads.jsonl"


class NoHeads(Exception):
    """The file holds no heads, or they cannot be read or written. `str()` says what to do."""


def lines(now: Iterable[Head] | None = None) -> Iterator[str]:
    """Each head as a line of JSON, without its end."""
    at = timezone.now().isoformat(timespec="seconds")
    for head in heads() if now is None else now:
        yield json.dumps(
            {"at": at, "cluster": head.cluster, "sequence": head.sequence, "hash": head.hash}
        )


def read(file: TextIO, name: str) -> list[Head]:
    """The heads of a file that `lines` wrote, or that came from a log: one in each line."""
    found = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            kept = json.loads(line[line.index("{") :])
            found.append(Head(str(kept["cluster"]), int(kept["sequence"]), str(kept["hash"])))
        except (ValueError, KeyError, TypeError) as error:
            raise NoHeads(f"Line {number} of {name} is no head of the audit trail.") from error
    if not found:
        raise NoHeads(f"{name} holds no head of the audit trail.")
    return found


def keep(directory: Path) -> None:
    """Add the heads to the file there, and wait until the disk has them."""
    path = directory / FILE
    try:
        known = _last_of(path)
        new = [head for head in heads() if known.get(head.cluster) != head]
        if not new:
            return
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines(new))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise NoHeads(
            f"The audit trail's heads cannot be written to {path}: {error.strerror}. Is what"
            " PILOTHOUSE_AUDIT_HEADS names mounted, and writable by the panel's user?"
        ) from error


def _last_of(path: Path) -> dict[str, Head]:
    """The newest head of each chain in the file; nothing if there is none yet, or only a part."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        try:
            return {head.cluster: head for head in read(file, str(path))}
        except NoHeads:
            return {}
