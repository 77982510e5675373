"""Pictures: what a source says becomes charts, and what it does not say is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from clusters.models import Cluster
from metrics import pictures
from metrics.alerts import NOBODY
from metrics.cache import Cache
from metrics.models import Source
from metrics.pictures import Picture, Subject, draw
from metrics.ports import Answer, MetricsAway, Series, TooMuch, WrongQuery
from tests.unit.panel import MARKS, make_cluster, make_service

pytestmark = MARKS
WEEK = Subject("service", "local", "web", "7d")
SWARM = "container_label_com_docker_swarm_service_name"


class Fake:
    """Has CPU of the service `web`; fails as it is told to."""

    def __init__(self) -> None:
        self.failure: Callable[[str], Exception | None] = lambda query: None
        self.asked: list[str] = []

    def instant(self, query: str, at: datetime | None = None) -> Answer:
        self._note(query)
        if "ALERTS" in query:
            return Answer((Series({}, ((1.0, 1.0),)),))
        if "__name__" in query:
            return Answer((Series({"__name__": "container_cpu_usage_seconds_total"}, ()),))
        return Answer((Series({SWARM: "web"}, ((1.0, 1.0), (16.0, 1.0))),))

    def range(self, query: str, start: datetime, end: datetime, step: int) -> Answer:
        self._note(query)
        first, last = int(start.timestamp()), int(end.timestamp())
        # As Prometheus does, without a point where there is none.
        points = tuple((float(t), 7.0) for t in range(first, last + 1, step) if t != last - step)
        return Answer((Series({}, points),), ("one store did not answer",))

    def _note(self, query: str) -> None:
        self.asked.append(query)
        if error := self.failure(query):
            raise error


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(pictures, "metrics_for", lambda source: made)
    monkeypatch.setattr(pictures, "CACHE", Cache())
    return made


@pytest.fixture
def source() -> Source:
    cluster = make_cluster()
    make_service(cluster)
    return Source.objects.create(cluster=cluster, address="http://prometheus:9090")


def test_a_service_is_drawn_on_the_windows_times(fake: Fake, source: Source) -> None:
    picture = draw(WEEK)
    assert picture.state == "ok" and picture.window
    (cpu,) = picture.charts
    assert cpu.name == "cpu"
    assert [drawn.label for drawn in cpu.series] == ["Highest task", "Average"]
    values = cpu.series[0].values
    assert len(values) == len(picture.window.times)
    assert values[-2] is None and values[-1] == 7
    assert cpu.warnings == ("one store did not answer",)


def test_what_was_found_is_kept_and_not_looked_for_again(fake: Fake, source: Source) -> None:
    draw(WEEK)
    source.refresh_from_db()
    assert (source.mapping.container_label, source.scrape_interval) == (SWARM, 15)
    Source.objects.update(detected={**source.detected, "service_label": "job"})
    fake.asked.clear()
    draw(WEEK)
    assert not [query for query in fake.asked if "__name__" in query]


def test_a_source_that_is_away_is_noticed_though_all_is_in_the_cache(
    fake: Fake, source: Source
) -> None:
    draw(WEEK)
    fake.failure = lambda query: MetricsAway("it is away")
    picture = draw(WEEK)
    assert (picture.state, picture.reason) == ("away", "it is away")
    source.refresh_from_db()
    assert picture.since == source.unavailable_since is not None
    fake.failure = lambda query: MetricsAway("it is away in another way")
    again = draw(WEEK)
    assert (again.since, again.reason) == (picture.since, "it is away in another way")
    fake.failure = lambda query: None
    assert draw(WEEK).state == "ok"
    source.refresh_from_db()
    assert (source.unavailable_since, source.unavailable_reason) == (None, "")


@pytest.mark.parametrize("error", [WrongQuery("no such function"), TooMuch("too many samples")])
def test_a_query_that_is_refused_costs_its_own_chart(
    fake: Fake, source: Source, error: Exception
) -> None:
    Source.objects.update(
        detected={"container_label": SWARM, "cpu": "cpu_total", "memory": "memory_bytes"},
        detected_at="2999-01-01T00:00:00Z",
    )
    fake.failure = lambda query: error if "memory_bytes" in query else None
    charts = {chart.name: chart for chart in draw(WEEK).charts}
    assert charts["memory"].error == str(error)
    assert charts["cpu"].series and not charts["cpu"].error


def test_limits_and_reservations_are_those_of_the_spec(fake: Fake, source: Source) -> None:
    row = source.cluster.services.get()
    row.spec["TaskTemplate"]["Resources"] = {
        "Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 2**28},
        "Reservations": {"NanoCPUs": 100_000_000},
    }
    row.save()
    (cpu,) = draw(WEEK).charts
    assert [(line.label, line.value) for line in cpu.lines] == [("Limit", 50), ("Reservation", 10)]


def test_what_is_not_there_is_told(fake: Fake) -> None:
    assert draw(Subject("service", "ghost", "web", "1h")) == Picture("gone")
    cluster: Cluster = make_cluster()
    assert draw(WEEK) == Picture("none")
    Source.objects.create(cluster=cluster, address="http://prometheus:9090")
    assert draw(WEEK) == Picture("gone")


def test_alerts_are_drawn_and_that_they_are_too_many_costs_nothing_else(
    fake: Fake, source: Source
) -> None:
    alerts = Subject("alerts", "local", range="1h")
    over, still = draw(alerts).fired
    assert (over.service, over.until is None, still.until) == (NOBODY, False, None)
    fake.failure = lambda query: TooMuch("too much") if "ALERTS" in query else None
    picture = draw(replace(alerts, range="6h"))
    assert (picture.state, picture.reason, picture.fired) == ("ok", "too much", ())
    fake.failure = lambda query: MetricsAway("it is away")
    assert draw(alerts).state == "away"
