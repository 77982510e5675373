"""The application: routes with and without a version, errors in the Engine's form."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from simulator.cluster import Swarm
from simulator.http import control, networks, nodes, secrets, services, streams, system, tasks
from simulator.http.errors import ApiError
from simulator.http.hang import HANG, Hang
from simulator.http.requests import SWARM, json_response
from simulator.http.versions import API_VERSIONS, ENGINE_VERSION, ApiVersions
from simulator.objects import Config, Secret

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
CONTROL_PREFIX = "/_simulator"
LARGEST_BODY = 16 << 20

ROUTES: list[Route] = [
    ("GET", "/_ping", system.ping),
    ("GET", "/version", system.version),
    ("GET", "/info", system.info),
    ("GET", "/containers/json", system.containers),
    ("GET", "/images/json", system.nothing),
    ("GET", "/swarm", system.inspect_swarm),
    ("POST", "/swarm/init", system.init_swarm),
    ("GET", "/nodes", nodes.list_nodes),
    ("GET", "/nodes/{id}", nodes.inspect_node),
    ("POST", "/nodes/{id}/update", nodes.update_node),
    ("DELETE", "/nodes/{id}", nodes.remove_node),
    ("GET", "/services", services.list_services),
    ("POST", "/services/create", services.create_service),
    ("GET", "/services/{id}", services.inspect_service),
    ("POST", "/services/{id}/update", services.update_service),
    ("DELETE", "/services/{id}", services.remove_service),
    ("GET", "/services/{id}/logs", streams.service_logs),
    ("GET", "/tasks", tasks.list_tasks),
    ("GET", "/tasks/{id}", tasks.inspect_task),
    ("GET", "/tasks/{id}/logs", streams.task_logs),
    ("GET", "/networks", networks.list_networks),
    ("POST", "/networks/create", networks.create_network),
    ("GET", "/networks/{id:.+}", networks.inspect_network),
    ("DELETE", "/networks/{id:.+}", networks.remove_network),
    ("GET", "/events", streams.events),
]
CONTROL_ROUTES: list[Route] = [
    ("POST", "/nodes/{id}/down", control.node_down),
    ("POST", "/nodes/{id}/up", control.node_up),
    ("POST", "/tasks/{id}/fail", control.fail_task),
    ("POST", "/events/drop/{count:[0-9]+}", control.drop_events),
    ("POST", "/hang/{seconds}", control.hang),
]


def build(swarm: Swarm, versions: ApiVersions) -> web.Application:
    app = web.Application(middlewares=[_answer], client_max_size=LARGEST_BODY)
    app[SWARM], app[API_VERSIONS], app[HANG] = swarm, versions, Hang()
    app.on_response_prepare.append(_add_headers)
    for method, path, handler in [*ROUTES, *_object_routes()]:
        app.router.add_route(method, path, handler)
        app.router.add_route(method, "/v{version:[0-9][0-9.]*}" + path, handler)
        if path == "/_ping":
            app.router.add_route("HEAD", path, handler)
    for method, path, handler in CONTROL_ROUTES:
        app.router.add_route(method, CONTROL_PREFIX + path, handler)
    return app


def _object_routes() -> list[Route]:
    routes: list[Route] = []
    for prefix, kind in (("/secrets", Secret), ("/configs", Config)):
        endpoints = secrets.Endpoints(kind)
        routes += [
            ("GET", prefix, endpoints.list),
            ("POST", f"{prefix}/create", endpoints.create),
            ("GET", prefix + "/{id}", endpoints.inspect),
            ("POST", prefix + "/{id}/update", endpoints.update),
            ("DELETE", prefix + "/{id}", endpoints.remove),
        ]
    return routes


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith(CONTROL_PREFIX):
        await request.app[HANG].pass_or_wait()
    try:
        if "version" in request.match_info:
            request.app[API_VERSIONS].require(request.match_info["version"])
        return await handler(request)
    except ApiError as error:
        return _failure(error.status, error.message)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _failure(404, "page not found")


def _failure(status: int, message: str) -> web.Response:
    return json_response({"message": message}, status)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Api-Version"] = request.app[API_VERSIONS].newest
    response.headers["Docker-Experimental"] = "false"
    response.headers["Ostype"] = "linux"
    response.headers["Server"] = f"Docker/{ENGINE_VERSION} (linux)"
