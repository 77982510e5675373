"""The API's addresses of one's own tokens."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from access import audit
from access.authorize import Actor
from access.declared import SIGNED_IN, needs
from access.models import ApiToken, AuditEntry
from access.paging import Page, Paging, page_of
from access.tokens import issue_token

tokens = Router(tags=["Your tokens"])


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


@tokens.get("", response=Page[Token], summary="List your tokens")
@needs(SIGNED_IN)
def list_tokens(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    rows = ApiToken.objects.filter(user=_actor(request).user).order_by("-id")
    return page_of(rows, paging, _shown_token)


@tokens.post("", response={201: IssuedToken}, summary="Issue a token")
@needs(SIGNED_IN)
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
@needs(SIGNED_IN)
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
