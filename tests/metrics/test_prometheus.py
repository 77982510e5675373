"""What the adapter, the mapping and the panels promise holds against a real Prometheus."""

from dataclasses import replace

import pytest

from metrics import mapping, panels
from metrics.adapters.prometheus import Prometheus
from metrics.cache import Cache
from metrics.mapping import Mapping, Service
from metrics.ports import MOST_POINTS, Access, TooMuch, WrongQuery
from metrics.promql import selector
from metrics.windows import Window, moment, window
from tests.metrics.told import NOW

KNOWN = [Service("shop_web", "shop"), Service("shop_worker", "shop"), Service("blog_web", "blog")]
WEB, WORKER = KNOWN[:2]
BOUNDS = panels.Bounds(0.5, 0.1, 256 << 20, 64 << 20, 3)
HOUR = window("1h", NOW)


@pytest.fixture(scope="module")
def found(address: str) -> Mapping:
    client = Prometheus(Access(address))
    return mapping.detect(mapping.look(client, moment(NOW)), KNOWN)


def test_an_instant_query_has_one_point_of_each_series(prometheus: Prometheus) -> None:
    answer = prometheus.instant("sum by (service) (http_requests_total)", moment(NOW))
    assert {s.labels["service"] for s in answer.series} == {"web", "worker"}
    assert all(len(s.points) == 1 and s.points[0][0] == NOW for s in answer.series)


def test_a_range_has_both_its_ends(prometheus: Prometheus) -> None:
    (series,) = prometheus.range("vector(7)", moment(NOW - 600), moment(NOW), 60).series
    assert [point[0] for point in series.points] == list(range(NOW - 600, NOW + 1, 60))


@pytest.mark.parametrize("query", ["42", '"text"', "1/0", "vector(0)/0", '{__name__=~".+"}[1m]'])
def test_every_kind_of_result_is_read(prometheus: Prometheus, query: str) -> None:
    answer = prometheus.instant(query, moment(NOW))
    value = answer.series[0].points[0][1]
    assert value == 42 if query == "42" else True
    if "/0" in query or "text" in query:
        assert value is None


@pytest.mark.parametrize(
    ("query", "column"), [("sum(up))", 9), ("up{", 4), ("rate(up)", 6), ("nonsense(up)", 1)]
)
def test_a_wrong_query_tells_where(prometheus: Prometheus, query: str, column: int) -> None:
    with pytest.raises(WrongQuery) as raised:
        prometheus.instant(query)
    assert (raised.value.line, raised.value.column) == (1, column), str(raised.value)


def test_a_query_that_does_not_match_is_wrong(prometheus: Prometheus) -> None:
    with pytest.raises(WrongQuery, match="many-to-many|duplicate"):
        query = "http_requests_total * on () container_memory_working_set_bytes"
        prometheus.instant(query, moment(NOW))


def test_too_many_points_and_too_many_samples(prometheus: Prometheus) -> None:
    span = MOST_POINTS + 1
    with pytest.raises(TooMuch, match="longer step"):
        prometheus.range("up", moment(NOW - span), moment(NOW), 1)
    with pytest.raises(TooMuch, match="too many samples"):
        query = 'sum(rate({__name__=~".+"}[3h]))'
        prometheus.range(query, moment(NOW - 10_000), moment(NOW), 1)


def test_our_limit_of_points_is_prometheus_own(prometheus: Prometheus) -> None:
    """Or we would refuse what it gives, or ask for what it refuses."""
    start = moment(NOW - (MOST_POINTS - 1))
    (series,) = prometheus.range("vector(1)", start, moment(NOW), 1).series
    assert len(series.points) == MOST_POINTS


def test_odd_values_find_nothing_and_break_nothing(prometheus: Prometheus) -> None:
    for value in ('"', "\\", "\n", 'x"} or vector(1) #', '\\"', "日本", "{}", "\t\r\0"):
        query = selector("http_requests_total", ("service", "=", value))
        assert prometheus.instant(query, moment(NOW)).series == ()


def test_the_names_are_found_out(found: Mapping) -> None:
    assert (found.container_label, found.container_with_stack) == (mapping.SERVICE_LABELS[0], True)
    assert (found.service_label, found.service_with_stack) == ("service", False)
    assert found.cpu == "container_cpu_usage_seconds_total"
    assert found.memory == "container_memory_working_set_bytes"
    assert found.started == "container_start_time_seconds"
    assert (found.requests, found.code_label) == ("http_requests_total", "code")
    assert found.durations == "http_request_duration_seconds"
    assert (found.queue, found.queue_label) == ("celery_queue_length", "queue_name")
    assert found.queue_services == "worker"


def test_every_panel_of_a_service_has_points(prometheus: Prometheus, found: Mapping) -> None:
    made = panels.panels_of(found, WORKER, BOUNDS, 60)
    assert len(made) == 8
    for panel in made:
        for query in panel.queries:
            answer = Cache().range(prometheus, 1, query.text, HOUR)
            assert answer.series, query.text
            assert len(answer.series[0].points) > 200, query.text


def values(prometheus: Prometheus, found: Mapping, service: Service) -> dict[str, float]:
    """The newest value of each series, by panel and label."""
    told = {}
    for panel in panels.panels_of(found, service, BOUNDS, 60):
        for query in panel.queries:
            for series in prometheus.instant(query.text, moment(NOW)).series:
                label = series.labels.get(query.by, query.label) if query.by else query.label
                told[f"{panel.name} {label}"] = series.points[0][1] or 0.0
    return told


def test_the_panels_tell_what_was_told(prometheus: Prometheus, found: Mapping) -> None:
    told = values(prometheus, found, WEB)
    assert 5 < told["cpu Average"] <= told["cpu Highest task"] < 40  # % of a core
    assert 70 << 20 < told["memory Average"] <= told["memory Highest task"] < 111 << 20
    assert told["replicas Running"] == 3
    assert told["requests Requests"] == pytest.approx(12, rel=0.01)
    assert told["errors Errors"] == pytest.approx(0.6, rel=0.01)
    assert 0.05 < told["durations p50"] < told["durations p95"] <= told["durations p99"] <= 1
    assert told["restarts Started"] == 0


def test_a_service_without_series_has_none(prometheus: Prometheus, found: Mapping) -> None:
    assert values(prometheus, found, Service("blog_other", "blog")) == {}


def test_no_error_is_a_zero_and_no_request_is_nothing(
    prometheus: Prometheus, found: Mapping
) -> None:
    quiet = replace(found, code_label="no_such_label")
    assert values(prometheus, quiet, WEB)["errors Errors"] == 0


def test_sparklines_tell_of_every_service_at_once(prometheus: Prometheus, found: Mapping) -> None:
    for _, query in panels.sparklines(found, 60):
        answer = prometheus.range(query.text, moment(HOUR.start), moment(HOUR.end), 60)
        assert {s.labels[query.by] for s in answer.series} == {"shop_web", "shop_worker"}


def test_alerts_of_a_service_are_found(prometheus: Prometheus, found: Mapping) -> None:
    at = moment(NOW)
    (alert,) = prometheus.instant(panels.alerts(found, WORKER), at).series
    assert alert.labels["alertname"] == "Slow"
    assert prometheus.instant(panels.alerts(found, WEB), at).series == ()


def test_what_the_cache_joins_is_what_prometheus_would_have_said(
    prometheus: Prometheus, found: Mapping
) -> None:
    cache = Cache()
    for _, query in panels.sparklines(found, 60):
        for step in range(0, 10):
            here = Window(HOUR.start - 900 + 60 * step, HOUR.end - 900 + 60 * step, 60)
            joined = cache.range(prometheus, 1, query.text, here)
        whole = prometheus.range(query.text, moment(here.start), moment(here.end), 60)
        assert {str(s.labels): s.points for s in joined.series} == {
            str(s.labels): s.points for s in whole.series
        }
