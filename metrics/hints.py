"""Why a query that is right finds nothing: each of its selectors is looked up, part by part."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from metrics.ports import Metrics, MetricsError, TooMuch
from metrics.promql import is_label
from metrics.syntax import Selector, read

MOST_SELECTORS = 4
MOST_NEAR = 3
MOST_VALUES = 6
LONGEST = 4.0  # seconds after which no further question is begun
RANGES = "Is its range, as [5m], at least as long as two scrapes?"


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence, and what could stand there instead, the nearest first."""

    words: str
    instead: tuple[str, ...] = ()


def hints(metrics: Metrics, query: str, start: datetime, end: datetime) -> list[Hint]:
    """What is not there between the two moments; a source that fails meanwhile gives none."""
    found: list[Hint] = []
    look = _Look(metrics, start, end)
    try:
        for selector in read(query).selectors[:MOST_SELECTORS]:
            found += look.at(selector)
    except MetricsError:
        return found
    if found or not look.looked:
        return list(dict.fromkeys(found))
    return [Hint(f"Every series that it names is there: the calculation leaves none. {RANGES}")]


class _Look:
    def __init__(self, metrics: Metrics, start: datetime, end: datetime) -> None:
        self._metrics, self._start, self._end = metrics, start, end
        self._until = time.monotonic() + LONGEST
        self.looked = 0

    def _ask(self, label: str, selector: str = "") -> Sequence[str]:
        if time.monotonic() > self._until:
            raise TooMuch("That took long enough.")
        return self._metrics.values(label, self._start, self._end, selector)

    def _labels(self, selector: str) -> Sequence[str]:
        return self._metrics.labels(self._start, self._end, selector)

    def at(self, selector: Selector) -> list[Hint]:
        self.looked += 1
        metric = selector.metric
        if not metric:
            return [] if self._ask("__name__", str(selector)) else [_no_series(selector)]
        if not self._ask("__name__", _named(metric)):
            return [self._no_metric(metric)]
        others = [m for m in selector.matchers if m[0] != "__name__"]
        if not others or self._ask("__name__", str(selector)):
            return []
        found = list(self._wrong_matchers(metric, others))
        return found or [Hint(f"Each label of {selector} is there, but in no series together.")]

    def _no_metric(self, metric: str) -> Hint:
        names = self._ask("__name__")
        if not names:
            return Hint("This Prometheus has no series at all in this range.")
        return Hint(f"There is no metric named {metric} in this range.", nearest(metric, names))

    def _wrong_matchers(self, metric: str, matchers: list[tuple[str, str, str]]) -> Iterator[Hint]:
        for label, how, value in matchers:
            alone = Selector(metric, 0, (), [(label, how, value)])
            if not is_label(label) or self._ask("__name__", str(alone)):
                continue
            values = self._ask(label, _named(metric))
            if not values:
                labels = [name for name in self._labels(_named(metric)) if name != "__name__"]
                yield Hint(f"{metric} has no label {label}.", nearest(label, labels, all_=True))
            else:
                there = nearest(value, values, all_=True)
                yield Hint(f'No {metric} has {label}{how}"{value}".', there)


def _no_series(selector: Selector) -> Hint:
    return Hint(f"No series fits {selector} in this range.")


def _named(metric: str) -> str:
    return str(Selector("", 0, (), [("__name__", "=", metric)]))


def nearest(name: str, names: Sequence[str], *, all_: bool = False) -> tuple[str, ...]:
    """Those that look like it, or have a word in common; with `all_`, others after them."""
    like = get_close_matches(name, names, MOST_NEAR, 0.6)
    words = {word for word in name.lower().split("_") if len(word) > 2}
    shared = sorted(names, key=lambda one: (-len(words & {*one.lower().split("_")}), one))
    shared = [one for one in shared if words & {*one.lower().split("_")}]
    rest = names if all_ else ()
    most = MOST_VALUES if all_ else MOST_NEAR
    return tuple(dict.fromkeys((*like, *shared, *rest)))[:most]
