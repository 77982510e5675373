"""/services"""

from aiohttp import web

from simulator import specs
from simulator.clock import now
from simulator.cluster import Swarm
from simulator.http import validation
from simulator.http.errors import ApiError, out_of_sequence, precondition_failed
from simulator.http.requests import (
    Filters,
    body_of,
    bytes_response,
    filters_of,
    find_service,
    flag,
    has_labels,
    has_prefix,
    json_response,
    manager,
    version_of,
)
from simulator.identifiers import object_id
from simulator.objects import Service, Spec, Task, TaskState, UpdateStatus
from simulator.render import dumps, in_order, render
from simulator.render import service as service_body

FILTERS = ("name", "id", "label", "mode", "runtime")
MODES = {
    "Replicated": "replicated",
    "Global": "global",
    "ReplicatedJob": "replicatedjob",
    "GlobalJob": "globaljob",
}


async def list_services(request: web.Request) -> web.Response:
    swarm = manager(request)
    filters = filters_of(request, FILTERS)
    services = [service for service in swarm.store.services if _matches(service, filters)]
    status = flag(request, "status")
    rendered = (_with_status(swarm, s) if status else render(s) for s in in_order(services))
    return bytes_response(b"[" + b",".join(rendered) + b"]")


def _matches(service: Service, filters: Filters) -> bool:
    return (
        has_prefix(service.name, filters.get("name", []))
        and has_prefix(service.id, filters.get("id", []))
        and has_labels(service.spec["Labels"], filters.get("label", []))
        and MODES[service.mode] in filters.get("mode", [MODES[service.mode]])
    )


def _with_status(swarm: Swarm, service: Service) -> bytes:
    status = dumps(_status(swarm, service))
    return render(service)[:-1] + b',"ServiceStatus":' + status + b"}"


def _status(swarm: Swarm, service: Service) -> dict[str, int]:
    """Counted by the observed state: a task on a lost node still counts as running."""
    tasks = [
        task
        for task in swarm.store.service_tasks(service.id)
        if task.job_iteration == service.job_iteration
    ]
    completed = sum(task.state == TaskState.COMPLETE for task in tasks)
    return {
        "RunningTasks": sum(task.state == TaskState.RUNNING for task in tasks),
        "DesiredTasks": _desired(service, tasks),
        "CompletedTasks": completed if service.is_job else 0,
    }


def _desired(service: Service, tasks: list[Task]) -> int:
    if service.mode == "Replicated":
        return service.replicas
    if service.mode == "ReplicatedJob":
        return int(service.spec["Mode"]["ReplicatedJob"]["MaxConcurrent"])
    return sum(task.desired == TaskState.RUNNING for task in tasks)


async def inspect_service(request: web.Request) -> web.Response:
    service = find_service(manager(request), request.match_info["id"])
    if not flag(request, "insertDefaults"):
        return bytes_response(render(service))
    shown = service_body(service) | {"Spec": specs.with_defaults(service.spec)}
    return json_response(shown)


async def create_service(request: web.Request) -> web.Response:
    swarm = manager(request)
    posted = await body_of(request, "swarm.ServiceSpec")
    spec = validation.accept(swarm, posted)
    validation.check_name_is_free(swarm, spec["Name"])
    service = Service(object_id(), spec=spec)
    if service.mode in specs.JOB_MODES:
        service.job_iteration = 0
        service.last_execution = now()
    validation.check_ports_are_free(swarm, service, spec)
    service.endpoint_ports = swarm.ports.publish(service)
    swarm.store.create(service)
    return json_response({"ID": service.id}, status=201)


async def update_service(request: web.Request) -> web.Response:
    swarm = manager(request)
    posted = await body_of(request, "swarm.ServiceSpec")
    version = version_of(request, "service")
    _check_options(request)
    service = find_service(swarm, request.match_info["id"])
    spec = validation.accept(swarm, posted)
    if request.query.get("rollback") == "previous":
        _roll_back(swarm, service, version)
    else:
        _replace(swarm, service, spec, version)
    return json_response({"Warnings": None})


def _check_options(request: web.Request) -> None:
    rollback = request.query.get("rollback", "")
    if rollback not in ("", "previous", "none"):
        raise ApiError(500, f"unrecognized rollback option {rollback}")
    if request.query.get("registryAuthFrom", "") not in ("", "spec", "previous-spec"):
        raise ApiError(500, "unsupported registryAuthFrom value")


def _replace(swarm: Swarm, service: Service, spec: Spec, version: int) -> None:
    validation.check_change(service, spec)
    validation.check_ports_are_free(swarm, service, spec)
    if version != service.version:
        raise out_of_sequence()
    swarm.store.update(
        service,
        spec=spec,
        spec_version=service.version,
        previous_spec=service.spec,
        previous_spec_version=service.spec_version,
        update_status=None,
        endpoint_ports=swarm.ports.publish(service, spec),
        job_iteration=None if service.job_iteration is None else service.job_iteration + 1,
        last_execution=now(),
    )


def _roll_back(swarm: Swarm, service: Service, version: int) -> None:
    if service.previous_spec is None:
        raise precondition_failed(f"service {service.id} does not have a previous spec")
    if version != service.version:
        raise out_of_sequence()
    status = UpdateStatus("rollback_started", "manually requested rollback", now())
    swarm.store.update(
        service,
        spec=service.previous_spec,
        spec_version=service.previous_spec_version,
        previous_spec=service.spec,
        previous_spec_version=service.spec_version,
        update_status=status,
        endpoint_ports=swarm.ports.publish(service, service.previous_spec),
    )


async def remove_service(request: web.Request) -> web.Response:
    swarm = manager(request)
    service = find_service(swarm, request.match_info["id"])
    swarm.ports.release(service)
    swarm.store.remove(service)
    return web.Response()
