"""The pace of the watcher: hot what moves, cool what does not, a fixed share for the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.inventory import attention as pace
from clusters.inventory.attention import Attention


def _reads(
    attention: Attention, until: float, *, moved: bool, settled: bool, as_asked: bool = False
) -> list[float]:
    """The times at which service `s` is read until then, each reading with this outcome."""
    now, times = 0.0, []
    while attention.is_hot("s") and (now := now + attention.rest(now)) <= until:
        if attention.hot_due(now):
            times.append(now)
            attention.looked("s", now, moved=moved, settled=settled, as_asked=as_asked)
    return times


def _gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def test_what_moves_is_read_at_once_and_often() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0)
    assert attention.hot_due(0.0) == ["s"]
    assert set(_gaps(_reads(attention, 60, moved=True, settled=False))) == {pace.HOT}


def test_what_has_settled_is_forgotten_after_a_moment() -> None:
    """Not at once: its last write may be on its way."""
    attention = Attention()
    attention.heat(["s"], 0.0)
    times = _reads(attention, 60, moved=False, settled=True)
    assert not attention.is_hot("s")
    assert times[-1] == pace.LINGER


def test_what_is_as_asked_is_read_once_more_and_forgotten() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0)
    attention.looked("s", 0.0, moved=True, settled=True, as_asked=True)
    assert _reads(attention, 60, moved=False, settled=True, as_asked=True) == [pace.LINGER]
    assert not attention.is_hot("s")


def test_what_awaits_a_task_is_read_often_until_it_shows() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0, awaits=True)
    assert _reads(attention, 0.6, moved=False, settled=True, as_asked=True) == [0.0, 0.25, 0.5]
    attention.looked("s", 0.6, moved=True, settled=True, as_asked=True)
    assert _reads(attention, 60, moved=False, settled=True, as_asked=True) == [0.6 + pace.LINGER]


def test_what_awaits_a_task_does_so_whatever_else_happens_to_it() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0, awaits=True)
    attention.heat(["s"], 0.1)
    attention.looked("s", 0.1, moved=False, settled=True, as_asked=True)
    assert attention.hot_due(0.1 + pace.HOT) == ["s"]


def test_what_waits_long_is_read_ever_more_rarely_but_never_forgotten() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0)
    gaps = _gaps(_reads(attention, 600, moved=False, settled=False))
    assert attention.is_hot("s")
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (pace.HOT, pace.COOL)


def test_a_movement_makes_it_hot_again() -> None:
    attention = Attention()
    attention.heat(["s"], 0.0)
    _reads(attention, 600, moved=False, settled=False)
    attention.looked("s", 600, moved=True, settled=False)
    assert attention.hot_due(600 + pace.HOT) == ["s"]


def test_what_is_not_hot_does_not_become_so_by_being_read() -> None:
    attention = Attention()
    attention.looked("s", 0.0, moved=True, settled=False)
    assert not attention.is_hot("s")


def test_what_is_gone_is_not_read_again() -> None:
    attention = Attention()
    attention.heat(["s", "t"], 0.0)
    attention.forget(["s", "never-seen"])
    assert attention.hot_due(9.0) == ["t"]


def test_everything_is_due_at_first_and_again_when_asked_for() -> None:
    attention = Attention()
    assert attention.is_due("sweep", 0.0)
    attention.again("sweep", 0.0, 30.0)
    assert not attention.is_due("sweep", 29.0)
    assert attention.is_due("sweep", 30.0)
    attention.again("sweep", 30.0, 30.0)
    attention.at_once("sweep")
    assert attention.is_due("sweep", 30.0)


@given(now=st.floats(0, 1e6), cost=st.floats(0, 1), bounds=st.just((1.0, 30.0)))
def test_a_reading_takes_no_more_than_its_share_of_the_time(
    now: float, cost: float, bounds: tuple[float, float]
) -> None:
    attention = Attention()
    attention.spaced("compare", now, cost, bounds)
    rest, apart = attention.rest(now), pace.TOGETHER * 0.501
    assert bounds[0] - apart <= rest <= bounds[1] + apart
    if cost <= bounds[1] * pace.SHARE:
        assert cost <= (rest + apart) * pace.SHARE


def test_what_is_due_at_about_the_same_time_is_done_in_one_step() -> None:
    attention = Attention()
    attention.again("probe", 7.1, 2.0)
    attention.again("nodes", 6.9, 2.0)
    assert attention.is_due("probe", 9.0)
    assert attention.is_due("nodes", 9.0)
    assert attention.rest(8.0) == 1.0


def test_the_rest_is_until_the_next_thing_and_never_negative() -> None:
    attention = Attention()
    assert attention.rest(5.0) == pytest.approx(pace.PROBE)
    attention.again("beat", 5.0, 2.0)
    assert attention.rest(5.0) == pytest.approx(2.0)
    attention.heat(["s"], 5.5)
    assert attention.rest(5.0) == pytest.approx(0.5)
    assert attention.rest(9.0) == 0.0
