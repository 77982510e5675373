"""One query that somebody asks: its answer, or why there is none.

It waits for the source, which may be slow: so only a few are asked at once, and the panel's other
requests keep their threads and connections.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from clusters.models import Cluster
from metrics.explanations import Explanation, explain
from metrics.hints import Hint, hints
from metrics.lints import lints
from metrics.models import Source
from metrics.ports import Answer, Metrics, MetricsAway, MetricsError, Series, WrongQuery
from metrics.sources import metrics_for, note_answer, note_silence, source_of
from metrics.windows import HOUR, MINUTE, Window, is_range, moment, window

INSTANT = "instant"
AT_ONCE = 8  # queries of this process
PATIENCE = 2.0  # seconds that one more waits for its turn
MOST_SHOWN = 50  # series

_turns = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Result:
    """`state`: ok, empty, wrong, away, busy or none (the cluster has no source).

    `series` are the first of `total`; `window` is None of an instant query.
    """

    state: str
    query: str
    range: str
    window: Window | None = None
    series: tuple[Series, ...] = ()
    total: int = 0
    warnings: tuple[str, ...] = ()
    lints: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    explanation: Explanation | None = None
    reason: str = ""
    since: datetime | None = None


def is_span(text: str) -> bool:
    return text == INSTANT or is_range(text)


def ask(cluster: Cluster, query: str, span: str) -> Result:
    """`span` is INSTANT or a range. Never raises a MetricsError."""
    source = source_of(cluster)
    if source is None:
        return Result("none", query, span)
    if not _turns.acquire(timeout=PATIENCE):
        return Result("busy", query, span)
    try:
        return _ask(source, query, span)
    finally:
        _turns.release()


def _ask(source: Source, query: str, span: str) -> Result:
    now = time.time()
    here = None if span == INSTANT else window(span, now)
    try:
        metrics = metrics_for(source)
        answer = _answer(metrics, query, here)
        found = _found(metrics, answer, query, here or _last_hour(now))
    except MetricsAway as failure:
        note_silence(source, str(failure))
        source.refresh_from_db(fields=["unavailable_since"])
        return Result("away", query, span, reason=str(failure), since=source.unavailable_since)
    except MetricsError as failure:
        note_answer(source)
        return Result("wrong", query, span, explanation=explain(query, failure))
    note_answer(source)
    return Result(
        "ok" if answer.series else "empty",
        query,
        span,
        here,
        answer.series[:MOST_SHOWN],
        len(answer.series),
        answer.warnings,
        tuple(lints(query)),
        found,
    )


def _answer(metrics: Metrics, query: str, here: Window | None) -> Answer:
    """Not by way of the cache: it may be large, and nobody else asks just this."""
    if here is None:
        return metrics.instant(query)
    return metrics.range(query, moment(here.start), moment(here.end), here.step)


def _last_hour(now: float) -> Window:
    return Window(int(now) - HOUR, int(now), MINUTE)


def _found(metrics: Metrics, answer: Answer, query: str, here: Window) -> tuple[Hint, ...]:
    if answer.series:
        return ()
    return tuple(hints(metrics, query, moment(here.start), moment(here.end)))


def wrong_with(cluster: Cluster, query: str) -> str:
    """What Prometheus finds wrong with a query for a chart; "" if nothing, or if it is away."""
    source = source_of(cluster)
    if source is None:
        return ""
    now = moment(int(time.time()))
    try:
        metrics_for(source).range(query, now, now, MINUTE)
    except WrongQuery as failure:
        found = explain(query, failure)
        return f"{found.words} Prometheus says: {found.said}".strip()
    except MetricsError:
        return ""
    return ""
