"""What is suspicious about a query that Prometheus takes: it answers, but rarely what was meant."""

import re
from collections.abc import Iterator

from metrics.syntax import Call, Reading, Selector, read

OF_COUNTERS = frozenset({"rate", "irate", "increase"})
# Around a counter, these ask nothing of its value, or take its growth.
WITHOUT_VALUES = OF_COUNTERS | {
    "resets", "changes", "absent", "absent_over_time", "present_over_time", "count",
    "count_over_time", "group", "timestamp", "delta", "deriv", "idelta", "predict_linear", "info",
}  # fmt: skip
COUNTER = re.compile(r"_(total|bucket|seconds_count|seconds_sum|bytes_count|bytes_sum)$")
GAUGE = re.compile(
    r"(^up|_(bytes|celsius|connections|depth|info|length|limit|load1|load5|load15|percent|ratio"
    r"|ready|replicas|size|state|status|temperature|time_seconds|timestamp|timestamp_seconds"
    r"|usage|utilization))$"
)


def lints(query: str) -> list[str]:
    """Sentences, each once."""
    reading = read(query)
    found = [*_gauges(reading), *_sums(reading), *_raw_counters(reading), *_quantiles(reading)]
    return list(dict.fromkeys(found))


def _gauges(reading: Reading) -> Iterator[str]:
    for selector in reading.selectors:
        around = selector.within[-1].name if selector.within else ""
        if around in OF_COUNTERS and GAUGE.search(selector.metric):
            yield (
                f"{selector.metric} looks like a gauge, which goes up and down: {around}() takes"
                " each fall for a restart. Take its value as it is, avg_over_time() or deriv()."
            )


def _sums(reading: Reading) -> Iterator[str]:
    for call in reading.calls:
        around = call.within[-1].name if call.within else ""
        if call.aggregates and around in OF_COUNTERS:
            yield (
                f"{around}() of {call.name}(): when one program restarts, the whole falls, and"
                f" {around}() takes that for a restart of all. Write it the other way round:"
                f" {call.name}({around}(…[5m]))."
            )


def _raw_counters(reading: Reading) -> Iterator[str]:
    for selector in reading.selectors:
        name, around = selector.metric, {call.name for call in selector.within}
        if COUNTER.search(name) and not around & WITHOUT_VALUES:
            yield (
                f"{name} looks like a counter: its value tells how much there was since each"
                f" program's start. rate({name}[5m]) tells how much there is per second."
            )


def _quantiles(reading: Reading) -> Iterator[str]:
    for call in reading.calls:
        around = call.within[-1].name if call.within else ""
        if not call.aggregates or around != "histogram_quantile":
            continue
        if not any(_buckets(s) and call in s.within for s in reading.selectors):
            continue  # native histograms have no such label
        if not _keeps(call, "le"):
            kept = ", ".join(("le", *call.labels)) if call.grouping == "by" else "le"
            yield (
                "histogram_quantile() needs the label le, which tells the buckets apart, and"
                f" {call.name}() drops it: write {call.name} by ({kept}) (…)."
            )


def _keeps(call: Call, label: str) -> bool:
    """Whether the label is there after the aggregation."""
    return bool(call.grouping) and (label in call.labels) == (call.grouping == "by")


def _buckets(selector: Selector) -> bool:
    return selector.metric.endswith("_bucket")
