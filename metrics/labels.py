"""What the series of an answer are called: by the labels that tell them apart."""

from collections.abc import Iterable

from metrics.ports import Series

NAME = "__name__"


def split(series: Iterable[Series]) -> tuple[dict[str, str], list[str]]:
    """Those that all share, and the others: the metric's name first."""
    every = [one.labels for one in series]
    names = sorted({name for labels in every for name in labels}, key=lambda n: (n != NAME, n))
    values = {name: {labels.get(name) for labels in every} for name in names}
    common = {n: every[0][n] for n in names if len(values[n]) == 1} if len(every) > 1 else {}
    return common, [name for name in names if name not in common]


def label_of(series: Series, common: Iterable[str] = (), otherwise: str = "value") -> str:
    """Its labels in one line, without those that are known; `otherwise` if none is left."""
    known = {*common, NAME}
    inner = ", ".join(f'{k}="{v}"' for k, v in sorted(series.labels.items()) if k not in known)
    name = series.labels.get(NAME, "") if NAME not in {*common} else ""
    return f"{name}{{{inner}}}" if name and inner else name or inner or otherwise
