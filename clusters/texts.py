"""The content of configs as lines of text, and two of them compared. Pure functions."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from typing import Any

MOST_LINES = 3000  # of one text; beyond it a page would be of no use to anybody
MOST_STEPS = 5_000_000  # of one comparison: some two seconds
CONTEXT = 3  # unchanged lines around a change


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison: its numbers before and after (None where it is not), its text."""

    before: int | None
    after: int | None
    text: str

    @property
    def change(self) -> str:
        """removed, added, or same."""
        if self.after is None:
            return "removed"
        return "added" if self.before is None else "same"


Pair = tuple[Line | None, Line | None]  # left and right


def text_of(data: bytes) -> str | None:
    """The data as text; None if it is binary.

    >>> text_of(b"a"), text_of(bytes([0, 1])), text_of(bytes([255]))
    ('a', None, None)
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def too_long(*texts: str) -> bool:
    return any(len(text.splitlines()) > MOST_LINES for text in texts)


class _Entangled(Exception):
    """It would take minutes to find out which line became which."""


class _Matcher(SequenceMatcher[str]):
    """Gives up on what is made to be hard: few different lines, in ever another order."""

    a: list[str]
    b2j: dict[str, list[int]]  # a line of the second text → where it stands there
    steps = 0

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        self.steps += sum(len(self.b2j.get(line, ())) for line in self.a[alo:ahi])
        if self.steps > MOST_STEPS:
            raise _Entangled
        return super().find_longest_match(alo, ahi, blo, bhi)


def compared(before: str, after: str) -> list[list[Line]]:
    """The two texts as groups of lines: changes with what stands around them, the rest left out.

    Where one does not follow from the other in a few steps, all is removed and all is added.
    """
    old, new = before.splitlines(), after.splitlines()
    return [list(_lines(group, old, new)) for group in _groups(old, new)]


def _groups(old: list[str], new: list[str]) -> list[Any]:
    for autojunk in (False, True):  # first by every line, then by those that are not everywhere
        with suppress(_Entangled):
            return list(_Matcher(None, old, new, autojunk).get_grouped_opcodes(CONTEXT))
    return [[("replace", 0, len(old), 0, len(new))]]


def _lines(
    group: Iterable[tuple[str, int, int, int, int]], old: list[str], new: list[str]
) -> Iterator[Line]:
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                yield Line(i + 1, j + 1, old[i])
            continue
        for i in range(i1, i2):
            yield Line(i + 1, None, old[i])
        for j in range(j1, j2):
            yield Line(None, j + 1, new[j])


def side_by_side(group: list[Line]) -> list[Pair]:
    """The lines of a group in pairs: what was removed stands beside what came in its place."""
    pairs: list[Pair] = []
    removed: list[Line] = []
    added: list[Line] = []
    for line in group:
        if line.change == "same":
            pairs += _paired(removed, added)
            removed, added = [], []
            pairs.append((line, line))
        else:
            (removed if line.change == "removed" else added).append(line)
    return pairs + _paired(removed, added)


def _paired(removed: list[Line], added: list[Line]) -> list[Pair]:
    height = max(len(removed), len(added))
    left: list[Line | None] = [*removed, *[None] * (height - len(removed))]
    right: list[Line | None] = [*added, *[None] * (height - len(added))]
    return list(zip(left, right, strict=True))
