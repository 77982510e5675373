"""`/metrics` for Prometheus: figures of the rows, and what each process counts of itself.

The rows tell the same in whichever web process is asked. What lives in one process's memory comes
from the process's own row, labelled by it: see docs/adr/0007-metrics-come-by-rows.md.
"""

from secrets import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily, Metric

from access.declared import METRICS_TOKEN, needs
from controlpanel import figures
from telemetry.families import as_text, together
from telemetry.reporting import ProcessReport, reports

LOCKED = "Set PILOTHOUSE_METRICS_TOKEN, and let Prometheus send it as its bearer token.\n"


@require_safe
@needs(METRICS_TOKEN)
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything, for who shows the token; nothing for anybody else, signed in or not."""
    if not settings.METRICS_TOKEN:
        return HttpResponse(LOCKED, status=404, content_type="text/plain")
    if not _shows_the_token(request):
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse(LOCKED, status=401, content_type="text/plain", headers=headers)
    living = reports()
    text = as_text([*figures.families(), _ages(living)]) + together(r.families for r in living)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _shows_the_token(request: HttpRequest) -> bool:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    known = compare_digest(shown.strip().encode(), settings.METRICS_TOKEN.encode())
    return known and kind.lower() == "bearer"


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
