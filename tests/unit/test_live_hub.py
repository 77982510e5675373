"""What one viewer of the live hub is sent."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from live import changes, hub
from live.changes import Touched
from live.hub import Hooks, Hub, Viewer


def _viewer(**of: object) -> Viewer:
    return Viewer(user=None, rights=frozenset(), topics=frozenset(), **of)  # type: ignore[arg-type]


def _put(viewer: Viewer, fragments: dict[str, str], sequence: int) -> None:
    viewer.put(fragments)
    viewer.sequence = sequence


def _read(frame: str) -> tuple[dict[str, object], str]:
    header, _, html = frame.partition("\n")
    return json.loads(header), html


def test_a_slow_viewer_gets_the_newest_of_each_element_once() -> None:
    viewer = _viewer()
    for number in range(1, 1001):
        _put(viewer, {"a": f"<p id=a>{number}</p>", f"b{number % 3}": "<p>b</p>"}, number)
    (frame,) = viewer.frames()
    header, html = _read(frame)
    assert header == {"sequence": 1000, "reload": False}
    assert html.count("id=a") == 1
    assert "<p id=a>1000</p>" in html
    assert html.count("<p>b</p>") == 3


def test_what_was_sent_is_not_sent_again() -> None:
    viewer = _viewer()
    _put(viewer, {"a": "<p>1</p>"}, 1)
    viewer.frames()
    (frame,) = viewer.frames()
    assert _read(frame) == ({"sequence": 1, "reload": False}, "")


def test_a_change_that_does_not_concern_it_still_moves_its_place() -> None:
    """Or it would have to reload after a day of other people's changes."""
    viewer = _viewer(sequence=5)
    _put(viewer, {}, 9)
    assert not viewer.wake.is_set()
    (frame,) = viewer.frames()
    assert _read(frame)[0]["sequence"] == 9


def test_table_rows_come_apart_and_the_place_is_told_with_the_last_frame() -> None:
    """A viewer that is cut off between the two must get both again."""
    viewer = _viewer(sequence=5)
    viewer.frames()
    _put(viewer, {"row": "\n<tr><td>1</td></tr>", "head": "<h1>x</h1>"}, 6)
    (first, html), (last, _) = map(_read, viewer.frames())
    assert html.strip().startswith("<tr")
    assert (first["sequence"], last["sequence"]) == (5, 6)


def test_a_reload_is_asked_for_once() -> None:
    viewer = _viewer()
    viewer.reload = True
    assert _read(viewer.frames()[0])[0]["reload"] is True
    assert _read(viewer.frames()[0])[0]["reload"] is False


def test_an_old_picture_says_so_until_it_is_fresh() -> None:
    viewer = _viewer()
    viewer.behind = True
    assert _read(viewer.frames()[0])[0]["behind"] is True
    viewer.behind = False
    assert "behind" not in _read(viewer.frames()[0])[0]


# --- Whoever comes with many at once -------------------------------------------------------------


def test_who_comes_with_many_waits_for_others_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty sockets of one viewer, each with much to catch up on, silenced everybody's pages."""
    order: list[str] = []
    log = [Touched("lab", "service", str(number)) for number in range(4)]
    monkeypatch.setattr(changes, "current", lambda: 4)
    monkeypatch.setattr(changes, "since", lambda sequence: log[sequence:])

    def render(user: Any, topic: str, touched: Any) -> dict[str, str]:
        order.append(f"{topic} missed {len(touched)}")
        return {}

    def of(person: int, topic: str) -> Viewer:
        user = SimpleNamespace(pk=person)
        return Viewer(user=user, rights=topic, topics=frozenset({topic}))

    async def pumped() -> list[Viewer]:
        mine = Hub(Hooks(render=render, rights=lambda viewers: {}, clock=lambda topics: {}))
        mine._tasks = [asyncio.create_task(mine._pump())]
        many = [of(1, f"many-{number}") for number in range(5)]
        for viewer in (*many, of(2, "other")):
            mine.join(viewer)
        mine.leave(many[2])
        for _ in range(100):
            await asyncio.sleep(0.01)
            if len(order) >= 5:
                break
        mine._tasks[0].cancel()
        return many

    many = asyncio.run(pumped())
    assert order[:2] == ["many-0 missed 4", "other missed 4"]
    assert sorted(order[2:]) == ["many-1 missed 4", "many-3 missed 4", "many-4 missed 4"]
    assert [viewer.caught_up for viewer in many] == [True, True, False, True, True]


def test_who_missed_much_reads_the_page_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    log = [Touched("lab", "service", "s")] * (hub.MOST_MISSED + 1)
    monkeypatch.setattr(changes, "current", lambda: len(log))
    monkeypatch.setattr(changes, "since", lambda sequence: log[sequence:])
    rendered: list[str] = []

    def render(user: Any, topic: str, touched: Any) -> dict[str, str]:
        rendered.append(topic)
        return {}

    async def brought_up(since: int) -> Viewer:
        mine = Hub(Hooks(render=render, rights=lambda viewers: {}, clock=lambda topics: {}))
        viewer = Viewer(user=None, rights="", topics=frozenset({"x"}), sequence=since)
        await mine._bring_up([viewer])
        return viewer

    assert asyncio.run(brought_up(0)).reload
    assert rendered == []
    assert not asyncio.run(brought_up(1)).reload
    assert rendered == ["x"]
