"""The operations table, and one operation."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from access.authorize import Actor, authorize
from access.declared import AS_ITS_OPERATION, SIGNED_IN, needs
from access.policy import Action
from access.requests import actor_of
from clusters import contexts
from clusters.changes import Resume, ServiceChange
from clusters.forms.services import change_of
from clusters.models import Operation, Service
from clusters.operations import approvals
from clusters.operations.previews import preview
from clusters.operations.requests import request_cancel
from clusters.problems import Busy, Conflict, Invalid
from clusters.readings import Health
from clusters.selectors.clusters import clusters_seen_by
from clusters.selectors.operations import operation_list, operation_seen_by
from clusters.selectors.services import service_seen_by
from clusters.sensitive import note_differences
from clusters.tasks import wake
from clusters.views import actions
from clusters.views.dialogs import close, dialog, sent
from clusters.views.finding import find_operation

SHOWN = 200  # the newest; older ones are found by filtering


@require_safe
@needs(SIGNED_IN)
def table(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    state, cluster = request.GET.get("state", ""), request.GET.get("cluster", "")
    found = operation_list(user, state=state, cluster=cluster)
    context = {
        "rows": contexts.operation_rows(user, list(found[:SHOWN])),
        "total": found.count(),
        "state": state,
        "states": [("active", "Not ended"), *Operation.State.choices],
        "cluster_name": cluster,
        "clusters": clusters_seen_by(user),
    }
    return render(request, "clusters/operation_list.html", context)


@require_safe
@needs(Action.OPERATION_VIEW)
def operation(request: HttpRequest, operation: UUID) -> HttpResponse:
    actor, found = find_operation(request, operation)
    return render(request, "clusters/operation.html", _shown(actor, found))


def _shown(actor: Actor, operation: Operation) -> dict[str, Any]:
    """What the operation's page and its decision show; values that are read there are noted."""
    context = contexts.operation(actor.user, operation)
    differences, clash = context["differences"], context["clash"]
    note_differences(actor, operation, context["may"], differences, clash)
    return context


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Action.OPERATION_CANCEL)
def cancel(request: HttpRequest, operation: UUID) -> HttpResponse:
    """Stop here, or go back: the person chooses, knowing what each does."""
    actor, found = find_operation(request, operation)
    authorize(actor, Action.OPERATION_CANCEL, found.scope)
    if request.method != "POST":
        return dialog(request, "clusters/_cancel.html", {"operation": found})
    how = request.POST.get("how", "")
    if how not in Operation.Cancel.values:
        context: dict[str, Any] = {"operation": found, "error": "Choose one of the two."}
        return dialog(request, "clusters/_cancel.html", context, status=422)
    try:
        request_cancel(actor, found, Operation.Cancel(how), wake=wake)
    except Invalid as failure:
        context = {"operation": found, "error": str(failure)}
        return dialog(request, "clusters/_cancel.html", context, status=422)
    address = reverse("clusters:operation", args=[found.id])
    return close(request, f"Cancelling: {found}.", address, "See the operation")


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Action.OPERATION_APPROVE)
def decide(request: HttpRequest, operation: UUID) -> HttpResponse:
    """A second person looks at what would change, and approves or declines it."""
    actor, found = find_operation(request, operation)
    authorize(actor, Action.OPERATION_APPROVE, found.scope)
    context = _shown(actor, found)
    if request.method != "POST":
        return dialog(request, "clusters/_decide.html", context)
    answer, note = request.POST.get("answer", ""), sent(request, "note", 500)
    if answer not in ("approve", "decline"):
        error = {"error": "Approve it or decline it."}
        return dialog(request, "clusters/_decide.html", context | error, status=422)
    try:
        decided = approvals.decide(actor, found, approve=answer == "approve", note=note, wake=wake)
    except (Invalid, Busy) as failure:
        context = contexts.operation(actor.user, operation_seen_by(actor.user, found.pk))
        error = {"error": str(failure)}
        return dialog(request, "clusters/_decide.html", context | error, status=409)
    done = "Approved" if answer == "approve" else "Declined"
    address = reverse("clusters:operation", args=[decided.id])
    return close(
        request, f"{done}: {decided.get_kind_display()} {decided.target}.", address, "Follow it"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs(AS_ITS_OPERATION)
def again(request: HttpRequest, operation: UUID) -> HttpResponse:
    """The same change once more, on top of the service as it is now: preview, then confirm."""
    actor, found = find_operation(request, operation)
    service = service_seen_by(actor.user, found.cluster, found.target_id)
    change = _once_more(actor, found, service)
    address = reverse("clusters:operation-again", args=[found.id])
    if request.POST.get("step") != "confirm":
        return actions.show(request, preview(actor, service, change), address)
    version = request.POST.get("version") or str(service.version)
    seen = int(version) if version.isascii() and version.isdigit() and len(version) < 19 else 0
    try:
        change = change.model_copy(update={"version": seen})
        return actions.confirm(request, actor, service, change, address)
    except Conflict as conflict:
        return actions.clash(request, actor, service, conflict, address)


def _once_more(actor: Actor, operation: Operation, service: Service) -> ServiceChange:
    """The operation's change; where that is in the spec already, but paused on its way: resume."""
    change = change_of(operation.kind, operation.change)
    there = preview(actor, service, change).changes_nothing
    return Resume() if there and service.health == Health.PAUSED else change
