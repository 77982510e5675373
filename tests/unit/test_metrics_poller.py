"""The poller: one picture for all who look, and nothing while nobody does."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from metrics import poller
from metrics.pictures import Mark, Picture, Subject, as_json
from metrics.poller import Poller
from tests.unit.panel import MARKS

pytestmark = MARKS
WEB = Subject("service", "local", "web", "1h")


class Painter:
    """Paints a picture that says how many were painted."""

    def __init__(self) -> None:
        self.painted: list[Subject] = []
        self.picture = Picture("ok", again=0.05)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, subject: Subject) -> Picture:
        self.painted.append(subject)
        self.go.wait(5)
        return replace(self.picture, reason=str(len(self.painted)))


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Painter]:
    class Nothing:
        def close(self) -> None: ...

    # Its threads are given no connection: those of the tests are of one transaction.
    monkeypatch.setattr(poller, "connection", Nothing())
    monkeypatch.setattr(poller, "close_old_connections", lambda: None)
    monkeypatch.setattr(poller, "LOOKING", 0.3)
    yield Painter()


def until(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def workers() -> int:
    return sum(thread.name.startswith("metrics-") for thread in threading.enumerate())


def test_whoever_looks_waits_for_nothing(painter: Painter) -> None:
    painter.go.clear()
    mine = Poller(painter)
    began = time.monotonic()
    assert mine.look(WEB) is None
    assert mine.state(WEB) == 0
    assert time.monotonic() - began < 0.2
    painter.go.set()
    until(lambda: mine.look(WEB))


def test_many_who_look_cost_one_picture(painter: Painter) -> None:
    painter.picture = Picture("ok", again=60)
    mine = Poller(painter)
    for _ in range(500):
        mine.look(WEB)
    until(lambda: mine.look(WEB))
    for _ in range(500):
        mine.state(WEB)
    assert painter.painted == [WEB]


def test_a_picture_is_drawn_again_while_somebody_looks_and_then_no_more(painter: Painter) -> None:
    mine = Poller(painter)
    until(lambda: mine.state(WEB) and len(painter.painted) > 3)
    until(lambda: not workers())
    drawn = len(painter.painted)
    time.sleep(0.2)
    assert len(painter.painted) == drawn


def test_the_number_tells_only_of_pictures_that_differ(painter: Painter) -> None:
    mine = Poller(lambda subject: Picture("ok", again=0.02))
    until(lambda: mine.state(WEB))
    time.sleep(0.2)
    assert mine.state(WEB) == 1


def test_a_source_that_is_away_is_asked_by_one_for_all(painter: Painter) -> None:
    painter.picture = Picture("away", again=60)
    mine = Poller(painter, workers=1)
    subjects = [Subject("service", "local", f"s{n}", "1h") for n in range(20)]
    until(lambda: all(mine.look(subject) for subject in subjects))
    assert len(painter.painted) == 1
    other = Subject("service", "elsewhere", "web", "1h")
    until(lambda: mine.look(other))
    assert painter.painted[1:] == [other]


def test_a_slow_source_holds_up_no_other(painter: Painter) -> None:
    painter.go.clear()

    def paint(subject: Subject) -> Picture:
        return painter(subject) if subject.cluster == "slow" else Picture("ok", again=60)

    mine = Poller(paint)
    mine.look(Subject("sparklines", "slow"))
    until(lambda: mine.look(WEB))
    painter.go.set()


def test_a_failure_that_nobody_foresaw_ends_no_thread(painter: Painter) -> None:
    def paint(subject: Subject) -> Picture:
        raise RuntimeError

    mine = Poller(paint)
    until(lambda: mine.look(WEB))
    picture = mine.look(WEB)
    assert picture and (picture.state, picture.reason) == ("away", poller.UNFORESEEN)


def test_who_looks_at_too_much_at_once_gets_nothing(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "MOST_SUBJECTS", 3)
    mine = Poller(painter, workers=0)
    for number in range(10):
        mine.look(Subject("service", "local", f"s{number}", "1h"))
    assert len(mine._watched) == 3


def test_a_program_waits_for_the_picture(painter: Painter) -> None:
    painter.picture = Picture("ok", again=60)
    mine = Poller(painter)
    picture = mine.wait(WEB, 5)
    assert picture and picture.reason == "1"
    began = time.monotonic()
    assert Poller(painter, workers=0).wait(WEB, 0.1) is None
    assert time.monotonic() - began < 2


def test_a_source_that_was_changed_is_asked_at_once(painter: Painter) -> None:
    painter.picture = Picture("away", again=60)
    mine = Poller(painter)
    until(lambda: mine.look(WEB))
    painter.picture = Picture("ok", again=60)
    mine.forget("local")
    until(lambda: (picture := mine.look(WEB)) and picture.state == "ok")


def test_a_picture_as_json() -> None:
    assert as_json(None) == {"state": "loading"}
    mark = Mark("operation", 1.0, None, "Scale", "Running", "busy", "refresh", "/operations/1/")
    told = as_json(Picture("none"), [mark])
    assert (told["state"], told["charts"], told["marks"][0]["url"]) == ("none", [], mark.url)
