"""Metric families as text, and those of many processes as one.

Text is made where the counting is, each quarter of a minute: at a scrape it is only put together.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

Family = list[str]  # [its # HELP and # TYPE lines, its samples' lines]


class These(Collector):
    """A collector of families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families

    def describe(self) -> Iterator[Metric]:
        """Or a registry would collect everything once more, to learn the names."""
        return iter(())


def as_text(families: Iterable[Metric]) -> str:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(These(families))
    return generate_latest(registry).decode()


def labelled(registry: CollectorRegistry, labels: Mapping[str, str]) -> list[Family]:
    """Everything that the registry holds now, each sample with these labels besides."""
    return [list(_parted(as_text([_with(family, labels)]))) for family in registry.collect()]


def _with(family: Metric, labels: Mapping[str, str]) -> Metric:
    found = Metric(family.name, family.documentation, family.type)
    for sample in family.samples:
        found.add_sample(sample.name, {**sample.labels, **labels}, sample.value)
    return found


def _parted(text: str) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    head = "".join(line for line in lines if line.startswith("#"))
    return head, "".join(line for line in lines if not line.startswith("#"))


def together(reports: Iterable[list[Family]]) -> str:
    """The families of several processes: each told once, with the samples of all."""
    found: dict[str, list[str]] = {}
    for families in reports:
        for head, samples in families:
            found.setdefault(head, []).append(samples)
    return "".join(head + "".join(samples) for head, samples in found.items())
