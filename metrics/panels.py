"""The PromQL of a service's charts. Pure: from a mapping and names to queries."""

from collections.abc import Iterator
from dataclasses import dataclass

from metrics.mapping import Mapping, Naming, Service, short
from metrics.promql import seconds, selector

QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
MOST_QUEUES = 8
ERRORS = "5.."


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. Its series is called `label`; with `by`, by that label's value."""

    text: str
    label: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A constant to compare with, in the panel's unit."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. `unit` is percent, bytes, seconds, per-second or count.

    `needs` says in words which series it looked for, for the one who finds nothing.
    """

    name: str
    title: str
    unit: str
    queries: tuple[Query, ...]
    needs: str
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the spec allows each task; 0: nothing is said. CPU in cores, memory in bytes."""

    cpu_limit: float = 0
    cpu_reservation: float = 0
    memory_limit: float = 0
    memory_reservation: float = 0
    desired: int = 0


def panels_of(mapping: Mapping, service: Service, bounds: Bounds, window: int) -> tuple[Panel, ...]:
    """A service's charts. `window`: the seconds over which rates are taken."""
    made = (_cpu, _memory, _replicas, _requests, _errors, _durations, _queue, _restarts)
    found = (make(mapping, service, bounds, seconds(window)) for make in made)
    return tuple(panel for panel in found if panel)


def matcher(naming: Naming, service: Service) -> tuple[str, str, str]:
    return naming.label, "=", naming.value(service.name, service.stack)


def _needs(metric: str, naming: Naming, service: Service) -> str:
    return selector(metric, matcher(naming, service))


# --- What is measured of containers ---------------------------------------------------------------


def _per_task(rate: str) -> tuple[Query, Query]:
    """Each task beside its limit: the highest one, and what is usual."""
    return Query(f"max({rate})", "Highest task"), Query(f"avg({rate})", "Average")


def _cpu(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    if not (mapping.cpu and mapping.container_label):
        return None
    chosen = _needs(mapping.cpu, mapping.containers, service)
    # Older cAdvisors have a series per core.
    rate = f"100 * sum without (cpu) (rate({chosen}[{window}]))"
    lines = _lines(100 * bounds.cpu_limit, 100 * bounds.cpu_reservation)
    return Panel("cpu", "CPU per task", "percent", _per_task(rate), chosen, lines)


def _memory(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    if not (mapping.memory and mapping.container_label):
        return None
    chosen = _needs(mapping.memory, mapping.containers, service)
    lines = _lines(bounds.memory_limit, bounds.memory_reservation)
    return Panel("memory", "Memory per task", "bytes", _per_task(chosen), chosen, lines)


def _lines(limit: float, reservation: float) -> tuple[Line, ...]:
    found = (Line("Limit", limit), Line("Reservation", reservation))
    return tuple(line for line in found if line.value)


def _replicas(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    """As Prometheus saw them: containers whose memory was measured."""
    if not (mapping.memory and mapping.container_label):
        return None
    chosen = _needs(mapping.memory, mapping.containers, service)
    lines = (Line("Desired now", bounds.desired),)
    return Panel(
        "replicas", "Replicas", "count", (Query(f"count({chosen})", "Running"),), chosen, lines
    )


def _restarts(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    """How many began within the window: Swarm restarts a task by another one."""
    if not (mapping.started and mapping.container_label):
        return None
    chosen = _needs(mapping.started, mapping.containers, service)
    started = f"sum((time() - {chosen}) < bool {window.removesuffix('s')})"
    return Panel("restarts", "Task starts", "count", (Query(started, "Started"),), chosen)


# --- What the programs tell -----------------------------------------------------------------------


def _requests(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    if not (mapping.requests and mapping.service_label):
        return None
    chosen = _needs(mapping.requests, mapping.service, service)
    query = Query(f"sum(rate({chosen}[{window}]))", "Requests")
    return Panel("requests", "Requests", "per-second", (query,), chosen)


def _errors(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    """Answers of 500 and above; 0, not nothing, where there were requests and no error."""
    if not (mapping.requests and mapping.service_label and mapping.code_label):
        return None
    every = _needs(mapping.requests, mapping.service, service)
    mine = matcher(mapping.service, service)
    chosen = selector(mapping.requests, mine, (mapping.code_label, "=~", ERRORS))
    text = f"sum(rate({chosen}[{window}])) or 0 * sum(rate({every}[{window}]))"
    return Panel("errors", "Errors (5xx)", "per-second", (Query(text, "Errors"),), chosen)


def _durations(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    if not (mapping.durations and mapping.service_label):
        return None
    chosen = _needs(f"{mapping.durations}_bucket", mapping.service, service)
    inner = f"sum by (le) (rate({chosen}[{window}]))"
    queries = tuple(
        Query(f"histogram_quantile({quantile}, {inner})", label) for quantile, label in QUANTILES
    )
    return Panel("durations", "Request duration", "seconds", queries, chosen)


def _queue(mapping: Mapping, service: Service, bounds: Bounds, window: str) -> Panel | None:
    """Of the services that work queues off; other services have none to show."""
    if not (mapping.queue and mapping.queue_label and _works_off(mapping, service)):
        return None
    text = f"topk({MOST_QUEUES}, sum by ({mapping.queue_label}) ({selector(mapping.queue)}))"
    query = Query(text, "Waiting", by=mapping.queue_label)
    return Panel("queue", "Queue length", "count", (query,), selector(mapping.queue))


def _works_off(mapping: Mapping, service: Service) -> bool:
    named = {name.strip() for name in mapping.queue_services.split(",")}
    return bool(named & {service.name, short(service.name, service.stack)})


# --- Of many services at once ---------------------------------------------------------------------


def sparklines(mapping: Mapping, window: int) -> Iterator[tuple[str, Query]]:
    """What the services table draws: all of a service's tasks together, by the service's label."""
    label = mapping.container_label
    if not label:
        return
    there = (label, "!=", "")
    if mapping.cpu:
        rate = f"rate({selector(mapping.cpu, there)}[{seconds(window)}])"
        yield "cpu", Query(f"100 * sum by ({label}) ({rate})", "CPU", by=label)
    if mapping.memory:
        used = selector(mapping.memory, there)
        yield "memory", Query(f"sum by ({label}) ({used})", "Memory", by=label)


def alerts(mapping: Mapping, service: Service) -> str:
    """The query for alerts of a service; "" if no label names it."""
    chosen = {matcher(naming, service) for naming in mapping.namings}
    firing = ("alertstate", "=", "firing")
    return " or ".join(sorted(selector("ALERTS", firing, one) for one in chosen))
