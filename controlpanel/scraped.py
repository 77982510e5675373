"""`/metrics` for Prometheus: figures of the rows, and what each process counts of itself.

The rows tell the same in whichever web process is asked. What lives in one process's memory comes
from the process's own row, labelled by it: see docs/adr/0007-metrics-come-by-rows.md.
"""

from collections.abc import Iterable, Iterator
from secrets import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from access.declared import METRICS_TOKEN, needs
from controlpanel import figures
from telemetry.families import together
from telemetry.reporting import ProcessReport, reports

LOCKED = "Set PILOTHOUSE_METRICS_TOKEN, and let Prometheus send it as its bearer token.\n"


@require_safe
@needs(METRICS_TOKEN)
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything, for who shows the token; nothing for anybody else, signed in or not."""
    if not _shows_the_token(request):
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse(LOCKED, status=401, content_type="text/plain", headers=headers)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry()
    registry.register(_All())
    return HttpResponse(encode(registry), content_type=content_type)


def _shows_the_token(request: HttpRequest) -> bool:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    expected = settings.METRICS_TOKEN
    if not expected or kind.lower() != "bearer":
        return False
    return compare_digest(shown.strip().encode(), expected.encode())


class _All(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from figures.families()
        living = reports()
        yield _ages(living)
        yield from together((r.process, r.role, r.families) for r in living)

    def describe(self) -> Iterable[Metric]:
        """Or the registry would collect everything once more, to learn the names."""
        return ()


def _ages(living: list[ProcessReport]) -> Metric:
    """Which processes there are, and how old what they tell is."""
    family = GaugeMetricFamily(
        "pilothouse_process_report_age_seconds",
        "Age of what the process has told; one that is silent for a minute is left out.",
        labels=["process", "role"],
    )
    now = max(report.at for report in living)
    for report in living:
        family.add_metric([report.process, report.role], (now - report.at).total_seconds())
    return family
