"""The API's addresses of the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from access.api.answers import actor_of
from access.authorize import authorize
from access.declared import needs
from access.models import AuditEntry
from access.paging import Page, Paging, page_of
from access.policy import Action, Scope

router = Router(tags=["Audit"])


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


@router.get("", response=Page[Entry], summary="Read the audit trail")
@needs(Action.AUDIT_VIEW)
def list_entries(request: HttpRequest, filters: Query[AuditFilter]) -> dict[str, Any]:
    """The newest first. For auditors of everything, or of the cluster that `cluster` names."""
    authorize(actor_of(request), Action.AUDIT_VIEW, Scope(filters.cluster))
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
