"""An export as an answer over HTTP."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from access import audit
from access.authorize import Actor
from access.models import AuditEntry
from access.policy import EVERYWHERE, Scope
from access.trail import export, reading
from access.trail.reading import Filters


def export_answer(
    request: HttpRequest, actor: Actor, filters: Filters, kind: str
) -> StreamingHttpResponse:
    """A file that is written while it is sent: however long the trail, little is in memory.

    Raises Forbidden. That it was taken along, and by whom, stands in the trail.
    """
    scopes = reading.scopes_of(actor, filters.scope)
    audit.record(
        actor,
        "audit.export",
        AuditEntry.Phase.EVENT,
        scope=audited(filters.scope, scopes),
        detail={"format": kind, "filters": filters.asked()},
    )
    pieces = export.pieces(filters.narrow(reading.entries_in(scopes)), kind)
    content = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=export.FORMATS[kind].media_type)
    day = timezone.now().strftime("%Y-%m-%d")
    response["Content-Disposition"] = f'attachment; filename="audit-{day}.{kind}"'
    response["Cache-Control"] = "no-store"
    return response


def audited(asked: Scope, scopes: list[Scope]) -> Scope:
    """Where a reading is told of: in the chain of the cluster that was read, or the panel's own."""
    if any(scope.holds(asked) for scope in scopes) and audit.has_chain(asked.cluster):
        return asked
    return scopes[0] if len(scopes) == 1 else EVERYWHERE


async def _in_threads(pieces: Iterator[str]) -> AsyncIterator[str]:
    """Under ASGI, Django would gather all of a plain iterator before it sends any."""
    while (piece := await sync_to_async(_next_of)(pieces)) is not None:
        yield piece


def _next_of(pieces: Iterator[str]) -> str | None:
    return next(pieces, None)
