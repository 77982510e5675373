"""Two texts compared: nothing is lost, nothing is invented."""

import time

from hypothesis import given
from hypothesis import strategies as st

from clusters import texts

lines = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


@given(lines, lines)
def test_the_changed_lines_lead_from_one_text_to_the_other(before: str, after: str) -> None:
    shown = [line for group in texts.compared(before, after) for line in group]
    old, new = before.splitlines(), after.splitlines()
    removed = {line.before - 1 for line in shown if line.change == "removed" and line.before}
    added = {line.after - 1 for line in shown if line.change == "added" and line.after}
    kept = [text for number, text in enumerate(old) if number not in removed]
    assert kept == [text for number, text in enumerate(new) if number not in added]
    for line in shown:
        assert line.before is None or old[line.before - 1] == line.text
        assert line.after is None or new[line.after - 1] == line.text


@given(lines, lines)
def test_side_by_side_shows_the_same_lines(before: str, after: str) -> None:
    for group in texts.compared(before, after):
        pairs = texts.side_by_side(group)
        assert [left for left, _ in pairs if left] == [x for x in group if x.before]
        assert [right for _, right in pairs if right] == [x for x in group if x.after]


def test_what_is_made_to_be_hard_to_compare_takes_no_minutes() -> None:
    """Six kilobytes kept a process busy for minutes, and all who wait for it."""
    before, after = "a\nb\n" * 1500, "a\n" * 1500 + "b\n" * 1500
    began = time.process_time()
    (group,) = texts.compared(before, after)
    assert time.process_time() - began < 10
    assert [line.text for line in group if line.after] == after.split()
    assert [line.text for line in group if line.before] == before.split()


def test_a_long_text_with_many_empty_lines_is_compared_line_by_line() -> None:
    before = "\n\n".join(f"key{number} = {number}" for number in range(1400))
    after = before
    for number in range(0, 1400, 70):
        after = after.replace(f"key{number} ", f"other{number} ")
    shown = [line for group in texts.compared(before, after) for line in group]
    assert sum(line.change == "removed" for line in shown) == 20


def test_equal_texts_have_no_groups() -> None:
    assert texts.compared("a\nb", "a\nb\n") == []
