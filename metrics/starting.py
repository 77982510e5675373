"""The panels that a cluster has from the start: the four queries of the deployment guide.

They are given once, with the cluster's first source. Whoever may query changes or removes them.
"""

from dataclasses import asdict, dataclass

from clusters.models import Cluster
from metrics.models import SavedPanel, Unit


@dataclass(frozen=True, slots=True)
class Starting:
    given: str
    title: str
    query: str
    unit: str


STARTING = (
    Starting(
        "agent-cpu",
        "AI agent CPU",
        'avg(rate(container_cpu_usage_seconds_total{service="ai-agent"}[5m])) * 100',
        Unit.PERCENT,
    ),
    Starting(
        "inference-queue",
        "Task queue length",
        'sum(celery_queue_length{queue_name="inference"})',
        Unit.NONE,
    ),
    Starting(
        "response-time",
        "Service response time (p95)",
        "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))",
        Unit.SECONDS,
    ),
    Starting(
        "redis-state",
        "Redis cluster status",
        'redis_cluster_state{job="redis"}',
        Unit.NONE,
    ),
)


def give_starting_panels(cluster: Cluster) -> None:
    """Those that it has not had yet: what was removed stays so."""
    rows = [
        SavedPanel(cluster=cluster, position=position, **asdict(starting))
        for position, starting in enumerate(STARTING)
    ]
    SavedPanel.objects.bulk_create(rows, ignore_conflicts=True)
