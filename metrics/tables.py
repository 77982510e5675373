"""The answer to a query as a table and as a chart's data."""

from dataclasses import dataclass
from typing import Any

from metrics.asking import Result
from metrics.labels import label_of, split
from metrics.ports import Series, Value

Row = tuple[list[str], list[str]]  # what each label says, and the figures


@dataclass(frozen=True, slots=True)
class Table:
    """`common` are the labels that all series share; the columns are the other ones."""

    common: dict[str, str]
    labels: list[str]
    figures: list[str]
    rows: list[Row]


def table(result: Result) -> Table:
    common, labels = split(result.series)
    over_time = result.window is not None or any(len(one.points) > 1 for one in result.series)
    figures = ["Newest", "Lowest", "Average", "Highest"] if over_time else ["Value"]
    rows = [
        ([one.labels.get(label, "") for label in labels], _figures(one, over_time))
        for one in result.series
    ]
    return Table(common, labels, figures, rows)


def _figures(series: Series, over_time: bool) -> list[str]:
    values = [value for _, value in series.points]
    numbers = [value for value in values if value is not None]
    newest = figure(values[-1] if values else None)
    if not over_time:
        return [newest]
    if not numbers:
        return [newest, *3 * [figure(None)]]
    average = sum(numbers) / len(numbers)
    return [newest, *map(figure, (min(numbers), average, max(numbers)))]


def figure(value: Value) -> str:
    """As people read it, exact to six digits; a dash for what is not a number, or infinite."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    if 1e6 <= abs(value) < 1e15:
        return f"{value:,.1f}"
    return f"{value:,.6g}"


def chart(result: Result, unit: str) -> dict[str, Any] | None:
    """For the charts' script; None of what has no points over time."""
    if result.window is None:
        return None
    common, _ = split(result.series)
    times = list(result.window.times)
    return {
        "times": times,
        "name": "result",
        "title": "Over time",
        "unit": unit,
        "error": "",
        "warnings": [],
        "lines": [],
        "series": [
            {"label": label_of(one, common), "values": _on(one, times)} for one in result.series
        ],
    }


def _on(series: Series, times: list[int]) -> list[Value]:
    values = dict(series.points)
    found = (values.get(at) for at in times)
    return [None if value is None else float(f"{value:.6g}") for value in found]
