"""The processes that a supervisor started, on disk, so that the next one can end what is left.

The kernel ends our children when the supervisor is killed (see `privileges.tethered`). This is
the second net, for a child that was between fork and that promise, or that is slow to end.
"""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

WAIT = 5.0  # seconds between the polite and the final signal


@dataclass(frozen=True)
class Record:
    """A process by id and start time (clock ticks since boot); an id alone may be reused."""

    name: str
    pid: int
    started: int
    stop_signal: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        # The name in parentheses may hold spaces and parentheses: count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def save(path: Path, records: list[Record]) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps([asdict(record) for record in records]))
    draft.replace(path)


def end_leftovers(path: Path) -> list[str]:
    """End what an earlier supervisor left behind, last started first; return the names."""
    left = [record for record in _load(path) if record.alive()]
    for record in reversed(left):
        _end(record)
    path.unlink(missing_ok=True)
    return [record.name for record in left]


def _load(path: Path) -> list[Record]:
    """What was saved; nothing if there is no file, or one cut short by a full disk."""
    try:
        return [Record(**entry) for entry in json.loads(path.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _end(record: Record) -> None:
    os.kill(record.pid, record.stop_signal)
    deadline = time.monotonic() + WAIT
    while record.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    if record.alive():
        os.kill(record.pid, signal.SIGKILL)
