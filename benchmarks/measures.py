"""What a benchmark tells: ours beside a baseline of the same run, and the goal for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADINGS = ("measure", "baseline", "ours", "ratio", "goal", "met?")


@dataclass(frozen=True)
class Measure:
    """One row. A goal bounds the ratio from above, or with `absolute` ours itself."""

    what: str
    ours: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    absolute: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None

    def cells(self) -> tuple[str, ...]:
        judged = self.ours if self.absolute else self.ratio
        met = "" if self.goal is None or judged is None else "yes" if judged <= self.goal else "no"
        return (
            self.what,
            _figure(self.baseline, self.unit),
            _figure(self.ours, self.unit),
            _figure(self.ratio, "×"),
            f"≤ {_figure(self.goal, self.unit if self.absolute else '×')}" if self.goal else "",
            met,
        )


def _figure(value: float | None, unit: str) -> str:
    """Three significant digits, no exponents."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def median(values: Iterable[float]) -> float:
    return quantile(values, 0.5)


def table(measures: Sequence[Measure]) -> str:
    """A Markdown table that is readable as it stands."""
    rows = [HEADINGS, *(measure.cells() for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    rule = ["-" * width for width in widths]
    return "\n".join([lines[0], _line(rule, widths), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
