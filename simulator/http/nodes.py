"""/nodes"""

from aiohttp import web

from simulator.http.errors import invalid, out_of_sequence, precondition_failed
from simulator.http.requests import (
    body_of,
    bytes_response,
    filters_of,
    find_node,
    flag,
    has_labels,
    has_prefix,
    manager,
    version_of,
)
from simulator.objects import Node
from simulator.render import render, render_list

FILTERS = ("id", "name", "role", "membership", "label", "node.label")
ROLES = ("manager", "worker")
AVAILABILITIES = ("active", "pause", "drain")


async def list_nodes(request: web.Request) -> web.Response:
    swarm = manager(request)
    filters = filters_of(request, FILTERS)

    def matches(node: Node) -> bool:
        return (
            has_prefix(node.id, filters.get("id", []))
            and has_prefix(node.hostname, filters.get("name", []))
            and node.role in filters.get("role", ROLES)
            and has_labels(node.spec["Labels"], filters.get("node.label", []))
            and has_labels(node.engine_labels, filters.get("label", []))
        )

    return bytes_response(render_list(node for node in swarm.store.nodes if matches(node)))


async def inspect_node(request: web.Request) -> web.Response:
    node = find_node(manager(request), request.match_info["id"])
    return bytes_response(render(node))


async def update_node(request: web.Request) -> web.Response:
    swarm = manager(request)
    spec = await body_of(request)
    version = version_of(request, "node")
    node = find_node(swarm, request.match_info["id"])
    if spec.get("Role") not in ROLES:
        raise invalid(f'invalid Role: "{spec.get("Role", "")}"')
    if spec.get("Availability") not in AVAILABILITIES:
        raise invalid(f'invalid Availability: "{spec.get("Availability", "")}"')
    managers = [other for other in swarm.store.nodes if other.role == "manager"]
    if managers == [node] and spec["Role"] == "worker":
        raise precondition_failed("attempting to demote the last manager of the swarm")
    if version != node.version:
        raise out_of_sequence()
    swarm.store.update(node, spec=spec | {"Labels": spec.get("Labels") or {}})
    return web.Response()


async def remove_node(request: web.Request) -> web.Response:
    swarm = manager(request)
    node = find_node(swarm, request.match_info["id"])
    if node.role == "manager":
        raise precondition_failed(
            f"node {node.id} is a cluster manager and is a member of the raft cluster. "
            "It must be demoted to worker before removal"
        )
    if node.state != "down" and not flag(request, "force"):
        raise precondition_failed(f"node {node.id} is not down and can't be removed")
    swarm.store.remove(node)
    return web.Response()
