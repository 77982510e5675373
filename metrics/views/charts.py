"""A service's charts, the sparklines of the services table, and a cluster's source.

No page waits for a source: charts come by a request of their own, which takes what is there.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.authorize import Actor, allowed, authorize, may
from access.declared import needs
from access.policy import Action
from access.problems import Invalid
from clusters import contexts as clusters_contexts
from clusters.models import Cluster
from clusters.selectors.services import services_seen_by
from clusters.views.dialogs import dialog, go_to
from clusters.views.finding import find_cluster, find_service
from metrics import contexts, operations
from metrics.forms import MappingForm, SourceForm
from metrics.marks import marks_of
from metrics.pictures import Subject, as_json
from metrics.poller import POLLER
from metrics.sources import source_of
from metrics.windows import DEFAULT, RANGES, is_range

READ_OR_WRITE = ["GET", "HEAD", "POST"]
MOST_NAMES = 200  # services that one page of the table shows


# --- Charts --------------------------------------------------------------------------------------


@require_safe
@needs(Action.SERVICE_VIEW)
def service(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    span = range_of(request)
    POLLER.look(Subject("service", found.cluster.name, found.name, span))  # before its script asks
    context = {
        **clusters_contexts.service_head(actor.user, found),
        "tab": "metrics",
        "range": span,
        "ranges": RANGES,
        "source": source_of(found.cluster),
        "may_set": may(actor.user, Action.CLUSTER_REGISTER, found.cluster.scope),
    }
    return render(request, "metrics/service_metrics.html", context)


def range_of(request: HttpRequest) -> str:
    asked = request.GET.get("range", "")
    return asked if is_range(asked) else DEFAULT


@require_safe
@needs(Action.SERVICE_VIEW)
def data(request: HttpRequest, cluster: str, service: str) -> JsonResponse:
    """What is known now; {"state": "loading"} before the first picture."""
    actor, found = find_service(request, cluster, service)
    picture = POLLER.look(Subject("service", found.cluster.name, found.name, range_of(request)))
    marks = marks_of(actor.user, found, picture.window if picture else None)
    return json_answer(as_json(picture, marks))


@require_safe
@needs(Action.CLUSTER_VIEW)
def sparklines(request: HttpRequest, cluster: str) -> JsonResponse:
    """?service=…&service=…: the newest half hour of each that one may see."""
    actor, found = find_cluster(request, cluster)
    picture = POLLER.look(Subject("sparklines", found.name))
    source = source_of(found)
    if picture is None or source is None:
        return json_answer({"state": "loading" if source else "none"})
    names = request.GET.getlist("service")[:MOST_NAMES]
    seen = services_seen_by(actor.user, found).filter(name__in=names)
    naming = source.mapping.containers
    values = {naming.value(name, stack): name for name, stack in seen.values_list("name", "stack")}
    drawn = {
        chart.name: {
            values[one.label]: [None if v is None else float(f"{v:.4g}") for v in one.values]
            for one in chart.series
            if one.label in values
        }
        for chart in picture.charts
    }
    return json_answer({"state": picture.state, "series": drawn})


def json_answer(content: dict[str, Any]) -> JsonResponse:
    response = JsonResponse(content)
    response["Cache-Control"] = "no-store"  # what one may see is nobody else's to keep
    return response


# --- The source ----------------------------------------------------------------------------------


def _find(request: HttpRequest, cluster: str) -> tuple[Actor, Cluster]:
    """Raises SignedOut, NotFound, Forbidden."""
    actor, found = find_cluster(request, cluster)
    authorize(actor, Action.CLUSTER_REGISTER, found.scope)
    return actor, found


def _to_source(cluster: Cluster) -> HttpResponseRedirect:
    POLLER.forget(cluster.name)
    return HttpResponseRedirect(reverse("metrics:source", args=[cluster.name]))


@require_http_methods(READ_OR_WRITE)
@needs(Action.CLUSTER_REGISTER)
def source(request: HttpRequest, cluster: str) -> HttpResponse:
    actor, found = _find(request, cluster)
    form = SourceForm(source_of(found), request.POST or None)
    if form.is_valid():
        try:
            operations.set_source(actor, found, form.asked)
        except Invalid as failure:
            form.add_error(failure.field or None, str(failure))
        else:
            return _to_source(found)
    context = {**contexts.source(found), "form": form, "may": allowed(actor.user, found.scope)}
    return render(request, "metrics/source.html", context, status=422 if form.errors else 200)


@require_http_methods(READ_OR_WRITE)
@needs(Action.CLUSTER_REGISTER)
def mapping(request: HttpRequest, cluster: str) -> HttpResponse:
    """Set names of labels and metrics by hand."""
    actor, found = _find(request, cluster)
    known = source_of(found)
    if known is None:
        return _to_source(found)
    form = MappingForm(known, request.POST or None)
    if form.is_valid():
        operations.choose_mapping(actor, found, form.asked)
        return _to_source(found)
    context = {"cluster": found, "source": known, "form": form}
    return render(request, "metrics/mapping.html", context, status=422 if form.errors else 200)


@require_POST
@needs(Action.CLUSTER_REGISTER)
def look_again(request: HttpRequest, cluster: str) -> HttpResponse:
    """Ask the source anew whether it answers, and what it has."""
    actor, found = _find(request, cluster)
    operations.look_again(actor, found)
    return _to_source(found)


@require_http_methods(READ_OR_WRITE)
@needs(Action.CLUSTER_REGISTER)
def remove(request: HttpRequest, cluster: str) -> HttpResponse:
    actor, found = _find(request, cluster)
    context: dict[str, Any] = {"cluster": found, "source": source_of(found), "error": ""}
    if request.method == "POST":
        try:
            operations.remove_source(actor, found)
        except Invalid as failure:
            context["error"] = str(failure)
        else:
            POLLER.forget(found.name)
            return go_to(request, reverse("metrics:source", args=[found.name]))
    return dialog(request, "metrics/_remove.html", context, 422 if context["error"] else 200)
