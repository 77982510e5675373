"""Prometheus metrics and their text form, as much of it as the lab's programs need."""

import threading
from collections.abc import Iterable, Iterator, Sequence

KIND = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
Sample = tuple[str, dict[str, str], float]


class Metric:
    """A counter or a gauge, by labels."""

    def __init__(self, name: str, text: str, kind: str = "counter") -> None:
        self.name, self.text, self.kind = name, text, kind
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def set(self, value: float, **labels: str) -> None:
        with self._lock:
            self._values[tuple(sorted(labels.items()))] = value

    def samples(self) -> list[Sample]:
        with self._lock:
            return [(self.name, dict(key), value) for key, value in self._values.items()]


class Histogram:
    """How often something took how long, by labels."""

    kind = "histogram"

    def __init__(self, name: str, text: str, buckets: Sequence[float] = SECONDS) -> None:
        self.name, self.text = name, text
        self._buckets = buckets
        self._series: dict[tuple[tuple[str, str], ...], list[float]] = {}
        self._lock = threading.Lock()

    def observe(self, seconds: float, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        with self._lock:
            # One counter for each bucket, then the sum and the number of all.
            series = self._series.setdefault(key, [0.0] * (len(self._buckets) + 2))
            for index, bucket in enumerate(self._buckets):
                series[index] += seconds <= bucket
            series[-2] += seconds
            series[-1] += 1

    def samples(self) -> list[Sample]:
        with self._lock:
            series = {key: list(values) for key, values in self._series.items()}
        return [sample for key, values in series.items() for sample in self._lines(key, values)]

    def _lines(self, key: tuple[tuple[str, str], ...], values: list[float]) -> Iterator[Sample]:
        labels = dict(key)
        bounds = [*(f"{bucket:g}" for bucket in self._buckets), "+Inf"]
        for bound, value in zip(bounds, [*values[:-2], values[-1]], strict=True):
            yield f"{self.name}_bucket", {**labels, "le": bound}, value
        yield f"{self.name}_sum", labels, values[-2]
        yield f"{self.name}_count", labels, values[-1]


def render(metrics: Iterable[Metric | Histogram]) -> str:
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [_line(*sample) for sample in metric.samples()]
    return "\n".join([*lines, ""])


def _line(name: str, labels: dict[str, str], value: float) -> str:
    pairs = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {value:.10g}" if pairs else f"{name} {value:.10g}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
