"""Alerts on the timeline: who sees which, what is said while they are away, and what is pushed."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from access.models import User
from access.policy import Role
from clusters import fragments
from clusters.models import Cluster
from clusters.timeline.entries import Entry, Question, beside, entries, told_kinds
from live.changes import Touched
from metrics import timeline
from metrics.alerts import NOBODY, Fired
from metrics.mapping import Service
from metrics.models import Source
from metrics.pictures import Picture, Subject
from metrics.poller import Poller
from tests.unit.panel import MARKS, browser_of, client_of, make_cluster, make_service, make_user

pytestmark = MARKS
WEB, BLOG = Service("shop_web", "shop"), Service("blog_web", "blog")


@pytest.fixture
def shop() -> Cluster:
    cluster = make_cluster()
    make_service(cluster, "shop_web", stack="shop")
    make_service(cluster, "blog_web", stack="blog")
    Source.objects.create(
        cluster=cluster,
        address="http://prometheus:9090",
        detected={"service_label": "service", "container_label": "service"},
        detected_at="2999-01-01T00:00:00Z",
    )
    return cluster


def ago(minutes: float) -> float:
    return (timezone.now() - timedelta(minutes=minutes)).timestamp()


def firing(name: str, service: Service, since: float = 10, until: float | None = None) -> Fired:
    end = None if until is None else ago(until)
    return Fired(name, "critical", "", service, ago(since), end, before=False)


class Board(Poller):
    """Shows what it is given: no thread draws."""

    def __init__(self) -> None:
        super().__init__(workers=0)
        self.shown: Picture | None = None
        self.asked: list[Subject] = []
        self.waited: list[float] = []
        self.missing = 0  # looks at a picture that is not there yet

    def look(self, subject: Subject) -> Picture | None:
        self.asked.append(subject)
        self.missing -= 1
        return self.shown if self.missing < 0 else None

    def wait(self, subject: Subject, seconds: float) -> Picture | None:
        self.waited.append(seconds)
        return self.shown


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    made = Board()
    made.shown = Picture(
        "ok",
        fired=(
            firing("Slow", WEB),
            firing("Errors", BLOG, 30, 20),
            firing("NodeDown", NOBODY),
            firing("Alone", Service("alone")),
        ),
    )
    monkeypatch.setattr(timeline, "POLLER", made)
    return made


def ask(cluster: Cluster, user: User | None = None, **of: Any) -> list[Entry]:
    now = timezone.now()
    fields = {"since": now - timedelta(hours=1), "until": now, "kinds": frozenset(["alert"]), **of}
    return entries(Question(user or make_user(Role.VIEWER), cluster, **fields))


def titles(found: list[Entry]) -> set[str]:
    return {entry.text.partition(" ")[0] for entry in found}


def test_an_alert_is_an_entry_of_its_service(shop: Cluster, board: Board) -> None:
    found = {entry.text: entry for entry in ask(shop)}
    slow, errors = found["Slow (critical)"], found["Errors (critical)"]
    assert (slow.name, slow.stack, slow.state, slow.open) == ("shop_web", "shop", "firing", True)
    assert slow.link == "/clusters/local/services/shop_web/"
    assert (errors.state, errors.open) == ("resolved", False)
    assert errors.until
    assert errors.at < errors.until
    node = found["NodeDown (critical)"]
    assert (node.name, node.stack) == ("local", "")


def test_alerts_are_seen_by_who_sees_their_stack_or_the_whole_cluster(
    shop: Cluster, board: Board
) -> None:
    every = {"Slow", "Errors", "NodeDown", "Alone"}
    assert titles(ask(shop)) == every
    assert titles(ask(shop, make_user(Role.VIEWER, cluster="local"))) == every
    assert titles(ask(shop, make_user(Role.VIEWER, cluster="local", stack="shop"))) == {"Slow"}
    assert ask(shop, make_user(Role.VIEWER, cluster="elsewhere")) == []
    assert ask(shop, make_user()) == []


def test_a_stack_or_service_is_asked_for_alone(shop: Cluster, board: Board) -> None:
    assert titles(ask(shop, stack="shop")) == {"Slow"}
    assert titles(ask(shop, stack="")) == {"Alone"}
    assert titles(ask(shop, service=shop.services.get(name="blog_web"))) == {"Errors"}


def test_only_what_fired_within_the_time_is_told(shop: Cluster, board: Board) -> None:
    now = timezone.now()
    assert "Errors" not in titles(ask(shop, since=now - timedelta(minutes=15)))
    past = {"since": now - timedelta(minutes=40), "until": now - timedelta(minutes=25)}
    assert titles(ask(shop, **past)) == {"Errors"}


@pytest.mark.parametrize(("hours", "span"), [(1, "1h"), (2, "6h"), (24, "24h"), (168, "7d")])
def test_the_shortest_picture_that_reaches_back_is_looked_at(
    shop: Cluster, board: Board, hours: int, span: str
) -> None:
    ask(shop, since=timezone.now() - timedelta(hours=hours))
    assert {subject.range for subject in board.asked} == {span}


def test_a_cluster_without_a_source_has_nothing_of_alerts(board: Board) -> None:
    cluster = make_cluster()
    user = make_user(Role.VIEWER)
    assert "alert" not in told_kinds(cluster)
    assert ask(cluster, user) == []
    assert board.asked == []
    page = browser_of(user).get("/clusters/local/timeline/").content.decode()
    assert "Alerts" not in page
    assert "alerts:" not in page


@pytest.mark.parametrize(
    ("picture", "words", "soon"),
    [
        (None, "Asking Prometheus for alerts…", True),
        (Picture("away", reason="No route."), "Alerts unavailable: No route.", False),
        (Picture("ok", reason="Too much."), "Alerts cannot be read: Too much.", False),
        (Picture("ok"), "", False),
        (Picture("none"), "", False),
    ],
)
def test_what_cannot_be_told_is_said(
    shop: Cluster, board: Board, picture: Picture | None, words: str, soon: bool
) -> None:
    board.shown = picture
    user = make_user(Role.VIEWER)
    now = timezone.now()
    (told,) = beside(Question(user, shop, now - timedelta(hours=1), now))
    assert (told.lacks, told.soon) == (words, soon)
    page = browser_of(user).get("/clusters/local/timeline/?range=6h").content.decode()
    assert words in page
    assert ('hx-trigger="every 2s"' in page) is soon
    answer = client_of(Role.VIEWER).get("/clusters/local/timeline").json()
    assert answer["lacking"] == ([words] if words else [])
    quiet = client_of(Role.VIEWER).get("/clusters/local/timeline?kind=operation").json()
    assert quiet["lacking"] == []


def test_a_program_waits_for_alerts_and_a_page_does_not(shop: Cluster, board: Board) -> None:
    browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/")
    assert board.waited == []
    answer = client_of(Role.VIEWER).get("/clusters/local/timeline", kind="alert").json()
    assert "Slow (critical)" in {item["text"] for item in answer["items"]}
    assert set(board.waited) == {settings.PROMETHEUS_TIMEOUT}


def test_what_comes_while_a_page_is_read_is_not_missed(shop: Cluster, board: Board) -> None:
    """It asks once more, or it would take itself for new."""
    board.missing = 1
    page = browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/").content.decode()
    assert 'hx-trigger="every 2s"' in page


def test_since_when_it_is_away_is_told(shop: Cluster, board: Board) -> None:
    board.shown = Picture("away", reason="No route.", since=timezone.now())
    page = browser_of(make_user(Role.VIEWER)).get("/clusters/local/timeline/").content.decode()
    assert re.search(r"Alerts unavailable since \d\d:\d\d: No route\.", page)


# --- Live -----------------------------------------------------------------------------------------


def test_a_page_is_pushed_what_it_lacks_once_alerts_are_others(shop: Cluster, board: Board) -> None:
    user = make_user(Role.VIEWER)
    page = browser_of(user).get("/clusters/local/timeline/").content.decode()
    assert "alerts:local:1h" in page.partition("<main")[0]
    (same,) = fragments.render(user, "alerts:local:1h", None)
    assert f'id="{same}"' in page
    board.shown = Picture("ok", fired=(firing("Slow", WEB, 10, 1),))
    (other,) = fragments.render(user, "alerts:local:1h", None)
    assert f'id="{other}"' not in page


def test_nobody_is_pushed_what_others_see(shop: Cluster, board: Board) -> None:
    of_shop = make_user(Role.VIEWER, cluster="local", stack="shop")
    before = fragments.render(of_shop, "alerts:local:1h", None)
    shown = board.shown
    assert shown
    board.shown = replace(shown, fired=shown.fired[:1])  # only those of other stacks are gone
    assert fragments.render(of_shop, "alerts:local:1h", None) == before
    assert fragments.render(make_user(), "alerts:local:1h", None) == {}


def test_a_change_of_a_row_is_no_news_of_alerts(shop: Cluster, board: Board) -> None:
    touched = [Touched("local", "event", "id-shop_web", stack="shop")]
    assert fragments.render(make_user(Role.VIEWER), "alerts:local:1h", touched) == {}
    assert fragments.render(make_user(Role.VIEWER), "timeline:local", touched) == {}
    assert {subject.range for subject in board.asked} <= {"1h"}


def test_a_topic_is_of_a_cluster_and_a_span() -> None:
    assert fragments.is_topic("alerts:local:7d")
    assert not fragments.is_topic("alerts:local:8d")
    assert not fragments.is_topic("alerts::1h")
    assert not fragments.is_topic("alerts:local")
    assert not fragments.is_topic("alerts:a:b:1h")
