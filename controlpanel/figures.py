"""Figures that the rows tell, the same in every web process. A fixed handful of queries."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, F, FloatField, Func, IntegerField, Min, Sum
from django.db.models.functions import Cast, Coalesce, Extract, Now
from django.utils import timezone
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from clusters.models import Cluster, Operation, Service
from live import changes

BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)  # seconds
SETTLED = timedelta(seconds=60)  # after which no operation is still being written as ended


def families() -> Iterator[Metric]:
    yield from _open_operations()
    yield ended.family()
    yield from _clusters()
    yield _services()
    yield CounterMetricFamily(
        "pilothouse_changes", "Numbered changes of everything shown.", changes.current()
    )


# --- Operations ----------------------------------------------------------------------------------


def _open_operations() -> Iterator[Metric]:
    rows = Operation.objects.filter(state__in=Operation.OPEN).order_by().values("state")
    told = {
        row["state"]: row for row in rows.annotate(count=Count("pk"), oldest=Min("released_at"))
    }
    depth = GaugeMetricFamily(
        "pilothouse_operations", "Operations that have not ended, by state.", labels=["state"]
    )
    for state in Operation.OPEN:
        depth.add_metric([state], told[state]["count"] if state in told else 0)
    yield depth
    pending = told.get(Operation.State.PENDING)
    age = (timezone.now() - pending["oldest"]).total_seconds() if pending else 0
    yield GaugeMetricFamily(
        "pilothouse_operations_oldest_pending_seconds",
        "How long the oldest operation has waited that a worker may take up; 0 if none waits.",
        max(0, age),
    )


@dataclass
class _Ended:
    """Counts of ended operations that grow: each row is read once, and then only added.

    A scrape reads the last minute anew, so that a transaction that began earlier than it ended is
    not missed, and everything before that once in the life of the process.
    """

    until: datetime | None = None  # what ended before is in the totals
    totals: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def family(self) -> Metric:
        told = HistogramMetricFamily(
            "pilothouse_operation_seconds",
            "Operations that ended, from their request to their end, by kind and result.",
            labels=["kind", "state"],
        )
        for (kind, state), (*counts, total) in self._read().items():
            names = [*(f"{float(b)}" for b in BUCKETS), "+Inf"]
            told.add_metric([kind, state], list(zip(names, counts, strict=True)), total)
        return told

    def _read(self) -> dict[tuple[str, str], list[float]]:
        with self.lock:
            settled = timezone.now() - SETTLED
            self._add(_tally(self.until, settled), self.totals)
            self.until = settled
            now = {key: list(values) for key, values in self.totals.items()}
        self._add(_tally(settled, None), now)
        return now

    @staticmethod
    def _add(
        more: dict[tuple[str, str], list[float]], to: dict[tuple[str, str], list[float]]
    ) -> None:
        for key, values in more.items():
            before = to.get(key, [0.0] * len(values))
            to[key] = [a + b for a, b in zip(before, values, strict=True)]


class _Bucket(Func):
    """The number of the bucket that a duration falls into: of the first one it is smaller than."""

    function = "width_bucket"
    template = f"%(function)s(%(expressions)s, ARRAY{list(BUCKETS)}::float8[])"
    output_field = IntegerField()


def _tally(since: datetime | None, until: datetime | None) -> dict[tuple[str, str], list[float]]:
    """(kind, state) → how many took less than each of BUCKETS, how many, and their sum."""
    rows = Operation.objects.filter(finished_at__isnull=False)
    if since:
        rows = rows.filter(finished_at__gte=since)
    if until:
        rows = rows.filter(finished_at__lt=until)
    took = Cast(Extract(F("finished_at") - F("created_at"), "epoch"), FloatField())
    told = rows.order_by().annotate(bucket=_Bucket(took)).values_list("kind", "state", "bucket")
    found: dict[tuple[str, str], list[float]] = {}
    for kind, state, bucket, count, total in told.annotate(n=Count("pk"), total=Sum(took)):
        values = found.setdefault((kind, state), [0.0] * (len(BUCKETS) + 2))
        for number in range(bucket, len(BUCKETS) + 1):  # the last but one counts all
            values[number] += count
        values[-1] += total
    return found


ended = _Ended()


# --- Clusters ------------------------------------------------------------------------------------


def _clusters() -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "pilothouse_watcher_look_age_seconds",
        "Age of the last confirmed look at the cluster; since its registration if there was none.",
        labels=["cluster"],
    )
    lease = GaugeMetricFamily(
        "pilothouse_watcher_lease_seconds",
        "Seconds for which a watcher still holds the cluster; 0 if nobody watches it.",
        labels=["cluster"],
    )
    state = GaugeMetricFamily(
        "pilothouse_cluster_state",
        "1 for the state that the cluster is in.",
        labels=["cluster", "state"],
    )
    seconds = Extract(Now() - Coalesce("seen_at", "created_at"), "epoch")
    rows = Cluster.objects.annotate(age=seconds, left=Extract(F("watcher_until") - Now(), "epoch"))
    for name, is_in, old, left in rows.values_list("name", "state", "age", "left"):
        age.add_metric([name], max(0.0, old))
        lease.add_metric([name], max(0.0, left or 0.0))
        for other in Cluster.State:
            state.add_metric([name, other], 1.0 if other == is_in else 0.0)
    yield from (age, lease, state)


def _services() -> Metric:
    told = GaugeMetricFamily(
        "pilothouse_services", "Services by what they are in.", labels=["cluster", "health"]
    )
    rows = Service.objects.order_by().values_list("cluster__name", "health")
    counts: dict[tuple[str, str], int] = defaultdict(int)
    counts.update({(name, health): n for name, health, n in rows.annotate(n=Count("pk"))})
    for (name, health), count in sorted(counts.items()):
        told.add_metric([name, health], count)
    return told
