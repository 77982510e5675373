"""The axis: a lane for each kind, and in it what lasted and what happened, drawn together where it
would lie on top of each other. However much happened, there are at most COLUMNS marks in a lane.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from clusters.templatetags.looks import look
from clusters.timeline.entries import KINDS, Entry, Question

COLUMNS = 120
TONES = ("idle", "good", "busy", "warn", "bad")  # the worst of a column is what it shows
NAMED = 3  # entries that a mark names
EDGE = 0.02  # of the axis, in which a tick's text would not fit
# Between two ticks, by the range's length: seconds → seconds.
TICKS = ((3600, 600), (6 * 3600, 3600), (24 * 3600, 4 * 3600), (7 * 86400, 86400))


@dataclass(frozen=True, slots=True)
class Mark:
    """A part of a lane. Positions are in per cent of the axis."""

    since: datetime
    until: datetime
    left: float
    width: float
    tone: str
    open: bool  # it still lasts
    entries: list[Entry]

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def named(self) -> list[Entry]:
        return self.entries[:NAMED]

    @property
    def more(self) -> int:
        return len(self.entries) - NAMED


@dataclass(frozen=True, slots=True)
class Lane:
    kind: str
    title: str
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    left: float
    text: str


@dataclass(slots=True)
class _Column:
    tone: int = -1
    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry, tone: int) -> None:
        self.tone = max(self.tone, tone)
        self.entries.append(entry)


def lanes(question: Question, entries: Iterable[Entry]) -> list[Lane]:
    """A lane for each kind that is asked for, empty ones too: nothing happened is an answer."""
    titles = {kind: title for kind, title in KINDS.items() if kind in question.kinds}
    by_kind: dict[str, list[Entry]] = {kind: [] for kind in titles}
    for entry in entries:
        by_kind[entry.kind].append(entry)
    return [Lane(kind, titles[kind], _marks(question, found)) for kind, found in by_kind.items()]


def _marks(question: Question, entries: list[Entry]) -> list[Mark]:
    columns = [_Column() for _ in range(COLUMNS)]
    for entry in entries:
        tone = TONES.index(look(entry.look, entry.state).tone)
        end = question.until if entry.open else entry.until or entry.last_at or entry.at
        for number in range(_column(question, entry.at), _column(question, end) + 1):
            columns[number].add(entry, tone)
    runs: list[tuple[int, int]] = []  # first column, last column
    for number, column in enumerate(columns):
        if not column.entries:
            continue
        if runs and runs[-1][1] == number - 1 and _goes_on(columns[number - 1], column):
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [_mark(question, columns, *run) for run in runs]


def _goes_on(before: _Column, column: _Column) -> bool:
    shared = {entry.id for entry in before.entries} & {entry.id for entry in column.entries}
    return before.tone == column.tone and bool(shared)


def _mark(question: Question, columns: list[_Column], first: int, last: int) -> Mark:
    found = {entry.id: entry for column in columns[first : last + 1] for entry in column.entries}
    step = timedelta(seconds=question.seconds / COLUMNS)
    return Mark(
        since=question.since + first * step,
        until=question.since + (last + 1) * step,
        left=round(100 * first / COLUMNS, 2),
        width=round(100 * (last + 1 - first) / COLUMNS, 2),
        tone=TONES[columns[first].tone],
        open=last == COLUMNS - 1 and any(entry.open for entry in columns[last].entries),
        entries=list(found.values()),
    )


def _column(question: Question, moment: datetime) -> int:
    part = (moment - question.since).total_seconds() / question.seconds
    return min(COLUMNS - 1, max(0, int(part * COLUMNS)))


def ticks(question: Question) -> list[Tick]:
    """Round times of the panel's time zone."""
    step = next((step for most, step in TICKS if question.seconds <= most + 1), TICKS[-1][1])
    start = timezone.localtime(question.since)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = int((start - midnight).total_seconds() // step + 1)
    found, at = [], midnight + timedelta(seconds=passed * step)
    while at < question.until - timedelta(seconds=EDGE * question.seconds):
        left = 100 * (at - question.since).total_seconds() / question.seconds
        text = at.strftime("%a %d %b" if step >= 86400 else "%H:%M")
        found.append(Tick(at, round(left, 2), text))
        at += timedelta(seconds=step)
    return found
