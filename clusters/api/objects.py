"""What the addresses of secrets and of configs have in common."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables
from ninja import Status

from access.paging import page_of
from clusters import shown
from clusters.api.answers import accepted, actor_of, address_of
from clusters.changes import Content, NewObject
from clusters.engines import engine_for
from clusters.models import Cluster, Config, Secret
from clusters.operations import disposals, making, rotations
from clusters.ports import Noun
from clusters.problems import Invalid
from clusters.schemas.changes import DryRun
from clusters.schemas.objects import ObjectFilter
from clusters.selectors.clusters import cluster_seen_by
from clusters.selectors.objects import object_seen_by, objects_seen_by
from clusters.selectors.usage import Usage, usage
from clusters.tasks import wake


def cluster_of(request: HttpRequest, cluster: str, noun: Noun) -> Cluster:
    """The cluster, for who may see secrets or configs there. Raises NotFound."""
    user = actor_of(request).user
    found = cluster_seen_by(user, cluster)
    objects_seen_by(user, found, noun)
    return found


def object_of(request: HttpRequest, cluster: str, noun: Noun, name: str) -> Secret | Config:
    user = actor_of(request).user
    here = cluster_seen_by(user, cluster)
    return object_seen_by(user, here, noun, name)


def listed(request: HttpRequest, cluster: str, noun: Noun, filters: ObjectFilter) -> dict[str, Any]:
    user = actor_of(request).user
    here = cluster_of(request, cluster, noun)
    rows: Any = objects_seen_by(user, here, noun).filter(name__icontains=filters.q)
    if filters.stack is not None:
        rows = rows.filter(stack=filters.stack)
    used = usage(user, here, noun)

    def row(found: Any) -> dict[str, Any]:
        return shown.secret_or_config(found, used.get(found.engine_id, Usage()))

    return page_of(rows.order_by("name", "engine_id"), filters, row)


def whole(request: HttpRequest, cluster: str, noun: Noun, name: str) -> dict[str, Any]:
    return shown.whole_object(actor_of(request).user, object_of(request, cluster, noun, name))


@sensitive_variables()
def created(
    request: HttpRequest,
    response: HttpResponse,
    cluster: str,
    noun: Noun,
    new: NewObject,
    content: Content,
    *,
    keep: bool = False,
) -> Status:
    here = cluster_of(request, cluster, noun)
    made = making.create(
        actor_of(request), here, noun, new, content.data(), engine=engine_for(here), keep=keep
    )
    response["Location"] = address_of(request, noun, cluster=here.name, **{noun: new.name})
    return Status(201, {"id": made, "name": new.name})


@sensitive_variables()
def rotated(
    request: HttpRequest,
    response: HttpResponse,
    found: Secret | Config,
    content: Content,
    options: DryRun,
    key: str | None,
    *,
    keep: bool = False,
) -> Status:
    actor, data = actor_of(request), content.data()
    if options.dry_run == "true":
        foreseen = rotations.preview(actor, found)
        making.check_size(found.noun, data)
        rotations.refuse_same(found, data)
        return Status(200, shown.rotation(foreseen))
    operation = rotations.request(
        actor,
        found,
        data,
        engine=engine_for(found.cluster),
        wake=wake,
        keep=keep,
        idempotency_key=key,
    )
    if operation.target_id != f"{found.noun}:{found.engine_id}":
        raise Invalid(
            "This Idempotency-Key was used for another request; nothing was done.",
            "Idempotency-Key",
        )
    return accepted(request, response, operation)


def removed(
    request: HttpRequest, response: HttpResponse, cluster: str, noun: Noun, name: str
) -> Status:
    found = object_of(request, cluster, noun, name)
    engine = engine_for(found.cluster)
    waits = disposals.remove(actor_of(request), found, engine=engine, wake=wake)
    return accepted(request, response, waits) if waits else Status(204, None)
