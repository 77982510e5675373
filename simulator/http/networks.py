"""/networks: the overlay ones of the Swarm."""

from aiohttp import web

from simulator.http.errors import ApiError, precondition_failed
from simulator.http.requests import (
    body_of,
    bytes_response,
    filters_of,
    find,
    has_labels,
    json_response,
    swarm_of,
)
from simulator.identifiers import object_id
from simulator.objects import Network, Spec
from simulator.render import render, render_list
from simulator.store import Store

FILTERS = ("id", "name", "label", "driver", "scope", "type", "dangling")
FIRST_VXLAN = 4097


async def list_networks(request: web.Request) -> web.Response:
    filters = filters_of(request, FILTERS)

    def matches(network: Network) -> bool:
        names = filters.get("name", [])
        return (
            (not names or any(name in network.name for name in names))
            and has_labels(network.spec.get("Labels") or {}, filters.get("label", []))
            and "swarm" in filters.get("scope", ["swarm"])
            and "overlay" in filters.get("driver", ["overlay"])
        )

    networks = swarm_of(request).store.networks
    return bytes_response(render_list(network for network in networks if matches(network)))


async def inspect_network(request: web.Request) -> web.Response:
    return bytes_response(render(_find(request)))


def _find(request: web.Request) -> Network:
    networks = swarm_of(request).store.networks
    names = {network.id: network.name for network in networks}
    return find(networks, request.match_info["id"], "network", names)


async def create_network(request: web.Request) -> web.Response:
    store = swarm_of(request).store
    spec = await body_of(request)
    name = str(spec.get("Name") or "")
    if not name:
        raise ApiError(500, "invalid name: ")
    if any(network.name == name for network in store.networks):
        raise ApiError(409, f"network with name {name} already exists")
    number = 1 + max((network.subnet for network in store.networks), default=0)
    network = Network(object_id(), spec=spec, subnet=number, vxlan=FIRST_VXLAN + number)
    store.create(network)
    return json_response({"Id": network.id, "Warning": ""}, status=201)


async def remove_network(request: web.Request) -> web.Response:
    store = swarm_of(request).store
    network = _find(request)
    if network.spec.get("Ingress"):
        _require_no_published_ports(store)
    user = next((s.id for s in store.services if network.id in _attached(s.spec)), None)
    if user is not None:
        raise precondition_failed(f"network {network.id} is in use by service {user}")
    store.remove(network)
    return web.Response(status=204)


def _require_no_published_ports(store: Store) -> None:
    for service in store.services:
        if any(port.get("PublishMode") != "host" for port in service.endpoint_ports):
            raise precondition_failed(
                f"ingress network cannot be removed because service {service.id} depends on it"
            )


def _attached(spec: Spec) -> set[str]:
    entries = spec["TaskTemplate"].get("Networks") or []
    return {str(entry.get("Target")) for entry in entries}
