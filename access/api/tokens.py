"""The API's addresses of tokens: one's own, and everybody's for who manages access."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from access import directory
from access.api.answers import TokenShown, Where, actor_of, known, token_shown
from access.authorize import authorize_somewhere, scopes_with
from access.declared import SIGNED_IN, needs
from access.operations import tokens as operations
from access.paging import Page, Paging, page_of
from access.policy import Action, Role

router = Router(tags=["Tokens"])


class TokenFilter(Paging):
    owner: str = Field(
        "", max_length=150, description="A person, or `*` for everybody; left out: yourself."
    )


class NewToken(Where):
    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    days: int = Field(90, ge=1, le=operations.LONGEST, strict=True)
    role: Role | Literal[""] = Field("", description="Left out: whatever you may yourself.")


class IssuedToken(TokenShown):
    token: str = Field(description="The secret itself. It is shown this once.")


@router.get("", response=Page[TokenShown], summary="List tokens")
@needs(SIGNED_IN)
def list_tokens(request: HttpRequest, filters: Query[TokenFilter]) -> dict[str, Any]:
    """Your own; those of others as far as you see who may do what."""
    actor = actor_of(request)
    if filters.owner in ("", actor.user.get_username()):
        return page_of(directory.tokens_of(actor.user), filters, token_shown)
    rows = directory.tokens(authorize_somewhere(actor, Action.ACCESS_VIEW))
    if filters.owner != "*":
        rows = rows.filter(user__username=filters.owner)
    return page_of(rows, filters, token_shown)


@router.post("", response={201: IssuedToken}, summary="Issue a token")
@needs(SIGNED_IN)
def issue(request: HttpRequest, new: NewToken) -> Status:
    """With your own rights or less. A token cannot issue tokens: sign in with the browser."""
    scope = known(new.scope)
    token, secret = operations.issue(actor_of(request), new.name, new.days, new.role, scope)
    return Status(201, {"token": secret, **token_shown(token)})


@router.delete("{int:token}", response={204: None}, summary="Revoke a token")
@needs(SIGNED_IN)
def revoke(request: HttpRequest, token: int) -> Status:
    """It stops working at once, its open sockets too. Revoking it again changes nothing."""
    actor = actor_of(request)
    scopes = scopes_with(actor.user, Action.ACCESS_VIEW)
    operations.revoke(actor, directory.token_seen(token, actor.user, scopes))
    return Status(204, None)
