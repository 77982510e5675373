"""The API's addresses of emergencies: taken, given back and reviewed as on their pages.

Taking and reviewing need a proof of who you are, which no token has: a browser's session does.
"""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from access import alarms
from access.api.answers import Asked, Where, actor_of, known
from access.authorize import authorize
from access.declared import SIGNED_IN, needs
from access.models import BreakGlass
from access.operations import emergencies as operations
from access.paging import Page, Paging, page_of
from access.policy import Action

router = Router(tags=["Access"])


class EmergencyShown(Schema):
    """Rights that somebody took, for an hour at most, and what a reviewer says of it."""

    id: int
    user: str
    cluster: str
    stack: str
    reason: str
    running: bool
    started_at: datetime
    until: datetime
    ended_at: datetime | None = Field(description="Before `until` if it was given back.")
    reviewed_by: str | None
    reviewed_at: datetime | None
    review: str


class Emergency(Where):
    reason: str = Field(
        max_length=operations.LONGEST_TEXT,
        description=f"At least {operations.SHORTEST_REASON} characters, for all concerned.",
    )


class Review(Asked):
    review: str = Field(
        min_length=1,
        max_length=operations.LONGEST_TEXT,
        description="Whether it was needed, and what follows.",
    )


def _shown(row: BreakGlass) -> dict[str, Any]:
    names = (
        "id", "cluster", "stack", "reason", "started_at", "until", "ended_at", "reviewed_at",
        "review",
    )  # fmt: skip
    return {
        "user": row.user.get_username(),
        "running": alarms.is_running(row),
        "reviewed_by": row.reviewed_by.get_username() if row.reviewed_by else None,
        **{name: getattr(row, name) for name in names},
    }


def _seen(request: HttpRequest, emergency: int) -> BreakGlass:
    return alarms.emergency_seen_by(actor_of(request).user, emergency)


@router.get("", response=Page[EmergencyShown], summary="List the emergencies")
@needs(SIGNED_IN)
def list_emergencies(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """Those of scopes of which you see something, and your own, the latest first."""
    return page_of(alarms.emergencies(actor_of(request).user), paging, _shown)


@router.post("", response={201: EmergencyShown}, summary="Break the glass")
@needs(Action.BREAK_GLASS)
def break_glass(request: HttpRequest, response: HttpResponse, asked: Emergency) -> Status:
    """Emergency rights for an hour. Not with a token: it needs a proof of who you are."""
    actor = actor_of(request)
    authorize(actor, Action.BREAK_GLASS, asked.scope)
    glass = operations.break_glass(actor, known(asked.scope), asked.reason)
    match = request.resolver_match
    name = f"{match.namespace}:emergency" if match else "emergency"
    response["Location"] = reverse(name, kwargs={"emergency": glass.pk})
    return Status(201, _shown(glass))


@router.get(
    "{int:emergency}", response=EmergencyShown, url_name="emergency", summary="Show an emergency"
)
@needs(SIGNED_IN)
def show_emergency(request: HttpRequest, emergency: int) -> dict[str, Any]:
    return _shown(_seen(request, emergency))


@router.post("{int:emergency}/end", response=EmergencyShown, summary="Give the rights back")
@needs(SIGNED_IN)
def end_emergency(request: HttpRequest, emergency: int) -> dict[str, Any]:
    """Your own, or as one who manages access there. Ending it again changes nothing."""
    operations.give_back(actor_of(request), _seen(request, emergency))
    return _shown(_seen(request, emergency))


@router.post("{int:emergency}/review", response=EmergencyShown, summary="Review an emergency")
@needs(SIGNED_IN)
def review_emergency(request: HttpRequest, emergency: int, asked: Review) -> dict[str, Any]:
    """One that is over, of somebody else. Not with a token: it needs a proof of who you are."""
    operations.review(actor_of(request), _seen(request, emergency), asked.review)
    return _shown(_seen(request, emergency))
