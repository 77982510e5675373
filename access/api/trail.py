"""The API's addresses of the audit trail."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Query, Router, Schema
from pydantic import Field

from access import noted
from access.audit import heads
from access.authorize import Actor
from access.declared import needs
from access.models import AuditEntry, AuditProof
from access.paging import Page, Paging, page_of
from access.policy import EVERYWHERE, Action, Scope
from access.trail import proofs, reading
from access.trail.reading import FILTERS, Filters
from access.trail.sending import audited, export_answer

router = Router(tags=["Audit"])
EXPORT_ANSWER = {
    "description": "JSON lines or CSV",
    "content": {
        "application/jsonl": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
    },
}


class Asked(Schema):
    """What is looked for; what is left out is not asked for."""

    actor: str = Field("", max_length=150, description="How a user name begins.")
    action: str = Field("", max_length=32, description="Any part of it.", examples=["scale"])
    cluster: str = Field("", max_length=64)
    stack: str = Field("", max_length=64)
    target: str = Field("", max_length=255, description="How its name begins.")
    phase: Literal["", "intent", "result", "refused", "event"] = ""
    outcome: str = Field("", max_length=16)
    operation: UUID | None = Field(None, description="The entries of one operation.")
    since: datetime | None = Field(None, description="From this time on.")
    until: datetime | None = Field(None, description="Before this time.")

    @property
    def filters(self) -> Filters:
        return Filters(**{name: getattr(self, name) for name in FILTERS if getattr(self, name)})


class AuditFilter(Asked, Paging):
    pass


class AuditExport(Asked):
    format: Literal["jsonl", "csv"] = "jsonl"


class Entry(Schema):
    """Who did what to what, from where, and how it went."""

    id: int
    at: datetime
    sequence: int = Field(description="Its number in its cluster's chain.")
    hash: str = Field(description="Of its fields and of the hash before it.")
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


class ChainBreak(Schema):
    sequence: int
    reason: str


class Chain(Schema):
    cluster: str = Field(description="Empty: the panel's own.")
    entries: int
    hash: str = Field(description="Of the newest entry.")
    broken: ChainBreak | None = Field(description="The first entry that is not as it was written.")


class Proof(Schema):
    """What was found when every chain was followed from its first entry."""

    whole: bool
    proved_at: datetime
    entries: int
    chains: list[Chain]


class Head(Schema):
    cluster: str = Field(description="Empty: the panel's own.")
    sequence: int
    hash: str


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


@router.get("", response=Page[Entry], summary="Read the audit trail")
@needs(Action.AUDIT_VIEW)
def list_entries(request: HttpRequest, asked: Query[AuditFilter]) -> dict[str, Any]:
    """The newest first, of the clusters and stacks that you audit. That you read it is recorded."""
    actor, filters = _actor(request), asked.filters
    scopes = reading.scopes_of(actor, filters.scope)
    noted.read(actor, Action.AUDIT_VIEW, audited(filters.scope, scopes))
    found = filters.narrow(reading.entries_in(scopes))
    return page_of(found.order_by("-at", "-id"), asked, _shown_entry)


def _shown_entry(row: AuditEntry) -> dict[str, Any]:
    names = (
        "id", "at", "sequence", "hash", "phase", "via", "address", "action", "cluster", "stack",
        "target", "operation", "outcome", "detail",
    )  # fmt: skip
    return {"actor": row.actor_name, **{name: getattr(row, name) for name in names}}


@router.get(
    "/export",
    response={200: None},
    openapi_extra={"responses": {200: EXPORT_ANSWER}},
    summary="Export the audit trail",
)
@needs(Action.AUDIT_VIEW)
def export_entries(request: HttpRequest, asked: Query[AuditExport]) -> HttpResponseBase:
    """Every entry that the filters leave, chain by chain, each from its first entry.

    Whole chains can be proved without the panel: see `access/chain.py`. That you exported is
    recorded.
    """
    return export_answer(request, _actor(request), asked.filters, asked.format)


@router.get("/verify", response=Proof, summary="Prove the audit trail")
@needs(Action.AUDIT_VIEW)
def verify_trail(request: HttpRequest) -> dict[str, Any]:
    """Follow every chain now. That takes some seconds for each 100,000 entries."""
    actor = _actor(request)
    scopes = reading.scopes_of(actor)
    proof = proofs.prove(AuditProof(asked_by=actor.user.get_username()))
    chains = proofs.seen_in(proof, scopes)
    return {
        "whole": not any(chain["broken"] for chain in chains),
        "proved_at": proof.finished_at,
        "entries": sum(int(str(chain["entries"])) for chain in chains),
        "chains": chains,
    }


@router.get("/heads", response=list[Head], summary="List the chains' heads")
@needs(Action.AUDIT_VIEW)
def list_heads(request: HttpRequest) -> list[dict[str, Any]]:
    """The newest entry of each chain. Kept elsewhere, they prove all entries up to them."""
    scopes = reading.scopes_of(_actor(request))
    return [
        {"cluster": head.cluster, "sequence": head.sequence, "hash": head.hash}
        for head in heads()
        if any(scope.holds(Scope(head.cluster)) for scope in scopes)
        and (head.cluster or EVERYWHERE in scopes)
    ]
