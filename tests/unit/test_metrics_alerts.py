"""Which alerts fired, when, and of which service."""

from dataclasses import replace

import pytest

from metrics.alerts import NOBODY, Fired, fired, spans
from metrics.mapping import Mapping, Service
from metrics.ports import Series
from metrics.windows import FINE, FINEST, RANGES, Window, fine_window

WEB, BLOG = Service("shop_web", "shop"), Service("blog_web", "blog")
BY_NAME = Mapping(service_label="service", container_label="swarm_service")
HOUR = Window(0, 3600, 15)


def alert(*at: float, **labels: str) -> Series:
    known = {"alertname": "Slow", "alertstate": "firing", "severity": "critical", **labels}
    return Series(known, tuple((moment, 1.0) for moment in at))


def read(
    *series: Series, mapping: Mapping = BY_NAME, now: tuple[Series, ...] = (), window: Window = HOUR
) -> tuple[Fired, ...]:
    return fired(mapping, [WEB, BLOG], series, now, window)


def test_an_alert_that_fires_twice_is_two_spans() -> None:
    assert list(spans([0, 15, 30, 90, 105], 15)) == [(0, 30), (90, 105)]
    assert list(spans([], 15)) == []


def test_a_stretch_lasts_until_its_last_point_or_fires_still() -> None:
    first, over, still = read(alert(0, 15, 600, 615, 3585, 3600), now=(alert(3605),))
    assert (first.since, first.until, first.before) == (0, 15, True)
    assert (over.since, over.until, over.before) == (600, 615, False)
    assert (still.since, still.until) == (3585, None)
    assert still.title == "Slow (critical)"


def test_what_fires_now_is_told_though_the_windows_end_is_old() -> None:
    (new,) = read(now=(alert(4100, service="shop_web"),))
    assert (new.service, new.since, new.until) == (WEB, 3600, None)
    (over,) = read(alert(3585, 3600))
    assert over.until == 3600


def test_the_id_stays_as_the_window_moves_on() -> None:
    (here,) = read(alert(600, 615))
    moved = Window(15, 3615, 15)
    (there,) = read(alert(600, 615), window=moved)
    assert here.id == there.id
    (before,), (later,) = read(alert(0, 15)), read(alert(15, 30), window=moved)
    assert before.id == later.id != here.id


def test_the_same_alert_of_several_tasks_is_one() -> None:
    (one,) = read(
        alert(60, 75, service="shop_web", instance="a"),
        alert(75, 90, service="shop_web", instance="b"),
    )
    assert (one.since, one.until, one.details) == (60, 90, "")
    assert len(read(alert(60, instance="a"), alert(60, instance="b"))) == 2


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        ({"service": "shop_web"}, WEB),
        ({"swarm_service": "blog_web"}, BLOG),
        ({"service": "prometheus", "swarm_service": "blog_web"}, BLOG),
        ({"service": "web"}, NOBODY),
        ({"job": "shop_web"}, NOBODY),
        ({}, NOBODY),
    ],
)
def test_an_alert_is_of_the_service_that_its_labels_name(
    labels: dict[str, str], owner: Service
) -> None:
    (one,) = read(alert(60, **labels))
    assert one.service == owner


def test_a_name_that_two_stacks_have_names_neither() -> None:
    cut = replace(BY_NAME, service_with_stack=False)
    (one,) = read(alert(60, service="web"), mapping=cut)
    assert (one.service, one.details) == (NOBODY, 'service="web"')
    (alone,) = fired(cut, [WEB], [alert(60, service="web")], [], HOUR)
    assert alone.service == WEB


@pytest.mark.parametrize("name", RANGES)
def test_a_window_of_alerts_is_fine_and_bounded(name: str) -> None:
    found = fine_window(name, 1_800_000_007.0)
    assert found.start % found.step == found.end % found.step == 0
    assert RANGES[name] <= found.end - found.start + found.step
    assert len(found.times) <= FINE + 2
    assert found.step >= FINEST
