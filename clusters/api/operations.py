"""Operations."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from access.authorize import allowed
from access.declared import SIGNED_IN, needs
from access.paging import Page, page_of
from access.policy import Action
from clusters import shown
from clusters.api.answers import accepted, actor_of
from clusters.models import Operation
from clusters.operations import approvals
from clusters.operations.requests import request_cancel
from clusters.schemas.operations import (
    Cancel,
    Decision,
    OperationDetail,
    OperationFilter,
    OperationRow,
)
from clusters.selectors.operations import operation_list, operation_seen_by
from clusters.sensitive import note_differences
from clusters.tasks import wake

router = Router(tags=["Operations"])


@router.get("", response=Page[OperationRow], summary="List the operations")
@needs(SIGNED_IN)
def list_operations(request: HttpRequest, filters: Query[OperationFilter]) -> dict[str, Any]:
    """The newest first."""
    found = operation_list(
        actor_of(request).user, state=filters.state or "", cluster=filters.cluster
    )
    return page_of(found.order_by("-created_at", "-id"), filters, shown.operation)


@router.get(
    "{uuid:operation}", response=OperationDetail, url_name="operation", summary="Show an operation"
)
@needs(Action.OPERATION_VIEW)
def show_operation(request: HttpRequest, operation: UUID) -> dict[str, Any]:
    actor = actor_of(request)
    row = operation_seen_by(actor.user, operation)
    actions = allowed(actor.user, row.scope)
    note_differences(actor, row, actions, (), row.clash)
    return shown.operation_detail(row, env=Action.SERVICE_ENV in actions)


@router.post("{uuid:operation}/approve", response={202: OperationRow}, summary="Approve")
@needs(Action.OPERATION_APPROVE)
def approve(
    request: HttpRequest, response: HttpResponse, operation: UUID, body: Decision
) -> Status:
    """As the second person, on a protected cluster or stack: never with a token."""
    return _decide(request, response, operation, body, approve=True)


@router.post("{uuid:operation}/decline", response={202: OperationRow}, summary="Decline")
@needs(Action.OPERATION_APPROVE)
def decline(
    request: HttpRequest, response: HttpResponse, operation: UUID, body: Decision
) -> Status:
    """As the second person, on a protected cluster or stack: never with a token."""
    return _decide(request, response, operation, body, approve=False)


def _decide(
    request: HttpRequest, response: HttpResponse, operation: UUID, body: Decision, *, approve: bool
) -> Status:
    actor = actor_of(request)
    row = operation_seen_by(actor.user, operation)
    decided = approvals.decide(actor, row, approve=approve, note=body.note, wake=wake)
    return accepted(request, response, decided)


@router.post("{uuid:operation}/cancel", response={202: OperationRow}, summary="Cancel")
@needs(Action.OPERATION_CANCEL)
def cancel(request: HttpRequest, response: HttpResponse, operation: UUID, body: Cancel) -> Status:
    """At once if nothing was sent to Docker yet; else stop the rollout, or go back."""
    actor = actor_of(request)
    row = operation_seen_by(actor.user, operation)
    how = Operation.Cancel(body.how)
    return accepted(request, response, request_cancel(actor, row, how, wake=wake))
