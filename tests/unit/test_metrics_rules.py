"""Windows, PromQL, the cache and the mapping: rules without a server."""

import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import mapping, panels
from metrics.cache import Cache
from metrics.detection import NOW_AND_THEN, OFTEN, SELDOM, looked_at_after
from metrics.mapping import Mapping, Service
from metrics.ports import MOST_POINTS, Answer, MetricsAway, Series
from metrics.promql import quoted, selector
from metrics.windows import LONGEST, POINTS, RANGES, Window, aligned, is_range, window

# --- Windows -------------------------------------------------------------------------------------


@given(st.integers(1, LONGEST), st.integers(10**9, 2 * 10**9))
def test_a_window_has_few_points_and_lies_on_its_step(seconds: int, end: int) -> None:
    found = aligned(end - seconds, end)
    assert 1 <= len(found.times) <= POINTS + 2 < MOST_POINTS
    assert found.start % found.step == found.end % found.step == 0
    assert found.end <= end < found.end + found.step


@pytest.mark.parametrize(
    ("name", "step"),
    [("15m", 5), ("1h", 15), ("6h", 120), ("24h", 300), ("7d", 3600), ("30d", 10800)],
)
def test_a_range_has_the_same_window_for_everybody_within_a_step(name: str, step: int) -> None:
    now = 1_767_225_600
    found = window(name, now)
    assert found.step == step
    assert window(name, now + step - 0.1) == found
    assert window(name, now + step) == Window(found.start + step, found.end + step, step)
    assert found.end - found.start == RANGES[name]


def test_what_is_no_range() -> None:
    assert is_range("1h") and is_range("1767225600-1767229200")
    for text in ("", "2h", "5-5", "9-5", "-5-9", "0-99999999999", "1767225600-", "1h "):
        assert not is_range(text)
        with pytest.raises(ValueError, match="is no range"):
            window(text, 0)


# --- PromQL --------------------------------------------------------------------------------------


@given(st.text())
def test_a_value_stays_within_its_quotes(text: str) -> None:
    inner = quoted(text)[1:-1]
    assert '"' not in inner.replace(r"\\", "").replace(r"\"", "")
    assert "\n" not in inner
    assert not inner.replace(r"\\", "").endswith("\\")


def test_a_selector_takes_no_names_that_are_none() -> None:
    assert selector("up", ("a", "=", 'x"} or vector(1) #')) == r'up{a="x\"} or vector(1) #"}'
    for metric, label in (("up{", "a"), ("up", 'a="b",c'), ("1up", "a"), ("up", "a:b")):
        with pytest.raises(ValueError, match="is no name"):
            selector(metric, (label, "=", ""))


# --- The cache -----------------------------------------------------------------------------------


class Line:
    """Answers y = t for as long as it is not away, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.away = False
        self.labels = {"a": "b"}
        self.slow = threading.Event()
        self.slow.set()

    def range(self, query: str, start: datetime, end: datetime, step: int) -> Answer:
        first, last = int(start.timestamp()), int(end.timestamp())
        self.asked.append((first, last))
        self.slow.wait(5)
        if self.away:
            raise MetricsAway("away")
        points = tuple((float(t), float(t)) for t in range(first, last + 1, step))
        return Answer((Series(self.labels, points),))

    def instant(self, query: str, at: datetime | None = None) -> Answer:
        raise NotImplementedError


def times(answer: Answer) -> list[float]:
    (series,) = answer.series
    return [point[0] for point in series.points]


def test_many_who_ask_at_once_ask_once() -> None:
    cache, line = Cache(), Line()
    line.slow.clear()
    here = Window(0, 600, 60)
    got: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: got.append(cache.range(line, 1, "x", here)))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    line.slow.set()
    for thread in threads:
        thread.join()
    assert line.asked == [(0, 600)]
    assert len(got) == 50


def test_a_window_that_moved_on_is_asked_for_its_end_alone() -> None:
    cache, line = Cache(), Line()
    cache.range(line, 1, "x", Window(0, 600, 60))
    answer = cache.range(line, 1, "x", Window(60, 660, 60))
    assert line.asked == [(0, 600), (480, 660)]
    assert times(answer) == list(range(60, 661, 60))
    cache.range(line, 1, "x", Window(60_000, 60_600, 60))
    assert line.asked[-1] == (60_000, 60_600)


def test_a_series_that_ended_stays_as_long_as_it_has_points() -> None:
    cache, line = Cache(), Line()
    cache.range(line, 1, "x", Window(0, 600, 60))
    line.labels = {"a": "c"}
    answer = cache.range(line, 1, "x", Window(60, 660, 60))
    assert {series.labels["a"]: len(series.points) for series in answer.series} == {"b": 7, "c": 4}
    answer = cache.range(line, 1, "x", Window(480, 1080, 60))
    assert {series.labels["a"] for series in answer.series} == {"c"}


def test_whoever_waited_for_a_failure_fails_with_it_and_the_next_one_asks_again() -> None:
    cache, line = Cache(), Line()
    line.away = True
    line.slow.clear()
    failed: list[str] = []

    def ask() -> None:
        with pytest.raises(MetricsAway):
            cache.range(line, 1, "x", Window(0, 600, 60))
        failed.append("away")

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    while not line.asked:
        pass
    threading.Event().wait(0.1)  # until all of them wait
    line.slow.set()
    for thread in threads:
        thread.join()
    assert (len(failed), len(line.asked)) == (10, 1)
    line.away = False
    assert times(cache.range(line, 1, "x", Window(0, 600, 60)))


def test_the_cache_is_bounded_and_keeps_sources_apart() -> None:
    cache, line = Cache(most=2), Line()
    for source in (1, 2, 3, 3, 1):
        cache.range(line, source, "x", Window(0, 60, 60))
    assert len(line.asked) == 4


# --- Mapping -------------------------------------------------------------------------------------

SERVICES = [
    Service("sutazai_ai-agent", "sutazai"), Service("sutazai_celery-worker", "sutazai"),
    Service("shop_web", "shop"), Service("plain"),
]  # fmt: skip
SWARM = "container_label_com_docker_swarm_service_name"


def test_cadvisor_names_containers_by_dockers_label() -> None:
    rows = [
        {SWARM: "sutazai_ai-agent", "service": "ai-agent"},
        {SWARM: "shop_web", "service": "web"},
    ]
    found = mapping.detect({"container_cpu_usage_seconds_total": rows}, SERVICES)
    assert (found.container_label, found.container_with_stack) == (SWARM, True)
    assert (found.service_label, found.service_with_stack) == (SWARM, True)
    assert (found.cpu, found.memory) == ("container_cpu_usage_seconds_total", "")


def test_a_label_without_the_stack_is_found_and_asked_for_without_it() -> None:
    rows = [{"service": "ai-agent", "job": "apps", "code": "200"}, {"service": "plain", "job": "x"}]
    found = mapping.detect({"http_requests_total": rows}, SERVICES)
    assert (found.service_label, found.service_with_stack) == ("service", False)
    assert found.code_label == "code"
    assert found.service.value("sutazai_ai-agent", "sutazai") == "ai-agent"
    assert found.service.value("plain", "") == "plain"


def test_containers_and_programs_may_be_named_in_two_ways() -> None:
    found = mapping.detect(
        {
            "container_memory_usage_bytes": [{SWARM: "shop_web"}],
            "http_request_duration_seconds": [{"job": "web"}],
            "celery_queue_length": [{"queue_name": "a"}],
        },
        SERVICES,
    )
    assert (found.container_label, found.service_label) == (SWARM, "job")
    assert (found.memory, found.durations) == (
        "container_memory_usage_bytes", "http_request_duration_seconds"
    )  # fmt: skip
    assert (found.queue, found.queue_label) == ("celery_queue_length", "queue_name")
    assert found.queue_services == "celery-worker"


def test_the_job_of_cadvisor_is_no_name_of_what_it_measures() -> None:
    """Or the page of the service `cadvisor` would show all containers as its own."""
    known = [*SERVICES, Service("sutazai_cadvisor", "sutazai")]
    rows = [{"job": "cadvisor"}]
    found = mapping.detect({"container_cpu_usage_seconds_total": rows}, known)
    assert found.container_label == ""
    found = mapping.detect({"process_cpu_seconds_total": [{"job": "plain"}]}, known)
    assert found.container_label == "job"


def test_a_prometheus_that_has_nothing_of_ours_gives_an_empty_mapping() -> None:
    assert mapping.detect({}, SERVICES) == Mapping()
    strangers = mapping.detect({"http_requests_total": [{"service": "someone-elses"}]}, SERVICES)
    assert strangers.service_label == ""


def test_what_is_chosen_by_hand_goes_before_what_was_detected() -> None:
    found = Mapping(cpu="a", service_label="job").changed({"service_label": "app", "gone": 1})
    assert (found.cpu, found.service_label) == ("a", "app")


# --- Panels --------------------------------------------------------------------------------------

FULL = Mapping(
    container_label=SWARM, service_label="service", service_with_stack=False, cpu="cpu_total",
    memory="memory_bytes", started="started_seconds", requests="requests_total",
    code_label="code", durations="duration_seconds", queue="queue", queue_label="queue_name",
    queue_services="celery-worker",
)  # fmt: skip
BOUNDS = panels.Bounds(0.5, 0.05, 256 << 20, 64 << 20, 2)


def test_a_service_that_has_all_of_it_gets_every_panel() -> None:
    found = panels.panels_of(FULL, Service("sutazai_celery-worker", "sutazai"), BOUNDS, 60)
    assert [panel.name for panel in found] == [
        "cpu", "memory", "replicas", "requests", "errors", "durations", "queue", "restarts"
    ]  # fmt: skip
    cpu = found[0]
    assert [(line.label, line.value) for line in cpu.lines] == [("Limit", 50), ("Reservation", 5)]
    assert f'{SWARM}="sutazai_celery-worker"' in cpu.queries[0].text
    assert 'requests_total{service="celery-worker"}' in found[3].queries[0].text
    assert "[60s]" in found[3].queries[0].text


def test_what_is_not_mapped_has_no_panel() -> None:
    assert panels.panels_of(Mapping(), Service("web"), BOUNDS, 60) == ()
    names = {p.name for p in panels.panels_of(FULL, Service("shop_web", "shop"), BOUNDS, 60)}
    assert "queue" not in names


def test_a_services_name_never_becomes_promql() -> None:
    odd = Service('a"} or vector(1) or x{b="')
    for panel in panels.panels_of(FULL, odd, BOUNDS, 60):
        for query in panel.queries:
            assert r"a\"} or vector(1) or x{b=\"" in query.text or panel.name == "queue"


@pytest.mark.parametrize(
    ("known", "after"),
    [
        (Mapping(), OFTEN),
        (Mapping(container_label="name", service_label="service"), NOW_AND_THEN),
        (Mapping(container_label="name", service_label="service", requests="r", durations="d"),
         SELDOM),
    ],
)  # fmt: skip
def test_a_source_is_looked_at_sooner_while_something_may_come_yet(
    known: Mapping, after: timedelta
) -> None:
    assert looked_at_after(known) == after
