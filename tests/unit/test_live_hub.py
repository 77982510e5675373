"""What one viewer of the live hub is sent."""

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from live import changes, hub
from live.changes import Touched
from live.hub import Hooks, Hub
from live.viewers import Batch, Viewer


def _viewer(**of: object) -> Viewer:
    given = {"user": None, "rights": frozenset(), "topics": (), **of}
    return Viewer(**given)  # type: ignore[arg-type]


def _put(viewer: Viewer, fragments: dict[str, str], sequence: int) -> None:
    viewer.put(Batch(fragments))
    viewer.sequence = sequence


def _read(frame: str) -> tuple[dict[str, object], str]:
    header, _, html = frame.partition("\n")
    return json.loads(header), html


def test_a_slow_viewer_gets_the_newest_of_each_element_once() -> None:
    viewer = _viewer()
    for number in range(1, 1001):
        _put(viewer, {"a": f"<p id=a>{number}</p>", f"b{number % 3}": "<p>b</p>"}, number)
    header, html = _read(viewer.frame())
    assert header == {"sequence": 1000}
    assert html.count("id=a") == 1
    assert "<p id=a>1000</p>" in html
    assert html.count("<p>b</p>") == 3


def test_what_was_sent_is_not_sent_again() -> None:
    viewer = _viewer()
    _put(viewer, {"a": "<p>1</p>"}, 1)
    viewer.frame()
    assert _read(viewer.frame()) == ({"sequence": 1}, "")


def test_a_change_that_does_not_concern_it_still_moves_its_place() -> None:
    """Or it would have to reload after a day of other people's changes."""
    viewer = _viewer(sequence=5)
    _put(viewer, {}, 9)
    assert not viewer.wake.is_set()
    assert _read(viewer.frame())[0]["sequence"] == 9


def test_table_rows_come_in_a_table_in_their_order() -> None:
    """HTML knows them nowhere else; and a part must not overtake what it is a part of."""
    viewer = _viewer()
    rows = {"old": "<tr>1</tr>", "new": "\n<tr>2</tr>", "group": "<tbody></tbody>"}
    _put(viewer, {"a": "<p>a</p>", **rows, "b": "<p>b</p>"}, 6)
    html = _read(viewer.frame())[1]
    inside = "<tr>1</tr>\n<tr>2</tr><tbody></tbody>"
    assert html == f"<p>a</p><table data-live-rows>{inside}</table><p>b</p>"


def test_viewers_that_are_handed_the_same_share_the_text_of_their_frames() -> None:
    batch, one, other = Batch({"a": "<p>a</p>"}), _viewer(sequence=3), _viewer(sequence=3)
    one.put(batch)
    other.put(batch)
    assert one.frame() is other.frame()


def test_a_reload_is_asked_for_once() -> None:
    viewer = _viewer()
    viewer.reload = True
    assert _read(viewer.frame())[0]["reload"] is True
    assert "reload" not in _read(viewer.frame())[0]


def test_an_old_picture_says_so_until_it_is_fresh() -> None:
    viewer = _viewer()
    viewer.behind = True
    assert _read(viewer.frame())[0]["behind"] is True
    viewer.behind = False
    assert "behind" not in _read(viewer.frame())[0]


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
        return Viewer(user=user, rights=topic, topics=(topic,))

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
        viewer = Viewer(user=None, rights="", topics=("x",), sequence=since)
        await mine._bring_up([viewer])
        return viewer

    assert asyncio.run(brought_up(0)).reload
    assert rendered == []
    assert not asyncio.run(brought_up(1)).reload
    assert rendered == ["x"]


# --- What was shown last -------------------------------------------------------------------------


class Shown:
    """A hub whose one topic shows `page`; `commit` delivers a change to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page: dict[str, str] = {}
        self._log: list[Touched] = []
        monkeypatch.setattr(changes, "current", lambda: len(self._log))
        monkeypatch.setattr(changes, "since", lambda sequence: self._log[sequence:])
        show = Hooks(lambda *_: dict(self.page), lambda viewers: {}, lambda topics: {})
        self._hub = Hub(show)

    def viewer(self) -> Viewer:
        """One whose page knows of all changes until now."""
        viewer = _viewer(sequence=len(self._log))
        viewer.topics = ("x",)
        self._hub._viewers.add(viewer)
        asyncio.run(self._hub._bring_up([viewer]))
        return viewer

    def commit(self, *moments: int) -> None:
        """As many commits, at these moments of one day, delivered at once."""
        days = [datetime(2026, 1, 1, 0, 0, moment, tzinfo=UTC) for moment in moments]
        self._log += [Touched("lab", "service", "s", at=day) for day in days]
        asyncio.run(self._hub._deliver())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


def test_what_is_as_it_was_shown_last_is_not_shown_again(shown: Shown) -> None:
    viewer = shown.viewer()
    shown.page = {"row": "1", "totals": "7"}
    shown.commit(1)
    assert set(viewer.pending.fragments) == {"row", "totals"}
    viewer.frame()
    shown.page = {"row": "2", "totals": "7"}
    shown.commit(2)
    assert viewer.pending.fragments == {"row": "2"}
    assert viewer.sequence == 2


def test_who_joined_since_is_shown_all_of_it(shown: Shown) -> None:
    """Their page may have been read while it was another."""
    shown.viewer()
    shown.page = {"totals": "7"}
    shown.commit(1)
    late = shown.viewer()
    shown.commit(2)
    assert late.pending.fragments == {"totals": "7"}


def test_after_several_commits_at_once_all_is_shown(shown: Shown) -> None:
    """It may have been another between them, and a page may have been read just then."""
    viewer = shown.viewer()
    shown.page = {"totals": "7"}
    shown.commit(1)
    viewer.frame()
    shown.commit(2, 3)
    assert viewer.pending.fragments == {"totals": "7"}


def test_a_tick_in_between_drops_nothing_but_what_is_known(shown: Shown) -> None:
    """It ended the live path of everybody, once."""
    viewer = shown.viewer()

    def render(user: Any, topic: str, touched: Any) -> dict[str, str]:
        shown._hub._shown.clear()
        return {"row": "1"}

    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    shown.commit(1)
    assert viewer.pending.fragments == {"row": "1"}


def test_a_cut_of_the_database_in_the_middle_loses_nothing(shown: Shown) -> None:
    """What some were shown before it is not taken for shown to all."""
    cuts = [OperationalError("cut")]

    def render(user: str, topic: str, touched: Any) -> dict[str, str]:
        if (user, topic) == ("less", "tray") and cuts:
            raise cuts.pop()
        return {topic: "<p></p>"} if topic == "tray" else {}

    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    viewers = [
        Viewer(rights, rights, (page, "tray"))
        for rights, page in (("all", "one"), ("less", "two"), ("all", "three"))
    ]
    for viewer in viewers:
        shown._hub._viewers.add(viewer)
        shown._hub._admit(viewer)
    with pytest.raises(OperationalError):
        shown.commit(1)
    asyncio.run(shown._hub._deliver())
    assert [set(viewer.pending.fragments) for viewer in viewers] == [{"tray"}] * 3


def test_what_is_rendered_is_handed_to_all_before_anything_newer(shown: Shown) -> None:
    """A tick in between may have rendered it anew."""
    early, late = Viewer("a", "a", ("x", "y")), Viewer("a", "a", ("y", "x"))
    handed: list[bool] = []

    def render(user: str, topic: str, touched: Any) -> dict[str, str]:
        if topic == "y":
            handed.append(early.pending.fragments == late.pending.fragments == {"x": "1"})
        return {topic: "1"}

    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    for viewer in (early, late):
        shown._hub._viewers.add(viewer)
        shown._hub._admit(viewer)
    shown.commit(1)
    assert handed == [True]


def test_what_cannot_be_rendered_is_read_anew(shown: Shown) -> None:
    """Or the page would show what is no more, and say that it is live."""
    viewer, other = shown.viewer(), _viewer(topics=("fine",))

    def render(user: Any, topic: str, touched: Any) -> dict[str, str]:
        return {"row": str(1 // (topic == "fine"))}

    shown._hub._viewers.add(other)
    shown._hub._admit(other)
    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    shown.commit(1)
    assert (viewer.reload, viewer.sequence) == (True, 1)
    assert (other.reload, other.pending.fragments) == (False, {"row": "1"})


def test_a_fault_of_ours_ends_nobodys_live_path(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, hub_ = shown.viewer(), shown._hub
    faults = [RuntimeError("a fault")]

    async def deliver() -> None:
        if faults:
            raise faults.pop()
        hub_._tasks[0].cancel()

    async def pumped() -> None:
        hub_._tasks = [asyncio.create_task(hub_._pump())]
        hub_._wake.set()
        await asyncio.wait(hub_._tasks, timeout=10)

    monkeypatch.setattr(hub_, "_deliver", deliver)
    monkeypatch.setattr(hub, "AGAIN", 0.01)
    asyncio.run(pumped())
    assert viewer.reload
    assert faults == []


@pytest.mark.parametrize("when", ["there", "away"])
def test_more_changes_than_are_worth_telling_are_read_anew(shown: Shown, when: str) -> None:
    """The watcher wrote them as one, which says only of which cluster they are."""
    shown.viewer()
    viewer = shown.viewer()
    if when == "away":
        shown._hub.leave(viewer)
    shown._log.append(Touched("lab", "reset", "lab"))
    asyncio.run(shown._hub._deliver())
    if when == "away":
        asyncio.run(shown._hub._bring_up([viewer]))
    assert viewer.reload
    assert viewer.sequence == 1


def test_newcomers_that_are_shown_the_same_come_in_together(shown: Shown) -> None:
    """A thousand come back at once after a restart."""
    rendered: list[str] = []

    def render(user: Any, topic: str, touched: Any) -> dict[str, str]:
        rendered.append(topic)
        return {}

    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    shown.commit(1)
    shown.viewer()
    shown._hub._newcomers = [_viewer(sequence=0) for _ in range(1000)]
    for viewer in shown._hub._newcomers:
        viewer.topics = ("x",)
    asyncio.run(shown._hub._bring_up(shown._hub._some_newcomers()))
    assert rendered == ["x"]
    assert shown._hub._newcomers == []


def test_of_every_page_first_comes_what_it_is_about(shown: Shown) -> None:
    rendered: list[tuple[str, str]] = []

    def render(user: str, topic: str, touched: Any) -> dict[str, str]:
        rendered.append((user, topic))
        return {}

    shown._hub._hooks = Hooks(render, lambda viewers: {}, lambda topics: {})
    for rights in ("all", "less"):
        viewer = Viewer(rights, rights, ("page", "tray"))
        shown._hub._viewers.add(viewer)
        shown._hub._admit(viewer)
    shown.commit(1)
    assert [topic for _, topic in rendered] == ["page", "page", "tray", "tray"]
    assert {user for user, _ in rendered} == {"all", "less"}


# --- What changes without a numbered change -------------------------------------------------------


class Clock:
    """A hub's product in which one topic changes by time alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.rendered: list[tuple[Any, str]] = []
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
        viewer = Viewer(rights, rights, ("clock", "other"))
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
    assert all(viewer.pending.fragments == {"clock": "<p>1</p>"} for viewer in viewers)
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
    first.frame()
    newcomer = clock.viewer()
    await clock.tick()
    assert newcomer.pending.fragments == {"clock": "<p>1</p>"}
    assert not first.pending.fragments
