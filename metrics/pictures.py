"""What somebody looks at, drawn: a source is asked, and what it says becomes charts.

`draw` is called by the poller's threads alone. It never raises a MetricsError: a picture says what
is missing and why.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from access.policy import Scope
from clusters.models import Cluster
from clusters.models import Service as ServiceRow
from metrics import panels
from metrics.alerts import FIRING, Fired, fired, spans
from metrics.cache import CACHE
from metrics.detection import learned
from metrics.explanations import explain
from metrics.labels import label_of, split
from metrics.mapping import Service
from metrics.models import SavedPanel, Source
from metrics.panels import Bounds, Line, Panel, Query
from metrics.ports import MOST_SERIES, Answer, Metrics, MetricsAway, MetricsError, Series, Value
from metrics.selectors import panels_of
from metrics.sources import cache_key, metrics_for, note_answer, note_silence, source_of
from metrics.syntax import read
from metrics.windows import MINUTE, Window, fine_window, is_fixed, window

log = logging.getLogger(__name__)

SPARK = 30 * MINUTE  # what a sparkline shows
SHORTEST, LONGEST = 5.0, 60.0  # seconds between two looks at what moves
AT_ONCE = 15.0  # seconds between two looks at alerts, whose beginning is news in every range
ANYTHING = "vector(1)"  # costs Prometheus nothing
UNKNOWN_INTERVAL = 60  # seconds between two scrapes, until they are known: Prometheus' default
MOST_ALERTS = 50
MOST_DRAWN = 20  # series of a saved panel


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be looked at: a service's charts, saved panels, or of a cluster the sparklines, the
    alerts that fired, the source.
    """

    kind: str  # service, panels, sparklines, alerts, source
    cluster: str
    service: str = ""
    range: str = ""
    stack: str = ""  # whose panels; "": the cluster's


@dataclass(frozen=True, slots=True)
class Drawn:
    """One series on the window's times; None is a gap."""

    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`needs`: which series it looked for; `error`: why there is no answer, in words."""

    name: str
    title: str
    unit: str
    series: tuple[Drawn, ...]
    lines: tuple[Line, ...] = ()
    needs: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at `at`, or from then until `until`: seconds since 1970.

    `kind` is operation, alert, or one that another part of the product adds. Its state is told by a
    word, a tone and an icon of the sprite.
    """

    kind: str
    at: float
    until: float | None
    label: str
    state: str
    tone: str
    icon: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of a subject.

    `state`: ok; none (the cluster has no source); gone (no such cluster or service); away, with
    `reason` and `since`.
    """

    state: str
    window: Window | None = None
    charts: tuple[Chart, ...] = ()
    alerts: tuple[Mark, ...] = ()
    fired: tuple[Fired, ...] = ()  # of the whole cluster: not everybody may see all of them
    reason: str = ""
    since: datetime | None = None
    again: float = SHORTEST  # seconds until it is worth another look
    looked_up_at: datetime | None = None  # of a source: when its names were


def draw(subject: Subject) -> Picture:
    """Ask the source, for as long as its timeout lets one."""
    cluster = Cluster.objects.filter(name=subject.cluster).first()
    if cluster is None:
        return Picture("gone")
    source = source_of(cluster)
    if source is None:
        return Picture("none")
    try:
        metrics = metrics_for(source)
        # All that is drawn may be in the cache: a source that does not answer must be noticed.
        metrics.instant(ANYTHING)
        made = _DRAWING[subject.kind](cluster, learned(source, metrics), metrics, subject)
    except MetricsAway as failure:
        note_silence(source, str(failure))
        source.refresh_from_db(fields=["unavailable_since"])
        return Picture("away", reason=str(failure), since=source.unavailable_since)
    except MetricsError as failure:
        return Picture("away", reason=str(failure))
    note_answer(source)
    return made


# --- A service's charts --------------------------------------------------------------------------


def _draw_service(cluster: Cluster, source: Source, metrics: Metrics, subject: Subject) -> Picture:
    row = ServiceRow.objects.filter(cluster=cluster, name=subject.service).first()
    if row is None:
        return Picture("gone")
    here = window(subject.range, time.time())
    service = Service(row.name, row.stack)
    rates = rate_window(source, here.step)
    ask = _asking(metrics, source, here)
    found = panels.panels_of(source.mapping, service, bounds_of(row), rates)
    charts = tuple(_chart(panel, here, ask) for panel in found)
    alerts = _alerts(panels.alerts(source.mapping, service), here, ask)
    again = LONGEST if is_fixed(subject.range) else min(max(SHORTEST, here.step), LONGEST)
    return Picture("ok", here, charts, alerts, again=again)


def rate_window(source: Source, step: int) -> int:
    """Seconds over which rates are taken: four scrapes, so that one may fail, and every point."""
    return max(4 * (source.scrape_interval or UNKNOWN_INTERVAL), step, MINUTE)


def bounds_of(row: ServiceRow) -> Bounds:
    resources = row.spec.get("TaskTemplate", {}).get("Resources") or {}
    limits, reserved = resources.get("Limits") or {}, resources.get("Reservations") or {}
    return Bounds(
        cpu_limit=(limits.get("NanoCPUs") or 0) / 1e9,
        cpu_reservation=(reserved.get("NanoCPUs") or 0) / 1e9,
        memory_limit=limits.get("MemoryBytes") or 0,
        memory_reservation=reserved.get("MemoryBytes") or 0,
        desired=row.desired,
    )


Ask = Callable[[str], Answer]


def _asking(metrics: Metrics, source: Source, here: Window, most: int = MOST_SERIES) -> Ask:
    return lambda query: CACHE.range(metrics, cache_key(source), query, here, most)


def _chart(panel: Panel, here: Window, ask: Ask) -> Chart:
    """A query that is refused costs its own chart; a source that is away costs all of them."""
    chart = Chart(panel.name, panel.title, panel.unit, (), panel.lines, panel.needs)
    drawn: list[Drawn] = []
    warnings: list[str] = []
    for query in panel.queries:
        try:
            answer = ask(query.text)
        except MetricsAway:
            raise
        except MetricsError as failure:
            return replace(chart, error=str(failure))
        drawn += _drawn(query, answer.series, here)
        warnings += answer.warnings
    told = tuple(dict.fromkeys(warnings))
    return replace(chart, series=tuple(drawn), warnings=told)


def _drawn(query: Query, series: Iterable[Series], here: Window) -> list[Drawn]:
    found = [
        Drawn(one.labels.get(query.by, query.label) if query.by else query.label, on(one, here))
        for one in series
    ]
    return sorted(found, key=lambda one: one.label)


def on(series: Series, here: Window) -> tuple[Value, ...]:
    """A series' values on the window's times."""
    values = dict(series.points)
    return tuple(values.get(at) for at in here.times)


def _alerts(query: str, here: Window, ask: Ask) -> tuple[Mark, ...]:
    """Each time that an alert fired: from its first point to its last."""
    try:
        found = ask(query).series if query else ()
    except MetricsAway:
        raise
    except MetricsError as failure:
        log.warning("Alerts cannot be read: %s", failure)
        return ()
    marks = [mark for series in found for mark in _firing(series, here)]
    return tuple(sorted(marks, key=lambda mark: mark.at)[-MOST_ALERTS:])


def _firing(series: Series, here: Window) -> Iterable[Mark]:
    name, severity = series.labels.get("alertname", "Alert"), series.labels.get("severity", "")
    label = f"{name} ({severity})" if severity else name
    for first, last in spans([point[0] for point in series.points], here.step):
        over = last < here.end
        state = "Resolved" if over else "Firing"
        yield Mark("alert", first, last if over else None, label, state, "bad", "alert-triangle")


# --- Saved panels --------------------------------------------------------------------------------


def _draw_panels(cluster: Cluster, source: Source, metrics: Metrics, subject: Subject) -> Picture:
    here = window(subject.range, time.time())
    ask = _asking(metrics, source, here, MOST_DRAWN)
    rows = panels_of(Scope(cluster.name, subject.stack))
    charts = tuple(_saved_chart(row, here, ask) for row in rows)
    again = LONGEST if is_fixed(subject.range) else min(max(SHORTEST, here.step), LONGEST)
    return Picture("ok", here, charts, again=again)


def _saved_chart(row: SavedPanel, here: Window, ask: Ask) -> Chart:
    """`needs` are the series that its query names, for those who have none of them."""
    lines = (("Critical", row.critical), ("Warning", row.warning))
    chart = Chart(
        f"panel-{row.pk}",
        row.title,
        row.unit,
        (),
        tuple(Line(label, value) for label, value in lines if value is not None),
        " and ".join(dict.fromkeys(map(str, read(row.query).selectors))) or row.query,
    )
    try:
        answer = ask(row.query)
    except MetricsAway:
        raise
    except MetricsError as failure:
        found = explain(row.query, failure)
        return replace(chart, error=f"{found.words} {found.said}".strip())
    common, _ = split(answer.series)
    drawn = tuple(Drawn(label_of(one, common, row.title), on(one, here)) for one in answer.series)
    return replace(chart, series=drawn, warnings=answer.warnings)


# --- Sparklines, and the source itself -----------------------------------------------------------


def _draw_sparklines(
    cluster: Cluster, source: Source, metrics: Metrics, subject: Subject
) -> Picture:
    """A chart each for CPU and memory; a series is called as the service's label has it."""
    end = int(time.time()) // MINUTE * MINUTE
    here = Window(end - SPARK, end, MINUTE)
    ask = _asking(metrics, source, here)
    found = panels.sparklines(source.mapping, rate_window(source, here.step))
    charts = tuple(
        Chart(name, query.label, name, tuple(_drawn(query, ask(query.text).series, here)))
        for name, query in found
    )
    return Picture("ok", here, charts, again=LONGEST)


def _draw_alerts(cluster: Cluster, source: Source, metrics: Metrics, subject: Subject) -> Picture:
    """What fired in the whole cluster. That it is too much costs the charts nothing."""
    here = fine_window(subject.range, time.time())
    try:
        series = _asking(metrics, source, here)(FIRING).series
        now = metrics.instant(FIRING).series
    except MetricsAway:
        raise
    except MetricsError as failure:
        return Picture("ok", reason=str(failure), again=LONGEST)
    rows = ServiceRow.objects.filter(cluster=cluster).values_list("name", "stack")
    services = [Service(*row) for row in rows]
    return Picture("ok", fired=fired(source.mapping, services, series, now, here), again=AT_ONCE)


def _draw_source(cluster: Cluster, source: Source, metrics: Metrics, subject: Subject) -> Picture:
    """Whether it answers, which is all that somebody who sets it up wants to know."""
    return Picture("ok", looked_up_at=source.detected_at)


_DRAWING: dict[str, Callable[[Cluster, Source, Metrics, Subject], Picture]] = {
    "service": _draw_service,
    "panels": _draw_panels,
    "sparklines": _draw_sparklines,
    "alerts": _draw_alerts,
    "source": _draw_source,
}


def as_json(
    picture: Picture | None, marks: Iterable[Mark] = (), *, tail: int = 0
) -> dict[str, Any]:
    """For the charts' script. `tail`: the last so many points alone; None stands for a gap."""
    if picture is None:
        return {"state": "loading"}
    times = list(picture.window.times)[-tail:] if picture.window else []
    return {
        "state": picture.state,
        "reason": picture.reason,
        "since": picture.since.isoformat(timespec="seconds") if picture.since else None,
        "step": picture.window.step if picture.window else 0,
        "start": picture.window.start if picture.window else 0,
        "times": times,
        "charts": [_chart_json(chart, tail) for chart in picture.charts],
        "marks": [_mark_json(mark) for mark in (*picture.alerts, *marks)],
    }


def _chart_json(chart: Chart, tail: int) -> dict[str, Any]:
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": chart.unit,
        "needs": chart.needs,
        "error": chart.error,
        "warnings": list(chart.warnings),
        "lines": [{"label": line.label, "value": line.value} for line in chart.lines],
        "series": [
            {"label": one.label, "values": [_short(v) for v in one.values[-tail:]]}
            for one in chart.series
        ],
    }


def _short(value: Value) -> Value:
    """Six digits are more than a chart can show, and a third of the bytes."""
    return None if value is None else float(f"{value:.6g}")


def _mark_json(mark: Mark) -> dict[str, Any]:
    return {name: getattr(mark, name) for name in Mark.__slots__}
