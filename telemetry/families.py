"""Metric families as JSON and back, and those of many processes as one."""

import math
from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import CollectorRegistry

Family = list[Any]  # [name, documentation, type, [[sample name, labels, value], …]]


def as_json(registry: CollectorRegistry) -> list[Family]:
    """Everything that the registry holds now; what JSON cannot say is left out."""
    return [
        [
            family.name,
            family.documentation,
            family.type,
            [[s.name, s.labels, s.value] for s in family.samples if math.isfinite(s.value)],
        ]
        for family in registry.collect()
    ]


def together(reports: Iterable[tuple[str, str, list[Family]]]) -> list[Metric]:
    """The families of several (process, role, families), each sample labelled by its process."""
    found: dict[str, Metric] = {}
    for process, role, families in reports:
        for name, documentation, kind, samples in families:
            family = found.setdefault(name, Metric(name, documentation, kind))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "process": process, "role": role}, value)
    return list(found.values())
