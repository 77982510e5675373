"""What one viewer of the live hub is sent."""

import json

from live.hub import Viewer


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
