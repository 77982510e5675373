"""Answers to range queries, kept in the process: one question serves everybody who looks.

Whoever asks for the same at the same time waits for the one who was first. A window that has moved
on is asked for its new points alone. See docs/adr/0009-charts-are-kept-in-the-process.md.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from metrics.ports import MOST_SERIES, Answer, Metrics, MetricsError, Series, Value
from metrics.windows import Window, moment

AGAIN = 2  # steps whose points are asked for once more: a scrape may have come late
MOST_ENTRIES = 2_000
_Labels = frozenset[tuple[str, str]]


@dataclass(eq=False)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    window: Window | None = None
    answer: Answer = Answer(())
    failure: MetricsError | None = None
    failed_at: float = 0.0  # monotonic


class Cache:
    """Bounded: what nobody asked for the longest is forgotten first."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def range(
        self,
        metrics: Metrics,
        source: Hashable,
        query: str,
        window: Window,
        most: int = MOST_SERIES,
    ) -> Answer:
        """The first series in this window. `source` stands for whom `metrics` asks.

        `most`: how many are kept, of queries that may find many; a warning tells of the others.
        Raises MetricsAway, WrongQuery, TooMuch; whoever waited for one that failed fails with it.
        """
        began = time.monotonic()
        entry = self._entry((source, query, window.step, window.end - window.start, most))
        with entry.lock:
            if entry.failure and entry.failed_at >= began:
                raise entry.failure
            if entry.window != window:
                self._ask(entry, metrics, query, window, most)
            return entry.answer

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        return entry

    def _ask(self, entry: _Entry, metrics: Metrics, query: str, window: Window, most: int) -> None:
        missing = _missing(entry.window, window)
        try:
            fresh = metrics.range(query, moment(missing.start), moment(missing.end), window.step)
        except MetricsError as failure:
            entry.failure, entry.failed_at = failure, time.monotonic()
            raise
        fresh = _first(fresh, most)
        whole = missing == window
        entry.answer = fresh if whole else _joined(entry.answer, fresh, window, missing.start)
        entry.window, entry.failure = window, None


def _first(answer: Answer, most: int) -> Answer:
    total = len(answer.series)
    if total <= most:
        return answer
    return Answer(answer.series[:most], (f"Showing {most} of {total} series.", *answer.warnings))


def _missing(known: Window | None, wanted: Window) -> Window:
    """What is to be asked: the end of a window that has moved on, or else all of it."""
    if known is None or known.step != wanted.step or known.start > wanted.start:
        return wanted
    if not wanted.start <= known.end <= wanted.end:
        return wanted
    return wanted.since(known.end - AGAIN * wanted.step)


def _joined(old: Answer, fresh: Answer, window: Window, since: int) -> Answer:
    """The old points before `since`, then the fresh ones; series without any are gone."""
    points: dict[_Labels, list[tuple[float, Value]]] = {}
    labels = {}
    for series in old.series:
        kept = [point for point in series.points if window.start <= point[0] < since]
        points.setdefault(key := _key(series), []).extend(kept)
        labels[key] = series.labels
    for series in fresh.series:
        points.setdefault(key := _key(series), []).extend(series.points)
        labels[key] = series.labels
    found = (Series(labels[key], tuple(of)) for key, of in points.items() if of)
    return Answer(tuple(found), fresh.warnings)


def _key(series: Series) -> _Labels:
    return frozenset(series.labels.items())


CACHE = Cache()  # of this process
