"""A history of a few services, as cAdvisor and the programs themselves would have told it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SWARM = "container_label_com_docker_swarm_service_name"
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, float("inf"))
MIB = 2**20


@dataclass(frozen=True)
class Told:
    """A service of this full name, with so many tasks; `short` is how its program calls itself."""

    name: str
    short: str
    tasks: int = 3
    errors: float = 0.05  # share of requests


def history(services: Sequence[Told], end: int, seconds: int, step: int = 15) -> str:
    """OpenMetrics with times: every family by itself, oldest first, `# EOF` at the end."""
    times = range(end - seconds, end + 1, step)
    lines: list[str] = []
    for name, kind, samples in (
        ("container_cpu_usage_seconds", "counter", _cpu),
        ("container_memory_working_set_bytes", "gauge", _memory),
        ("container_start_time_seconds", "gauge", _starts),
        ("http_requests", "counter", _requests),
        ("http_request_duration_seconds", "histogram", _durations),
        ("celery_queue_length", "gauge", _queues),
        ("ALERTS", "gauge", _alerts),
    ):
        lines.append(f"# TYPE {name} {kind}")
        for service in services:
            for text, value in samples(service, times):
                lines += [f"{text} {value(at):.6f} {at}" for at in times]
    return "\n".join([*lines, "# EOF", ""])


def _containers(service: Told) -> Iterator[tuple[int, str]]:
    for task in range(service.tasks):
        yield task, f'{{{SWARM}="{service.name}",name="{service.name}.{task + 1}"}}'


def _cpu(service: Told, times: range) -> Iterator:
    for task, labels in _containers(service):
        # Between 10 and 35 % of a core, in waves of an hour.
        yield (
            f"container_cpu_usage_seconds_total{labels}",
            lambda at, task=task: 0.2 * (at - times[0]) + 60 * math.sin(at / 573 + task) + 100,
        )


def _memory(service: Told, times: range) -> Iterator:
    for task, labels in _containers(service):
        yield (
            f"container_memory_working_set_bytes{labels}",
            lambda at, task=task: (90 + 20 * math.sin(at / 900 + task)) * MIB,
        )


def _starts(service: Told, times: range) -> Iterator:
    for task, labels in _containers(service):
        yield f"container_start_time_seconds{labels}", lambda at, task=task: times[0] - 60 * task


def _requests(service: Told, times: range) -> Iterator:
    for code, share in (("200", 1 - service.errors), ("500", service.errors)):
        labels = f'{{service="{service.short}",code="{code}"}}'
        yield f"http_requests_total{labels}", lambda at, share=share: 12 * share * (at - times[0])


def _durations(service: Told, times: range) -> Iterator:
    for bound in BUCKETS:
        share = 1 - math.exp(-bound * 8)
        le = "+Inf" if math.isinf(bound) else f"{bound:g}"
        labels = f'{{service="{service.short}",le="{le}"}}'
        yield (
            f"http_request_duration_seconds_bucket{labels}",
            lambda at, share=share: 12 * share * (at - times[0]),
        )
    labels = f'{{service="{service.short}"}}'
    yield f"http_request_duration_seconds_count{labels}", lambda at: 12 * (at - times[0])
    yield f"http_request_duration_seconds_sum{labels}", lambda at: 1.5 * (at - times[0])


def _queues(service: Told, times: range) -> Iterator:
    if "worker" in service.short:
        for number, queue in enumerate(("inference", "training")):
            yield (
                f'celery_queue_length{{queue_name="{queue}"}}',
                lambda at, number=number: 5 + 4 * math.sin(at / 300 + number),
            )


def _alerts(service: Told, times: range) -> Iterator:
    """One that fires all the while, and would be told by the rules' own evaluation."""
    labels = f'{{alertname="Slow",alertstate="firing",severity="page",service="{service.short}"}}'
    if service.errors > 0.2:
        yield f"ALERTS{labels}", lambda at: 1
