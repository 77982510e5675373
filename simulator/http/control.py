"""/_simulator: what no engine offers. Faults on demand, for tests and demonstrations."""

import json

from aiohttp import web

from simulator.http.errors import not_found
from simulator.http.hang import HANG
from simulator.http.requests import find_node, manager
from simulator.objects import TaskState

# A lost node shows as down after three missed heartbeats; here at once.
DOWN_MESSAGE = "heartbeat failure"


async def node_down(request: web.Request) -> web.Response:
    swarm = manager(request)
    node = find_node(swarm, request.match_info["id"])
    reachability = "unreachable" if node.role == "manager" else node.reachability
    swarm.store.update(node, state="down", message=DOWN_MESSAGE, reachability=reachability)
    return web.Response()


async def node_up(request: web.Request) -> web.Response:
    swarm = manager(request)
    node = find_node(swarm, request.match_info["id"])
    swarm.store.update(node, state="ready", message="", reachability="reachable")
    return web.Response()


async def fail_task(request: web.Request) -> web.Response:
    swarm = manager(request)
    task = swarm.store.tasks.get(request.match_info["id"])
    if task is None or task.state > TaskState.RUNNING:
        raise not_found("running task", request.match_info["id"])
    body = json.loads(await request.text() or "{}")
    message = str(body.get("message") or "task: non-zero exit (1)")
    swarm.agents.fail(task, message, int(body.get("exit_code", 1)))
    return web.Response()


async def drop_events(request: web.Request) -> web.Response:
    manager(request).events.drop(int(request.match_info["count"]))
    return web.Response()


async def hang(request: web.Request) -> web.Response:
    """Accept every further request and answer none, for so many seconds."""
    request.app[HANG].begin(float(request.match_info["seconds"]))
    return web.Response()
