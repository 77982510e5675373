"""The API's addresses of protections: the scopes in which a change needs two persons."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status

from access import directory
from access.api.answers import Where, actor_of, known
from access.authorize import authorize, authorize_somewhere
from access.declared import needs
from access.models import Protection
from access.operations import protections as operations
from access.paging import Page, Paging, page_of
from access.policy import Action

router = Router(tags=["Access"])


class ProtectionShown(Schema):
    id: int
    cluster: str
    stack: str
    created_at: datetime


def _shown(row: Protection) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "cluster", "stack", "created_at")}


@router.get("", response=Page[ProtectionShown], summary="List what is protected")
@needs(Action.ACCESS_VIEW)
def list_protections(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    scopes = authorize_somewhere(actor_of(request), Action.ACCESS_VIEW)
    return page_of(directory.protections(scopes), paging, _shown)


@router.post("", response={201: ProtectionShown}, summary="Let changes need two persons")
@needs(Action.ACCESS_MANAGE)
def protect(request: HttpRequest, where: Where) -> Status:
    """In a cluster, or in one stack of it."""
    actor = actor_of(request)
    authorize(actor, Action.ACCESS_MANAGE, where.scope)
    return Status(201, _shown(operations.protect(actor, known(where.scope))))


@router.delete("{int:protection}", response={204: None}, summary="Take a protection away")
@needs(Action.ACCESS_MANAGE)
def unprotect(request: HttpRequest, protection: int) -> Status:
    """Every administrator of the scope is told on every page for a day."""
    actor = actor_of(request)
    scopes = authorize_somewhere(actor, Action.ACCESS_MANAGE)
    operations.unprotect(actor, directory.protection_seen(protection, scopes))
    return Status(204, None)
