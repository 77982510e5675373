"""Which span of time is shown, at which step. Pure.

A window is aligned to its step, so that everybody who looks at the same range asks the same
question, and the next one differs from it by a few points at the end.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3600, 86400
RANGES = {
    "15m": 15 * MINUTE,
    "1h": HOUR,
    "6h": 6 * HOUR,
    "24h": DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
}
DEFAULT = "1h"
POINTS = 300  # of each series in a chart: about what a chart's width can show
FINE = 720  # of what is there now and then, as alerts: when it began and ended matters
FINEST = 15  # seconds: what rules are evaluated at is seldom less
LONGEST = 366 * DAY
# The eye divides time by these, and so do scrape intervals.
STEPS = (
    5, 10, 15, 20, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY,
)  # fmt: skip
_FIXED = re.compile(r"([0-9]{1,11})-([0-9]{1,11})")


def step_for(seconds: int, points: int = POINTS) -> int:
    """The smallest step of STEPS with which the span has at most so many points."""
    return next((step for step in STEPS if seconds <= step * points), STEPS[-1])


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end`, both included, in seconds since 1970 and multiples of `step`."""

    start: int
    end: int
    step: int

    @property
    def times(self) -> range:
        return range(self.start, self.end + 1, self.step)

    def since(self, moment: int) -> "Window":
        """Its part that is not older than `moment`; at least its last point."""
        aligned = -(-moment // self.step) * self.step
        return Window(min(max(self.start, aligned), self.end), self.end, self.step)


def aligned(start: int, end: int) -> Window:
    """The span at the step that fits it. It ends at a point that is over already."""
    step = step_for(end - start)
    return Window(start // step * step, end // step * step, step)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def fine_window(name: str, now: float) -> Window:
    """One of RANGES until now, at a step that tells when something began."""
    step = max(FINEST, step_for(RANGES[name], FINE))
    return Window(int(now - RANGES[name]) // step * step, int(now) // step * step, step)


def is_range(text: str) -> bool:
    """Whether it is the name of a range, or a fixed span as `window` takes it."""
    if text in RANGES:
        return True
    found = _FIXED.fullmatch(text)
    return found is not None and 0 < int(found[2]) - int(found[1]) <= LONGEST


def is_fixed(text: str) -> bool:
    return text not in RANGES


def window(text: str, now: float) -> Window:
    """“1h”: the last hour; “1767225600-1767229200”: from one moment to another.

    Raises ValueError for what `is_range` does not take.
    """
    if text in RANGES:
        return aligned(int(now) - RANGES[text], int(now))
    if not is_range(text):
        raise ValueError(f"“{text}” is no range: take one of {', '.join(RANGES)}")
    start, end = map(int, text.split("-"))
    return aligned(start, max(start + 1, min(end, int(now))))  # what is to come is not known yet
