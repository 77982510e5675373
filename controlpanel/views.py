"""The pages that span the apps: the overview, and the command palette's answers."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.authorize import allowed
from access.declared import SIGNED_IN, needs
from access.requests import actor_of
from clusters import contexts
from clusters.readings import Health
from clusters.selectors.clusters import clusters_seen_by
from clusters.selectors.operations import operation_list
from clusters.selectors.services import services_seen_by
from controlpanel.palette import entries

TROUBLE = [Health.FAILING, Health.PENDING, Health.PAUSED]


@require_safe
@needs(SIGNED_IN)
def overview(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    clusters = clusters_seen_by(user)
    troubled = (
        service
        for cluster in clusters
        for service in services_seen_by(user, cluster)
        .filter(Q(health__in=TROUBLE))
        .defer("spec", "previous_spec", "endpoint")
        .order_by("-last_error_at")[:50]
    )
    context = {
        "cards": [contexts.cluster_card(user, cluster) for cluster in clusters],
        "troubled": contexts.service_rows(user, list(troubled)),
        "active": contexts.operation_rows(user, list(operation_list(user, state="active")[:20])),
        "may": allowed(user),
    }
    return render(request, "controlpanel/overview.html", context)


@require_safe
@needs(SIGNED_IN)
def palette(request: HttpRequest) -> HttpResponse:
    """Where one can jump to, or what one can do, for what was typed so far."""
    actor = actor_of(request)
    found = entries(actor.user, request.GET.get("q", "")[:100])
    return render(request, "controlpanel/_palette.html", {"entries": found})
