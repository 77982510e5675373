"""Which series are a service's: installations name them differently, so Prometheus is asked.

cAdvisor labels a container with all of Docker's labels; a relabelling (the deployment guide's) cuts
the stack off and calls it `service`; a program's own series carry what its scrape job says. For
each purpose the candidates are looked at in order, and the label whose values are names of this
cluster's services wins.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Labels
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from metrics.ports import Metrics
from metrics.promql import is_label, is_metric, selector

# The metrics that tell something, the best first.
CANDIDATES = {
    "cpu": ("container_cpu_usage_seconds_total", "process_cpu_seconds_total"),
    "memory": (
        "container_memory_working_set_bytes", "container_memory_usage_bytes",
        "process_resident_memory_bytes",
    ),
    "started": ("container_start_time_seconds", "process_start_time_seconds"),
    "requests": (
        "http_requests_total", "http_server_requests_total", "http_server_requests_seconds_count",
        "http_request_duration_seconds_count", "flask_http_request_total",
    ),
    "durations": (
        "http_request_duration_seconds", "http_server_request_duration_seconds",
        "http_server_requests_seconds", "http_requests_duration_seconds",
    ),
    "queue": ("celery_queue_length", "rabbitmq_queue_messages_ready", "rabbitmq_queue_messages"),
}  # fmt: skip
SERVICE_LABELS = (
    "container_label_com_docker_swarm_service_name", "com_docker_swarm_service_name",
    "docker_swarm_service_name", "swarm_service", "service_name", "service", "job", "app",
)  # fmt: skip
OF_A_SCRAPE = ("job", "app")  # of cAdvisor itself in what it tells of containers
CODE_LABELS = ("code", "status", "status_code", "http_status_code", "http_response_status_code")
QUEUE_LABELS = ("queue_name", "queue", "name")
MOST_NAMES = 2_000  # sets of labels that are looked at


@dataclass(frozen=True, slots=True)
class Naming:
    """How series name a service: by this label, with “stack_” before the name or without."""

    label: str = ""
    with_stack: bool = True

    def value(self, name: str, stack: str) -> str:
        """The label's value for the service of this full name."""
        return name if self.with_stack else short(name, stack)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names of labels and metrics; what is empty is not there.

    `durations` is a histogram's name without its _bucket. `queue_services` are the services, by
    name with or without their stack, that work off the queues which no label ties to a service.
    """

    container_label: str = ""
    container_with_stack: bool = True
    service_label: str = ""
    service_with_stack: bool = True
    cpu: str = ""
    memory: str = ""
    started: str = ""
    requests: str = ""
    code_label: str = ""
    durations: str = ""
    queue: str = ""
    queue_label: str = ""
    queue_services: str = ""

    @property
    def containers(self) -> Naming:
        """Of what is measured from outside: CPU, memory, starts."""
        return Naming(self.container_label, self.container_with_stack)

    @property
    def service(self) -> Naming:
        """Of what the programs tell themselves, and of alerts."""
        return Naming(self.service_label, self.service_with_stack)

    @property
    def namings(self) -> tuple[Naming, ...]:
        """All by which an alert may name a service."""
        return tuple(naming for naming in (self.service, self.containers) if naming.label)

    def changed(self, chosen: Labels[str, Any]) -> "Mapping":
        """With what somebody set by hand."""
        known = {field.name for field in fields(self)}
        return replace(self, **{key: value for key, value in chosen.items() if key in known})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


LABEL_FIELDS = ("container_label", "service_label", "code_label", "queue_label")
METRIC_FIELDS = tuple(CANDIDATES)


def wrong(name: str, value: str) -> str:
    """What is wrong with a field's text, in words; "" if nothing is."""
    if name in LABEL_FIELDS and value and not is_label(value):
        return f"“{value}” is no name of a label: letters, digits and “_”, no digit first."
    if name in METRIC_FIELDS and value and not is_metric(value):
        return f"“{value}” is no name of a metric: letters, digits, “_” and “:”, no digit first."
    return ""


def short(name: str, stack: str) -> str:
    """The service's name within its stack."""
    return name.removeprefix(f"{stack}_") if stack else name


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is known by: its full name and its stack, "" if it is in none."""

    name: str
    stack: str = ""


# --- Detection -----------------------------------------------------------------------------------

Found = dict[str, list[Labels[str, str]]]  # a metric's name → sets of the labels that matter


def look(metrics: Metrics, at: datetime | None = None) -> Found:
    """Which candidates there are, and what they are labelled with. Raises MetricsError."""
    wanted = {
        f"{name}_bucket" if purpose == "durations" else name: name
        for purpose, names in CANDIDATES.items()
        for name in names
    }
    labels = ",".join(dict.fromkeys((*SERVICE_LABELS, *CODE_LABELS, *QUEUE_LABELS)))
    there = metrics.instant(
        "count by (__name__) (" + selector("", ("__name__", "=~", "|".join(wanted))) + ")", at
    )
    found: Found = {}
    for series in there.series:
        name = series.labels.get("__name__", "")
        rows = metrics.instant(f"topk({MOST_NAMES}, group by ({labels}) ({selector(name)}))", at)
        found[wanted[name]] = [row.labels for row in rows.series]
    return found


def detect(found: Found, services: Sequence[Service]) -> Mapping:
    """The mapping that fits most of the cluster's services."""
    chosen = {purpose: _first(names, found) for purpose, names in CANDIDATES.items()}
    containers = _naming([chosen["cpu"], chosen["memory"]], found, services)
    own = _naming([chosen["requests"], chosen["durations"], chosen["queue"]], found, services)
    queues = found.get(chosen["queue"], [])
    return Mapping(
        container_label=containers.label,
        container_with_stack=containers.with_stack,
        service_label=own.label or containers.label,
        service_with_stack=own.with_stack if own.label else containers.with_stack,
        **chosen,
        code_label=_present(CODE_LABELS, found.get(chosen["requests"], [])),
        queue_label=_present(QUEUE_LABELS, queues),
        queue_services=_workers(services) if queues else "",
    )


def _first(names: Iterable[str], found: Found) -> str:
    return next((name for name in names if found.get(name)), "")


def _present(labels: Iterable[str], rows: Sequence[Labels[str, str]]) -> str:
    return next((label for label in labels if any(row.get(label) for row in rows)), "")


def _naming(names: Iterable[str], found: Found, services: Sequence[Service]) -> Naming:
    """The label with most values that are names of services, whole names before short ones."""
    asked = [name for name in names if name]
    rows = [row for name in asked for row in found.get(name, [])]
    of_containers = any(name.startswith("container_") for name in asked)
    whole = {service.name for service in services}
    cut = {short(service.name, service.stack) for service in services}
    best, most = Naming(), 0
    for label in SERVICE_LABELS:
        if of_containers and label in OF_A_SCRAPE:
            continue
        values = {row[label] for row in rows if row.get(label)}
        for with_stack, known in ((True, whole), (False, cut)):
            if len(values & known) > most:
                best, most = Naming(label, with_stack), len(values & known)
    return best


def _workers(services: Sequence[Service]) -> str:
    """Those that look as if they worked off queues: a guess, which is shown and can be changed."""
    names = [short(service.name, service.stack) for service in services]
    return ", ".join(sorted({name for name in names if "worker" in name}))
