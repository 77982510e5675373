"""The pages that span the apps: the overview, the wall, and the command palette's answers."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.authorize import allowed
from access.declared import SIGNED_IN, needs
from access.models import User
from access.requests import actor_of
from clusters import glance
from controlpanel.middleware import PERMISSIONS
from controlpanel.palette import entries


@require_safe
@needs(SIGNED_IN)
def overview(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    context = {**_at_a_glance(user), "may": allowed(user)}
    return render(request, "controlpanel/overview.html", context)


@require_safe
@needs(SIGNED_IN)
def wall(request: HttpRequest) -> HttpResponse:
    """The same for a screen on the wall: no controls, dark unless `?theme=light` is asked for."""
    theme = "light" if request.GET.get("theme") == "light" else "dark"
    context = {**_at_a_glance(actor_of(request).user), "theme": theme}
    response = render(request, "controlpanel/wall.html", context)
    allowed_here = PERMISSIONS.replace("fullscreen=()", "fullscreen=(self)")
    response.headers["Permissions-Policy"] = allowed_here
    return response


def _at_a_glance(user: User) -> dict[str, object]:
    clusters = glance.look(user)
    return {"clusters": clusters, "verdict": glance.verdict(clusters)}


@require_safe
@needs(SIGNED_IN)
def palette(request: HttpRequest) -> HttpResponse:
    """Where one can jump to, or what one can do, for what was typed so far."""
    actor = actor_of(request)
    found = entries(actor.user, request.GET.get("q", "")[:100])
    return render(request, "controlpanel/_palette.html", {"entries": found})
