"""What happened: of a cluster, a stack or a service."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.declared import needs
from access.models import User
from access.policy import Action
from clusters import contexts
from clusters.models import Cluster, Service
from clusters.selectors.clusters import freshness as freshness_of
from clusters.selectors.services import services_seen_by
from clusters.timeline import axis
from clusters.timeline.entries import KINDS, MOST, Question, beside, entries, told_kinds
from clusters.timeline.groups import MOST_LINES, grouped
from clusters.views.finding import find_cluster, find_service

RANGES = {"1h": (1, "1 hour"), "6h": (6, "6 hours"), "24h": (24, "24 hours"), "7d": (168, "7 days")}


@require_safe
@needs(Action.CLUSTER_VIEW)
def of_cluster(request: HttpRequest, cluster: str) -> HttpResponse:
    """All of its stacks, or one. What is asked for stands in the address."""
    actor, found = find_cluster(request, cluster)
    asked = request.GET.get("stack", "*")
    stack = None if asked == "*" else asked[:64]
    visible = services_seen_by(actor.user, found).order_by("stack")
    context = {
        **_happened(request.GET, actor.user, found, stack=stack),
        "cluster": found,
        "freshness": freshness_of(found),
        "stacks": list(visible.values_list("stack", flat=True).distinct()),
    }
    return render(request, "clusters/timeline.html", context)


@require_safe
@needs(Action.SERVICE_VIEW)
def of_service(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    happened = _happened(request.GET, actor.user, found.cluster, service=found)
    context = {**contexts.service_head(actor.user, found), **happened, "tab": "timeline"}
    return render(request, "clusters/service_timeline.html", context)


def _happened(
    asked: QueryDict,
    user: User,
    cluster: Cluster,
    *,
    stack: str | None = None,
    service: Service | None = None,
) -> dict[str, Any]:
    length = asked.get("range", "1h")
    hours, _ = RANGES.get(length, RANGES["1h"])
    now = timezone.now()
    kinds = told_kinds(cluster)
    chosen = frozenset(asked.getlist("kind")) & kinds.keys()
    since, wanted = now - timedelta(hours=hours), chosen or frozenset(kinds)
    question = Question(user, cluster, since, now, wanted, stack, service)
    told = beside(question)  # first: what comes in between is then read anew, and not missed
    found = entries(question)
    groups = grouped(found)
    return {
        "question": question,
        "beside": told,
        "topics": " ".join(one.topic for one in told if one.topic),
        "length": length if length in RANGES else "1h",
        "ranges": {key: words for key, (_, words) in RANGES.items()},
        "kinds": kinds,
        "chosen": chosen,
        "groups": groups[:MOST_LINES],
        "anchors": {entry.id: group.id for group in groups for entry in group.entries},
        "titles": KINDS,
        "cut": len(found) == MOST or len(groups) > MOST_LINES,
        "lanes": axis.lanes(question, found),
        "ticks": axis.ticks(question),
    }
