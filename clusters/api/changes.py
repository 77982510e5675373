"""Changes of a service: each foreseen with `?dry_run=true`, or asked for as an operation."""

from dataclasses import replace
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Header, Query, Router, Status

from access.declared import needs
from access.policy import Action
from clusters import shown
from clusters.api.answers import accepted, actor_of, service_of
from clusters.changes import Restart, Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Operation, Service
from clusters.operations.previews import preview
from clusters.operations.requests import request as request_change
from clusters.problems import Conflict, Invalid
from clusters.schemas.changes import DryRun, Preview
from clusters.schemas.operations import OperationRow
from clusters.sensitive import note_differences
from clusters.tasks import wake

router = Router(tags=["Changes of a service"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Of your making. A request with a key that you sent before does nothing again,"
        " and answers the operation that it made the first time.",
    ),
]
Outcome = dict[int, Any]
SERVICE = "{slug:cluster}/services/{str:service}/"
CHANGE: dict[int, Any] = {202: OperationRow, 200: Preview}


@router.post(SERVICE + "scale", response=CHANGE, summary="Scale")
@needs(Action.SERVICE_SCALE)
def scale(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    change: Scale,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """Set the number of replicas of a replicated service. No running task is restarted."""
    return _change(request, response, cluster, service, change, options, key)


@router.post(SERVICE + "update", response=CHANGE, summary="Update, task by task")
@needs(Action.SERVICE_UPDATE)
def update(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    change: Update,
    options: Query[DryRun],
    key: IdempotencyKey = None,
) -> Status:
    """Change the image, environment, labels, resources, constraints or the rollout's own settings.

    What you leave out stays as it is. In `env`, `labels` and `container_labels` a null removes the
    name. Durations are nanoseconds or texts like `10s`, memory is bytes or a text like `512M`.
    """
    return _change(request, response, cluster, service, change, options, key)


@router.post(SERVICE + "rollback", response=CHANGE, summary="Roll back to a revision")
@needs(Action.SERVICE_ROLLBACK)
def rollback(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Rollback | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """To the given revision, or without one to the newest whose tasks differ from the present."""
    return _change(request, response, cluster, service, change or Rollback(), options, key)


@router.post(SERVICE + "restart", response=CHANGE, summary="Restart every task")
@needs(Action.SERVICE_RESTART)
def restart(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Restart | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """Replace every task by a fresh one of the same spec, by the service's own update_config."""
    return _change(request, response, cluster, service, change or Restart(), options, key)


@router.post(SERVICE + "resume", response=CHANGE, summary="Resume a stopped or paused rollout")
@needs(Action.SERVICE_UPDATE)
def resume(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    service: str,
    options: Query[DryRun],
    change: Annotated[Resume | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Status:
    """Let a rollout go on that was stopped half way by a cancellation."""
    return _change(request, response, cluster, service, change or Resume(), options, key)


def _change(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    name: str,
    change: ServiceChange,
    options: DryRun,
    key: str | None,
) -> Status:
    actor = actor_of(request)
    row, actions = service_of(request, cluster, name)
    env = Action.SERVICE_ENV in actions
    try:
        if options.dry_run == "true":
            foreseen = preview(actor, row, change)
            note_differences(actor, row, actions, foreseen.differences)
            return Status(200, shown.preview(foreseen, env=env))
        operation = request_change(actor, row, change, wake=wake, idempotency_key=key)
    except Conflict as conflict:
        both = (*conflict.clash.theirs, *conflict.clash.yours)
        note_differences(actor, row, actions, both)
        raise _shown_conflict(conflict, env=env) from conflict
    _refuse_other_use(operation, row, change, key)
    return accepted(request, response, operation)


def _shown_conflict(conflict: Conflict, *, env: bool) -> Conflict:
    clash = conflict.clash
    theirs = shown.differences(clash.theirs, env=env)
    yours = shown.differences(clash.yours, env=env)
    return Conflict(replace(clash, theirs=theirs, yours=yours))


def _refuse_other_use(
    operation: Operation, service: Service, change: ServiceChange, key: str | None
) -> None:
    """One key is one request: the operation of another must not pass for this one's."""
    if key and (operation.target_id, operation.change) != (service.engine_id, change.asked()):
        raise Invalid(
            "This Idempotency-Key was used for another request; nothing was done.",
            "Idempotency-Key",
        )
