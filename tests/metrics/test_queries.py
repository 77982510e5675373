"""What is said about a query holds against a real Prometheus."""

from collections.abc import Iterable

import pytest

from metrics.adapters.prometheus import Prometheus
from metrics.explanations import explain
from metrics.hints import hints
from metrics.lints import lints
from metrics.ports import MetricsError
from metrics.syntax import AGGREGATIONS, FUNCTIONS
from metrics.windows import moment
from tests.metrics.told import NOW

HOUR_AGO = moment(NOW - 3600)
# The query with what is marked, and a part of what is said.
WRONG = [
    ("sum⟦(⟧rate(http_requests_total[5m])⟦ ⟧", "“(” at column 4 is never closed"),
    ("up⟦{⟧job=\"a\"⟦ ⟧", "a “}” is missing"),
    ("sum(up)⟦)⟧", "never opened"),
    ("⟦raet⟧(http_requests_total[5m])", "Did you mean rate()"),
    ("rate(⟦http_requests_total⟧)", "as in rate(http_requests_total[5m])"),
    ("rate(⟦sum⟧(http_requests_total))", "sum(rate(…[5m]))"),
    ("sum(⟦http_requests_total⟧[5m])", "takes one value of each series"),
    ("sum(up)⟦[⟧5m]", "subquery"),
    ("rate(up[⟦5⟧])", "30s, 5m"),
    ("rate(up[⟦5mm⟧])", "30s, 5m"),
    ("up{job=⟦web⟧}", "in quotes"),
    ("up{⟦job⟧=~\"(\"}", "regular expression"),
    ("⟦{⟧}", "every series"),
    ("up +⟦ ⟧", "has to follow “+”"),
    ("rate(up[5m]) ⟦by⟧ (a)", "belongs to an aggregation"),
    ("⟦histogram_quantile⟧(up)", "histogram_quantile(0.95, …)"),
    ("\"é\" + ⟦$⟧", "no “$”"),
    ("http_requests_total * on () container_memory_working_set_bytes", "more than one series"),
    (
        "sum by (service) (http_requests_total) + on (service) group_left http_requests_total",
        "more than one series on the right side",
    ),
    ("sum by (service) (http_requests_total) + on (service) http_requests_total", "more than one"),
    ('label_replace(http_requests_total, "code", "x", "code", ".*")', "the same labels"),
    ("http_requests_total[5m]", "rate() or avg_over_time()"),
    ('sum(rate({__name__=~".+"}[3h]))', "more samples"),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_what_prometheus_refuses_is_explained(
    prometheus: Prometheus, marked: str, said: str
) -> None:
    query = marked.replace("⟦ ⟧", "").replace("⟦", "").replace("⟧", "")
    with pytest.raises(MetricsError) as raised:
        prometheus.range(query, moment(NOW - 10_000), moment(NOW), 1)
    found = explain(query, raised.value)
    assert said in found.words, found.said
    shown = "".join(f"⟦{text}⟧" if mark else text for text, mark in found.pieces)
    assert shown == (marked if "⟦" in marked else "")


def test_our_functions_are_its_functions(prometheus: Prometheus) -> None:
    """Those that it is too old for are known to be newer."""
    newer = {
        "double_exponential_smoothing", "histogram_avg", "histogram_stddev", "histogram_stdvar",
        "info", "limit_ratio", "limitk", "mad_over_time", "sort_by_label", "sort_by_label_desc",
    }  # fmt: skip
    assert set(_unknown(prometheus, {*FUNCTIONS, *AGGREGATIONS})) <= newer


def _unknown(prometheus: Prometheus, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            prometheus.instant(f"{name}()")
        except MetricsError as failure:
            if "unknown function" in str(failure):
                yield name


@pytest.mark.parametrize(
    "query",
    [
        "http_requests_total", "rate(sum(http_requests_total)[5m:])",
        "rate(celery_queue_length[5m])",
        "histogram_quantile(0.9, sum(rate(http_request_duration_seconds_bucket[5m])))",
    ],
)  # fmt: skip
def test_what_is_odd_is_taken_all_the_same(prometheus: Prometheus, query: str) -> None:
    prometheus.instant(query, moment(NOW))
    assert lints(query)


@pytest.mark.parametrize(
    ("query", "said", "instead"),
    [
        ("http_request_totl", "no metric named http_request_totl", "http_requests_total"),
        ('celery_queue_length{queue_name="inferense"}', 'queue_name="inferense"', "inference"),
        ('celery_queue_length{queue_name=~"x.*"}', 'queue_name=~"x.*"', "inference"),
        ('celery_queue_length{queue="inference"}', "has no label queue", "queue_name"),
        ('http_requests_total{service="web",code="404"}', 'has code="404"', "200"),
        ("http_requests_total < 0", "the calculation leaves none", None),
    ],
)
def test_what_is_not_there_is_told(
    prometheus: Prometheus, query: str, said: str, instead: str | None
) -> None:
    assert not prometheus.range(query, HOUR_AGO, moment(NOW), 60).series
    (hint,) = hints(prometheus, query, HOUR_AGO, moment(NOW))
    assert said in hint.words
    assert instead is None or instead in hint.instead
