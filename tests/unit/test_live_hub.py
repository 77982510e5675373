"""What one viewer of the live hub is sent."""

import json
from typing import Any

import pytest

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


# --- What changes without a numbered change -------------------------------------------------------


class Clock:
    """A hub's product in which one topic changes by time alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.rendered = 0, []
        self.hub = Hub(Hooks(self.render, lambda viewers: {}, self.states))

        async def directly(call: Any, *args: Any) -> Any:
            return call(*args)

        monkeypatch.setattr(self.hub, "_in_thread", directly)
        monkeypatch.setattr("live.hub.changes.current", lambda: 0)

    def render(self, user: Any, topic: str, touched: Any) -> dict[str, str]:
        self.rendered.append((user, topic))
        return {topic: f"<p>{self.now}</p>"}

    def states(self, topics: Any) -> dict[str, Any]:
        return {topic: self.now for topic in topics if topic == "clock"}

    def viewer(self, rights: str = "all") -> Viewer:
        viewer = Viewer(rights, rights, frozenset({"clock", "other"}))
        self.hub._viewers.add(viewer)
        return viewer

    async def tick(self) -> None:
        await self.hub._tick()


async def test_a_tick_is_rendered_once_per_class_however_many_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    viewers = [clock.viewer() for _ in range(50)] + [clock.viewer("less")]
    await clock.tick()
    clock.rendered.clear()
    clock.now = 1
    await clock.tick()
    assert sorted(clock.rendered) == [("all", "clock"), ("less", "clock")]
    assert all(viewer.pending == {"clock": "<p>1</p>"} for viewer in viewers)
    clock.rendered.clear()
    await clock.tick()
    assert clock.rendered == []


async def test_a_newcomer_is_told_what_time_has_changed_before_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its page may be older than the state that was looked at last."""
    clock = Clock(monkeypatch)
    first = clock.viewer()
    await clock.tick()
    clock.now = 1
    await clock.tick()
    first.frames()
    newcomer = clock.viewer()
    await clock.tick()
    assert newcomer.pending == {"clock": "<p>1</p>"}
    assert first.pending == {}
