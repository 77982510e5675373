"""The API's addresses of the audit trail and of one's own tokens."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from access import audit
from access.authorize import Actor, authorize
from access.models import ApiToken, AuditEntry
from access.paging import Page, Paging, page_of
from access.policy import Action, Scope
from access.tokens import issue_token

trail = Router(tags=["Audit"])
tokens = Router(tags=["Your tokens"])


class AuditFilter(Paging):
    cluster: str = Field("", max_length=64, description="One cluster; needed if you audit only it.")
    actor: str = Field("", max_length=150, description="A user name.")
    action: str = Field("", max_length=32, examples=["service.scale"])
    operation: UUID | None = Field(None, description="The rows of one operation.")


class Entry(Schema):
    """Who did what to what, from where, and how it went."""

    id: int
    at: datetime
    phase: str = Field(description="intent, result, refused, or event for what has no operation.")
    actor: str
    via: str
    address: str
    action: str
    cluster: str
    stack: str
    target: str
    operation: UUID | None
    outcome: str
    detail: dict[str, Any]


class Token(Schema):
    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewToken(Schema):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    days: int = Field(90, ge=1, le=366, strict=True)


class IssuedToken(Token):
    token: str = Field(description="The secret itself. It is shown this once.")


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


@trail.get("", response=Page[Entry], summary="Read the audit trail")
def list_entries(request: HttpRequest, filters: Query[AuditFilter]) -> dict[str, Any]:
    """The newest first. For auditors of everything, or of the cluster that `cluster` names."""
    authorize(_actor(request), Action.AUDIT_VIEW, Scope(filters.cluster))
    asked = {
        "cluster": filters.cluster,
        "actor_name": filters.actor,
        "action": filters.action,
        "operation": filters.operation,
    }
    rows = AuditEntry.objects.filter(**{name: value for name, value in asked.items() if value})
    return page_of(rows.order_by("-id"), filters, _shown_entry)


def _shown_entry(row: AuditEntry) -> dict[str, Any]:
    names = (
        "id", "at", "phase", "via", "address", "action", "cluster", "stack", "target",
        "operation", "outcome", "detail",
    )  # fmt: skip
    return {"actor": row.actor_name, **{name: getattr(row, name) for name in names}}


@tokens.get("", response=Page[Token], summary="List your tokens")
def list_tokens(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    rows = ApiToken.objects.filter(user=_actor(request).user).order_by("-id")
    return page_of(rows, paging, _shown_token)


@tokens.post("", response={201: IssuedToken}, summary="Issue a token")
def issue(request: HttpRequest, new: NewToken) -> Status:
    """With your own rights. A token cannot issue tokens: sign in with the browser for this."""
    actor = _actor(request)
    if actor.via != "browser":
        raise HttpError(403, "A token cannot issue tokens: sign in with the browser for this.")
    with transaction.atomic():
        secret = issue_token(actor.user, new.name, timedelta(days=new.days))
        row = ApiToken.objects.filter(user=actor.user).latest("id")
        audit.record(actor, "token.issue", AuditEntry.Phase.EVENT, target=new.name)
    return Status(201, {"token": secret, **_shown_token(row)})


@tokens.delete("{int:token}", response={204: None}, summary="Revoke a token")
def revoke(request: HttpRequest, token: int) -> Status:
    """It stops working at once. Revoking it again changes nothing."""
    actor = _actor(request)
    with transaction.atomic():
        row = get_object_or_404(ApiToken.objects.select_for_update(), user=actor.user, pk=token)
        if row.revoked_at is None:
            ApiToken.objects.filter(pk=row.pk).update(revoked_at=Now())
            audit.record(actor, "token.revoke", AuditEntry.Phase.EVENT, target=row.name)
    return Status(204, None)


def _shown_token(row: ApiToken) -> dict[str, Any]:
    names = ("id", "name", "created_at", "expires_at", "last_used_at", "revoked_at")
    return {name: getattr(row, name) for name in names}
