"""What each fragment is rendered with: the views and the live push use the same ones."""

from typing import Any

from clusters import selectors
from clusters.models import Cluster
from metrics.mapping import Mapping
from metrics.pictures import Subject
from metrics.poller import POLLER
from metrics.sources import source_of

Context = dict[str, Any]
# What a mapping's fields are called on the page, and what each is for.
FIELDS = (
    ("container_label", "Label of containers", "names the service in what cAdvisor tells"),
    ("service_label", "Label of programs", "names the service in its own series, and in alerts"),
    ("cpu", "CPU", "a counter of seconds"),
    ("memory", "Memory", "bytes"),
    ("started", "Starts", "the time of a container's or process' start"),
    ("requests", "Requests", "a counter"),
    ("code_label", "Label of the status", "200, 404, 500 …"),
    ("durations", "Durations", "a histogram of seconds, without its _bucket"),
    ("queue", "Queue length", "a gauge"),
    ("queue_label", "Label of the queue", "names the queue"),
    ("queue_services", "Services that work queues off", "by name, separated by commas"),
)  # fmt: skip


def source(cluster: Cluster) -> Context:
    """The source as the page shows it; `picture` is None until it was asked once."""
    found = source_of(cluster)
    picture = POLLER.look(Subject("source", cluster.name)) if found else None
    return {
        "cluster": cluster,
        "freshness": selectors.freshness(cluster),
        "source": found,
        "picture": picture,
        "rows": _rows(found),
    }


def _rows(found: Any) -> list[Context]:
    """Each name in use, and whether it was found or set by hand."""
    if found is None:
        return []
    mapping: Mapping = found.mapping
    return [
        {
            "field": name,
            "label": label,
            "help": help_text,
            "value": getattr(mapping, name),
            "chosen": name in found.chosen,
            "short": _short(mapping, name),
        }
        for name, label, help_text in FIELDS
    ]


def _short(mapping: Mapping, name: str) -> bool:
    """Whether the label has the service's name without its stack."""
    whole = {
        "container_label": mapping.container_with_stack,
        "service_label": mapping.service_with_stack,
    }
    return not whole.get(name, True)


def sparklines(cluster: Cluster) -> Context:
    number = POLLER.state(Subject("sparklines", cluster.name))
    return {"cluster": cluster, "number": number}
