"""Any query of a cluster's Prometheus, for those who may see all that it has."""

import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from access.authorize import Actor, allowed, authorize
from access.declared import needs
from access.policy import Action
from clusters.models import Cluster
from clusters.views.finding import find_cluster
from metrics import history, tables
from metrics.asking import INSTANT, MOST_SHOWN, Result, ask, is_span
from metrics.models import MOST_QUERY, Unit
from metrics.sources import source_of
from metrics.starting import STARTING
from metrics.windows import DEFAULT, RANGES, is_fixed, moment


def find(request: HttpRequest, cluster: str) -> tuple[Actor, Cluster]:
    """Raises SignedOut, NotFound, Forbidden."""
    actor, found = find_cluster(request, cluster)
    authorize(actor, Action.METRICS_QUERY, found.scope)
    return actor, found


@require_safe
@needs(Action.METRICS_QUERY)
def query(request: HttpRequest, cluster: str) -> HttpResponse:
    """The address holds the query, so that it can be shared. Its answer comes by `result`."""
    actor, found = find(request, cluster)
    asked = _asked(request)
    context = {
        **_common(actor, found, asked),
        "source": source_of(found),
        "ranges": (INSTANT, *RANGES),
        "units": Unit.choices,
        "most_query": MOST_QUERY,
        "starting": STARTING,
        "result_address": _address("metrics:query-result", found, asked),
    }
    return render(request, "metrics/query.html", context)


@require_safe
@needs(Action.METRICS_QUERY)
def result(request: HttpRequest, cluster: str) -> HttpResponse:
    """Asks the source, and notes for the one who asked that they did."""
    actor, found = find(request, cluster)
    asked = _asked(request)
    if not asked["query"]:
        context = {**_common(actor, found, asked), "result": None}
        return render(request, "metrics/_result.html", context)
    history.note(actor.user, found, asked["query"], asked["range"])
    answer = ask(found, asked["query"], asked["range"])
    context = {
        **_common(actor, found, asked),
        "result": answer,
        **_shown(answer, asked["unit"]),
        "oob": True,
    }
    response = render(request, "metrics/_result.html", context)
    response["HX-Push-Url"] = _address("metrics:query", found, asked)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@needs(Action.METRICS_QUERY)
def clear(request: HttpRequest, cluster: str) -> HttpResponse:
    """Forget what the person asked, of every cluster."""
    actor, found = find(request, cluster)
    history.clear(actor.user)
    if request.headers.get("HX-Request"):
        return render(request, "metrics/_history.html", {"cluster": found, "asked_before": []})
    return HttpResponseRedirect(reverse("metrics:query", args=[found.name]))


def _asked(request: HttpRequest) -> dict[str, str]:
    """The query, its range and the unit that it is shown in."""
    text = request.GET.get("query", "").replace("\r\n", "\n").replace("\0", "").strip()
    span, unit = request.GET.get("range", ""), request.GET.get("unit", "")
    return {
        "query": text[:MOST_QUERY],
        "range": span if is_span(span) else DEFAULT,
        "unit": unit if unit in Unit.values else Unit.NONE,
    }


def _address(name: str, cluster: Cluster, asked: dict[str, str]) -> str:
    return f"{reverse(name, args=[cluster.name])}?{urlencode(asked)}"


def _common(actor: Actor, cluster: Cluster, asked: dict[str, str]) -> dict[str, Any]:
    fixed = asked["range"] != INSTANT and is_fixed(asked["range"])
    return {
        "cluster": cluster,
        "asked": asked,
        "span": [moment(int(at)) for at in asked["range"].split("-")] if fixed else None,
        "may": allowed(actor.user, cluster.scope),
        "asked_before": history.asked_by(actor.user),
        "most_shown": MOST_SHOWN,
    }


def _shown(answer: Result, unit: str) -> dict[str, Any]:
    if answer.state != "ok":
        return {}
    chart = tables.chart(answer, unit)
    return {
        "table": tables.table(answer),
        "chart": json.dumps(chart, separators=(",", ":")) if chart else "",
    }
