"""The services table, and a service's pages."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.authorize import allowed, authorize
from access.declared import needs
from access.models import User
from access.policy import Action
from clusters import contexts, specs
from clusters.models import Service
from clusters.problems import NotFound
from clusters.selectors.clusters import freshness
from clusters.selectors.nodes import networks_of
from clusters.selectors.revisions import shown_spec
from clusters.selectors.services import ServiceQuery, service_page
from clusters.selectors.tasks import task_matrix
from clusters.sensitive import note_differences, note_env
from clusters.views.finding import find_cluster, find_service

# The columns: the key to sort by, the heading, the class.
COLUMNS = (
    ("name", "Service", "c-name"),
    ("state", "State", "c-state"),
    ("replicas", "Replicas", "c-replicas"),
    ("", "CPU, memory", "c-load"),
    ("image", "Image", "c-image"),
    ("", "Update", "c-update"),
    ("error", "Last error", "c-error"),
    ("", "Placement", "c-placement"),
    ("updated", "Updated", "c-updated"),
)


@require_safe
@needs(Action.CLUSTER_VIEW)
def table(request: HttpRequest, cluster: str) -> HttpResponse:
    """The table's state is all in the address: search, filters, sort, grouping, page."""
    actor, found = find_cluster(request, cluster)
    page = service_page(actor.user, found, _query(request))
    context = {
        "cluster": found,
        "page": page,
        "columns": COLUMNS,
        "rows": contexts.service_rows(actor.user, page.rows),
        "freshness": freshness(found),
        "may": allowed(actor.user, found.scope),
    }
    return render(request, "clusters/service_list.html", context)


def _query(request: HttpRequest) -> ServiceQuery:
    asked = request.GET
    page = asked.get("page", "")
    return ServiceQuery(
        q=asked.get("q", "")[:200],
        stack=None if asked.get("stack", "*") == "*" else asked["stack"],
        state=asked.get("state", ""),
        image=asked.get("image", "")[:200],
        sort=asked.get("sort", "name"),
        group=asked.get("group") == "stack",
        page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
    )


def _service_page(
    request: HttpRequest, user: User, found: Service, tab: str, **context: Any
) -> HttpResponse:
    head = contexts.service_head(user, found)
    return render(request, f"clusters/service_{tab}.html", {**head, "tab": tab, **context})


@require_safe
@needs(Action.SERVICE_VIEW)
def tasks(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    return _service_page(request, actor.user, found, "tasks", **contexts.tasks(found))


@require_safe
@needs(Action.SERVICE_VIEW)
def task(request: HttpRequest, cluster: str, service: str, task: str) -> HttpResponse:
    """One task with its slot's history: beside the matrix, or as a page of its own."""
    actor, found = find_service(request, cluster, service)
    tasks = contexts.tasks(found)
    for slot in tasks["slots"]:
        for cell in (slot.current, *slot.history):
            if cell.task.engine_id == task:
                context = {**tasks, "slot": slot, "cell": cell, "cluster": found.cluster}
                if request.headers.get("HX-Request"):
                    return render(request, "clusters/_task.html", context)
                return _service_page(request, actor.user, found, "tasks", **context)
    raise NotFound("This task is gone: Swarm keeps only the last few of every slot.")


@require_safe
@needs(Action.SERVICE_LOGS)
def logs(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    authorize(actor, Action.SERVICE_LOGS, found.scope)
    slots = task_matrix(found)
    chosen = request.GET.get("task", "")
    return _service_page(request, actor.user, found, "logs", slots=slots, chosen=chosen)


@require_safe
@needs(Action.SERVICE_VIEW)
def configuration(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    note_env(actor, found, allowed(actor.user, found.scope))
    networks = {n.engine_id: n.name for n in networks_of(found.cluster)}
    return _service_page(request, actor.user, found, "configuration", networks=networks)


@require_safe
@needs(Action.SERVICE_VIEW)
def spec(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    may = allowed(actor.user, found.scope)
    note_env(actor, found, may)
    env = Action.SERVICE_ENV in may
    previous = found.previous_spec
    changed = specs.differences(previous, found.spec) if previous else []
    note_differences(actor, found, may, changed)
    return _service_page(
        request,
        actor.user,
        found,
        "spec",
        present=shown_spec(found.spec, env=env),
        previous=shown_spec(previous, env=env) if previous else None,
        differences=changed,
    )


@require_safe
@needs(Action.SERVICE_VIEW)
def operations(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    context = contexts.service_operations(actor.user, found)
    return _service_page(request, actor.user, found, "operations", **context)


@require_safe
@needs(Action.SERVICE_VIEW)
def revisions(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
    actor, found = find_service(request, cluster, service)
    note_env(actor, found, allowed(actor.user, found.scope))
    context = contexts.revisions(actor.user, found)
    shown = [one for kept in context["revisions"] for one in kept["differences"]]
    note_differences(actor, found, context["may"], shown)
    return _service_page(request, actor.user, found, "revisions", **context)
