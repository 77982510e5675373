"""Services and their logs."""

import json
import time
from dataclasses import asdict
from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from access import noted
from access.declared import needs
from access.paging import Page, page_count
from access.policy import Action
from clusters import shown
from clusters.api.answers import actor_of, service_of
from clusters.engines import streams_for
from clusters.logs.history import history
from clusters.logs.lines import Batch
from clusters.logs.sources import Picture, look
from clusters.schemas.logs import LogFilter
from clusters.schemas.services import Service, ServiceFilter, ServiceRow
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.services import ServiceQuery, service_page
from clusters.sensitive import note_env

router = Router(tags=["Services"])

LOG_ANSWER = {
    "description": "JSON lines",
    "content": {"application/jsonl": {"schema": {"type": "string"}}},
}


@router.get("{slug:cluster}/services", response=Page[ServiceRow], summary="List the services")
@needs(Action.CLUSTER_VIEW)
def list_services(
    request: HttpRequest, cluster: str, filters: Query[ServiceFilter]
) -> dict[str, Any]:
    user = actor_of(request).user
    row = cluster_seen_by(user, cluster)
    query = ServiceQuery(
        q=filters.q,
        stack=filters.stack,
        state=filters.state or "",
        image=filters.image,
        sort=filters.sort,
        page=filters.page,
    )
    found = service_page(user, row, query, filters.page_size)
    rows = found.rows if filters.page <= found.pages else []
    return {
        "items": [shown.service(service) for service in rows],
        "total": found.total,
        "page": filters.page,
        "pages": page_count(found.total, filters.page_size),
    }


@router.get("{slug:cluster}/services/{str:service}", response=Service, summary="Show a service")
@needs(Action.SERVICE_VIEW)
def show_service(request: HttpRequest, cluster: str, service: str) -> dict[str, Any]:
    """By name or id: its spec, tasks and revisions.

    Environment values are hidden (`•••`) from those who may not see them.
    """
    row, actions = service_of(request, cluster, service)
    note_env(actor_of(request), row, actions)
    return shown.whole_service(row, env=Action.SERVICE_ENV in actions)


@router.get(
    "{slug:cluster}/services/{str:service}/logs",
    response={200: None},
    openapi_extra={"responses": {200: LOG_ANSWER}},
    summary="Read the log of a service",
)
@needs(Action.SERVICE_LOGS)
def show_logs(
    request: HttpRequest, cluster: str, service: str, asked: Query[LogFilter]
) -> HttpResponse:
    """The newest lines of its tasks, oldest first, as JSON lines.

    A line is `{"at", "task", "task_id", "node", "stream", "text"}`. After them, what is missing and
    why is told as `{"notice", "task", "node"}`: a node that does not answer costs its own lines and
    at most five seconds. To follow a log, open the WebSocket `/live/logs/{cluster}/{service}/`.
    """
    actor = actor_of(request)
    picture = look(actor, cluster, service, asked.task)
    noted.read(actor, Action.SERVICE_LOGS, picture.scope, service)
    since = time.time() - asked.since if asked.since else 0.0
    batch = async_to_sync(_history)(picture, asked.tail, since)
    entries = [asdict(line) for line in batch.lines]
    entries += [{"notice": n.text, "task": n.task, "node": n.node} for n in batch.notices]
    content = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    return HttpResponse(content, content_type="application/jsonl")


async def _history(picture: Picture, tail: int, since: float) -> Batch:
    streams = streams_for(picture.cluster)
    try:
        return await history(streams, picture.sources, tail=tail, since=since)
    finally:
        await streams.close()
