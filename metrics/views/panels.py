"""Saved panels: a stack's for those who see it, a cluster's for those who see all of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.authorize import Actor, allowed
from access.declared import needs
from access.policy import Action, Scope
from access.problems import Invalid
from clusters.models import Cluster
from clusters.selectors.clusters import freshness
from clusters.selectors.scopes import places
from clusters.views.dialogs import close, dialog, go_to
from clusters.views.finding import find_cluster
from metrics import saving, selectors
from metrics.forms import PanelForm
from metrics.models import SavedPanel
from metrics.pictures import Subject, as_json
from metrics.poller import POLLER
from metrics.sources import source_of
from metrics.views.charts import READ_OR_WRITE, json_answer, range_of
from metrics.views.queries import find
from metrics.windows import RANGES

# --- The pages -----------------------------------------------------------------------------------


@require_safe
@needs(Action.SERVICE_VIEW)
def of_stack(request: HttpRequest, cluster: str, stack: str) -> HttpResponse:
    return _page(request, *find_cluster(request, cluster), stack)


@require_safe
@needs(Action.SERVICE_VIEW)
def of_cluster(request: HttpRequest, cluster: str) -> HttpResponse:
    return _page(request, *find_cluster(request, cluster), "")


def _page(request: HttpRequest, actor: Actor, cluster: Cluster, stack: str) -> HttpResponse:
    scope = selectors.panels_seen_in(actor.user, cluster, stack)
    span = range_of(request)
    POLLER.look(_subject(scope, span))  # before its script asks
    context = {
        "cluster": cluster,
        "stack": stack,
        "freshness": freshness(cluster),
        "range": span,
        "ranges": RANGES,
        "source": source_of(cluster),
        "panels": selectors.panels_of(scope),
        "removed": selectors.removed_of(scope),
        "may": allowed(actor.user, cluster.scope),
    }
    return render(request, "metrics/panels.html", context)


def _subject(scope: Scope, span: str) -> Subject:
    return Subject("panels", scope.cluster, range=span, stack=scope.stack)


@require_safe
@needs(Action.SERVICE_VIEW)
def stack_data(request: HttpRequest, cluster: str, stack: str) -> JsonResponse:
    return _data(request, *find_cluster(request, cluster), stack)


@require_safe
@needs(Action.SERVICE_VIEW)
def cluster_data(request: HttpRequest, cluster: str) -> JsonResponse:
    return _data(request, *find_cluster(request, cluster), "")


def _data(request: HttpRequest, actor: Actor, cluster: Cluster, stack: str) -> JsonResponse:
    """What is known now; {"state": "loading"} before the first picture."""
    scope = selectors.panels_seen_in(actor.user, cluster, stack)
    return json_answer(as_json(POLLER.look(_subject(scope, range_of(request)))))


# --- Changes -------------------------------------------------------------------------------------


def address_of(scope: Scope) -> str:
    """Of the page that shows the panels of this stack or cluster."""
    if scope.stack:
        return reverse("metrics:stack", args=[scope.cluster, scope.stack])
    return reverse("metrics:panels", args=[scope.cluster])


@require_http_methods(READ_OR_WRITE)
@needs(Action.METRICS_QUERY)
def create(request: HttpRequest, cluster: str) -> HttpResponse:
    """?query=…&unit=…&stack=… fills its form."""
    actor, found = find(request, cluster)
    stacks = places()[found.name]
    form = PanelForm(request.POST or None, stacks=stacks, initial=request.GET.dict())
    if form.is_valid():
        try:
            panel = saving.save(actor, found, form.new())
        except Invalid as failure:
            form.refuse(failure)
        else:
            POLLER.forget(found.name)
            message = f"The panel “{panel.title}” was saved."
            return close(request, message, address_of(panel.scope), "Look at it")
    back = reverse("metrics:query", args=[found.name])
    return _form(request, form, found, reverse("metrics:panel-new", args=[found.name]), back)


@require_http_methods(READ_OR_WRITE)
@needs(Action.METRICS_QUERY)
def edit(request: HttpRequest, cluster: str, panel: int) -> HttpResponse:
    actor, found = _panel(request, cluster, panel)
    form = PanelForm(request.POST or None, panel=found)
    if form.is_valid():
        try:
            saving.change(actor, found, form.changed())
        except Invalid as failure:
            form.refuse(failure)
        else:
            return _done(request, found)
    address = reverse("metrics:panel-edit", args=[found.cluster.name, found.pk])
    return _form(request, form, found.cluster, address, address_of(found.scope))


def _form(
    request: HttpRequest, form: PanelForm, cluster: Cluster, address: str, back: str
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "cluster": cluster, "address": address, "back": back}
    return dialog(request, "metrics/_panel_form.html", context, 422 if form.errors else 200)


@require_POST
@needs(Action.METRICS_QUERY)
def move(request: HttpRequest, cluster: str, panel: int) -> HttpResponse:
    """`by`: −1 up, 1 down."""
    actor, found = _panel(request, cluster, panel)
    saving.move(actor, found, -1 if request.POST.get("by") == "-1" else 1)
    return _done(request, found)


@require_POST
@needs(Action.METRICS_QUERY)
def remove(request: HttpRequest, cluster: str, panel: int) -> HttpResponse:
    """The page then offers to put it back."""
    actor, found = _panel(request, cluster, panel)
    saving.remove(actor, found)
    return _done(request, found, f"&removed={found.pk}")


@require_POST
@needs(Action.METRICS_QUERY)
def put_back(request: HttpRequest, cluster: str, panel: int) -> HttpResponse:
    actor, found = _panel(request, cluster, panel, removed=True)
    saving.put_back(actor, found)
    return _done(request, found)


def _panel(
    request: HttpRequest, cluster: str, panel: int, *, removed: bool = False
) -> tuple[Actor, SavedPanel]:
    """Raises SignedOut, NotFound, Forbidden."""
    actor, found = find(request, cluster)
    return actor, selectors.panel_seen_by(actor.user, found, panel, removed=removed)


def _done(request: HttpRequest, panel: SavedPanel, query: str = "") -> HttpResponse:
    """Back to the page, with the list open that this was done in."""
    POLLER.forget(panel.cluster.name)
    address = f"{address_of(panel.scope)}?arrange=1{query}"
    if request.headers.get("HX-Request"):
        return go_to(request, address)
    return HttpResponseRedirect(address)
