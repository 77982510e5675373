"""What a log is made of, and which tasks are read. No framework here."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clusters.ports import LogLine

MOST_STREAMS = 60
LONGEST_LINE = 4_000  # characters
NAMED = 10  # of the tasks that are left out


@dataclass(frozen=True, slots=True)
class Source:
    """A task whose log is read."""

    task_id: str
    task: str  # web.3
    node: str  # host name
    node_ready: bool
    tty: bool
    ended: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `at` is RFC 3339 with nanoseconds, which sorts as text."""

    at: str
    task: str
    task_id: str
    node: str
    stream: str  # stdout or stderr
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the log that its reader should know: what is missing, and why."""

    text: str
    task: str = ""
    node: str = ""


@dataclass(slots=True)
class Batch:
    lines: list[Line] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "lines": [asdict(line) for line in self.lines],
            "notices": [asdict(notice) for notice in self.notices],
        }


def line_of(source: Source, raw: LogLine) -> Line:
    """The line with whose it is, cut if it is endless."""
    text, more = raw.text, len(raw.text) - LONGEST_LINE
    if more > 0:
        text = f"{text[:LONGEST_LINE]} … ({more:,} more characters)"
    return Line(raw.at, source.task, source.task_id, source.node, raw.stream, text)


def choose(sources: Sequence[Source]) -> tuple[list[Source], list[Notice]]:
    """Those to read, and what is to be said of the others.

    `sources` come in the order of interest; only as many are read as fit.
    """
    silent = dict.fromkeys(source.node for source in sources if not source.node_ready)
    notices = [
        Notice(f"{named(node)} is not ready: its tasks' logs are missing.", node=node)
        for node in silent
    ]
    answering = [source for source in sources if source.node_ready]
    left_out = [source.task for source in answering[MOST_STREAMS:]]
    if left_out:
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        names = ", ".join(left_out[:NAMED])
        notices.append(
            Notice(f"Only {MOST_STREAMS} tasks are read at a time; left out: {names}{more}.")
        )
    return answering[:MOST_STREAMS], notices


def named(node: str) -> str:
    return node or "A node that is gone"


async def cancel(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel the tasks and wait until they are through with it; raises what went wrong in one."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    for outcome in await asyncio.gather(*ending, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
