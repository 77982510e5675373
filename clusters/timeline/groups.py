"""What happened to many at once, told as one: a node that goes takes hundreds of services along."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from clusters.timeline.entries import Entry

MANY = 6  # from how many on they are told as one
TOGETHER = 15.0  # seconds within which they happened
NAMED = 60  # of a group
MOST_LINES = 300  # of a list


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that differ in nothing but what they happened to, and the moment; the newest first.

    A group of one is that entry.
    """

    entries: list[Entry]

    @property
    def id(self) -> str:
        return self.entries[0].id

    @property
    def newest(self) -> Entry:
        return self.entries[0]

    @property
    def since(self) -> datetime:
        return min(entry.at for entry in self.entries)

    @property
    def is_one(self) -> bool:
        return len(self.entries) == 1

    @property
    def named(self) -> list[Entry]:
        return self.entries[:NAMED]

    @property
    def more(self) -> int:
        return max(0, len(self.entries) - NAMED)


def grouped(entries: Iterable[Entry]) -> list[Group]:
    """The entries, newest first, as lines of a list: each stands where its newest stood."""
    lines: list[list[Entry]] = []
    open_lines: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        key = (entry.kind, entry.look, entry.state, entry.before, entry.text, entry.who)
        line = open_lines.get(key)
        alone = entry.count > 1 or entry.kind == "operation"
        if not alone and line and (line[0].at - entry.at).total_seconds() <= TOGETHER:
            line.append(entry)
            continue
        line = [entry]
        lines.append(line)
        if not alone:
            open_lines[key] = line
    return _apart(lines)


def _apart(lines: list[list[Entry]]) -> list[Group]:
    """Few are told one by one."""
    found: list[Group] = []
    for line in lines:
        found += [Group(line)] if len(line) >= MANY else [Group([entry]) for entry in line]
    return sorted(found, key=_moment, reverse=True)


def _moment(group: Group) -> tuple[datetime, str]:
    return group.newest.last_at or group.newest.at, group.id
