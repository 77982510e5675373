"""Learn what a source has: which series are whose, and how often they are scraped."""

from datetime import timedelta
from itertools import pairwise
from statistics import median

from django.utils import timezone

from clusters.models import Service as ServiceRow
from metrics import mapping
from metrics.mapping import Found, Mapping, Service
from metrics.models import Source
from metrics.ports import Metrics, MetricsError
from metrics.promql import selector

OFTEN = timedelta(minutes=5)  # while no series can be found at all
NOW_AND_THEN = timedelta(minutes=30)  # while something is missing that may come yet
SELDOM = timedelta(hours=6)


def learned(source: Source, metrics: Metrics) -> Source:
    """The source with what was found there; it is asked if that is not known, or old.

    Raises MetricsError.
    """
    age = timezone.now() - source.detected_at if source.detected_at else timedelta.max
    if age > looked_at_after(source.mapping):
        found = mapping.look(metrics)
        rows = ServiceRow.objects.filter(cluster_id=source.cluster_id)
        services = [Service(*row) for row in rows.values_list("name", "stack")]
        detected = mapping.detect(found, services)
        source.detected, source.detected_at = detected.as_json(), timezone.now()
        source.scrape_interval = _interval(source.mapping, found, metrics)
        Source.objects.filter(pk=source.pk).update(
            detected=source.detected,
            detected_at=source.detected_at,
            scrape_interval=source.scrape_interval,
        )
    return source


def looked_at_after(known: Mapping) -> timedelta:
    """How long after a look the next one is due."""
    if not (known.container_label and known.service_label):
        return OFTEN
    return SELDOM if known.requests and known.durations else NOW_AND_THEN


def _interval(known: Mapping, found: Found, metrics: Metrics) -> int:
    """Seconds between two samples of a series that somebody will look at; 0 if none tells."""
    for metric, label in (
        (known.cpu, known.container_label),
        (known.requests, known.service_label),
    ):
        value = next((row[label] for row in found.get(metric, []) if row.get(label)), "")
        if not (metric and label and value):
            continue
        try:
            answer = metrics.instant(f"{selector(metric, (label, '=', value))}[10m]")
        except MetricsError:
            continue
        gaps = [b[0] - a[0] for one in answer.series for a, b in pairwise(one.points)]
        if gaps:
            return max(1, round(median(gaps)))
    return 0
