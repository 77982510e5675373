"""/tasks"""

from collections.abc import Iterable

from aiohttp import web

from simulator.cluster import Swarm
from simulator.http.errors import ApiError, not_found
from simulator.http.requests import (
    Filters,
    bytes_response,
    filters_of,
    find_node,
    find_service,
    has_labels,
    has_prefix,
    manager,
)
from simulator.objects import Task, TaskState
from simulator.render import render, render_list

FILTERS = ("name", "id", "label", "service", "node", "desired-state", "_up-to-date", "runtime")


async def list_tasks(request: web.Request) -> web.Response:
    swarm = manager(request)
    filters = filters_of(request, FILTERS)
    return bytes_response(render_list(_matching(swarm, filters)))


def _matching(swarm: Swarm, filters: Filters) -> Iterable[Task]:
    services = {find_service(swarm, name).id for name in filters.get("service", [])}
    nodes = {find_node(swarm, name).id for name in filters.get("node", [])}
    desired = {_state(name) for name in filters.get("desired-state", [])}
    for task in _candidates(swarm, services, nodes):
        if (
            (not nodes or task.node_id in nodes)
            and (not desired or task.desired in desired)
            and has_prefix(task.id, filters.get("id", []))
            and _has_name(swarm, task, filters.get("name", []))
            and _has_labels(swarm, task, filters.get("label", []))
            and _is_up_to_date(swarm, task, filters.get("_up-to-date", []))
        ):
            yield task


def _candidates(swarm: Swarm, services: set[str], nodes: set[str]) -> Iterable[Task]:
    """As few tasks as an index can name."""
    store = swarm.store
    if services:
        return [task for name in services for task in store.service_tasks(name)]
    if nodes:
        return [task for name in nodes for task in store.node_tasks(name)]
    return store.tasks


def _state(name: str) -> TaskState:
    try:
        return TaskState[name.upper()]
    except KeyError as error:
        raise ApiError(500, f"Invalid desired-state filter: '{name}'") from error


def _has_name(swarm: Swarm, task: Task, prefixes: list[str]) -> bool:
    if not prefixes:
        return True
    service = swarm.store.services.get(task.service_id)
    name = f"{service.name if service else ''}.{task.slot or task.node_id}.{task.id}"
    return has_prefix(name, prefixes)


def _has_labels(swarm: Swarm, task: Task, wanted: list[str]) -> bool:
    """Tasks are found by the labels of their service."""
    service = swarm.store.services.get(task.service_id)
    return not wanted or (service is not None and has_labels(service.spec["Labels"], wanted))


def _is_up_to_date(swarm: Swarm, task: Task, wanted: list[str]) -> bool:
    """Whatever its value, the filter asks for the tasks of the service's present spec."""
    if not wanted:
        return True
    service = swarm.store.services.get(task.service_id)
    return service is not None and not swarm.orchestrator.updates.is_outdated(service, task)


async def inspect_task(request: web.Request) -> web.Response:
    return bytes_response(render(find_task(manager(request), request.match_info["id"])))


def find_task(swarm: Swarm, reference: str) -> Task:
    found = swarm.store.tasks.get(reference)
    if found is not None:
        return found
    matching = [task for task in swarm.store.tasks if task.id.startswith(reference)]
    if len(matching) != 1:
        raise not_found("task", reference)
    return matching[0]
