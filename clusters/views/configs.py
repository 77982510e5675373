"""What only configs have: their data, and two of them compared."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from access import noted
from access.authorize import authorize
from access.declared import needs
from access.policy import Action
from clusters import texts
from clusters.models import Config, Secret
from clusters.selectors.clusters import freshness
from clusters.selectors.objects import family, object_seen_by, objects_seen_by
from clusters.views.finding import find_object

VIEWS = {"unified": "One below the other", "split": "Side by side"}


@require_safe
@needs(Action.CONFIG_VIEW)
def compare(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
    """`with` names the other one; without it the version before is taken, if there is one."""
    actor, found = find_object(request, cluster, "config", name)
    authorize(actor, Action.CONFIG_VIEW, found.scope)
    asked = request.GET.get("with", "")
    other = (
        object_seen_by(actor.user, found.cluster, "config", asked)
        if asked
        else _before(family(actor.user, found), found)
    )
    for shown in filter(None, (found, other)):
        noted.read(actor, Action.CONFIG_VIEW, shown.scope, shown.name)
    split = request.GET.get("view") == "split"
    others = objects_seen_by(actor.user, found.cluster, "config").exclude(pk=found.pk)
    context = {
        "object": found,
        "cluster": found.cluster,
        "freshness": freshness(found.cluster),
        "other": other,
        "others": list(others.values_list("name", flat=True)),
        "views": VIEWS,
        "view": "split" if split else "unified",
        **(_compared(other, found, split) if other else {}),
    }
    return render(request, "clusters/config_compare.html", context)


def _before(family: list[Secret | Config], found: Secret | Config) -> Secret | Config | None:
    older = [version for version in family if version.number < found.number]
    return older[0] if older else next((v for v in family if v.pk != found.pk), None)


def _compared(before: Secret | Config, after: Secret | Config, split: bool) -> dict[str, Any]:
    """`groups`, or `trouble`: why there are none."""
    if not isinstance(before, Config) or not isinstance(after, Config):
        return {}
    if bytes(before.data) == bytes(after.data):
        return {"trouble": "Both have the same content, byte for byte."}
    old, new = texts.text_of(bytes(before.data)), texts.text_of(bytes(after.data))
    if old is None or new is None:
        return {"trouble": "They differ, but at least one of them is binary: no text to compare."}
    if texts.too_long(old, new):
        return {"trouble": f"They differ, but have more than {texts.MOST_LINES:,} lines."}
    groups = texts.compared(old, new)
    if not groups:
        return {"trouble": "They differ in how lines end, and in nothing else."}
    return {"groups": [texts.side_by_side(group) for group in groups] if split else groups}


@never_cache
@require_safe
@needs(Action.CONFIG_VIEW)
def data(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
    """The data as a file. It is never shown as a page of ours, whatever it holds."""
    actor, found = find_object(request, cluster, "config", name)
    authorize(actor, Action.CONFIG_VIEW, found.scope)
    noted.read(actor, Action.CONFIG_VIEW, found.scope, found.name)
    content = bytes(found.data) if isinstance(found, Config) else b""
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return response
