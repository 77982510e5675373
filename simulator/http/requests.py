"""What handlers read from a request, and find with it."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from aiohttp import web

from simulator.cluster import Swarm
from simulator.http.errors import ApiError, invalid, not_a_manager, not_found
from simulator.objects import Node, Record, Service
from simulator.render import dumps

SWARM: web.AppKey[Swarm] = web.AppKey("swarm", Swarm)
R = TypeVar("R", bound=Record)
Filters = dict[str, list[str]]


def swarm_of(request: web.Request) -> Swarm:
    """The Swarm, whether or not it is initialised."""
    return request.app[SWARM]


def manager(request: web.Request) -> Swarm:
    """The Swarm, for what only a manager answers."""
    swarm = request.app[SWARM]
    if not swarm.active:
        raise not_a_manager()
    return swarm


async def body_of(request: web.Request, go_type: str = "map[string]interface {}") -> dict[str, Any]:
    """The JSON object that was sent; `go_type` is what the Engine would read it into."""
    text = await request.text()
    if not text.strip():
        raise invalid("got EOF while reading request body")
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise invalid(f"invalid JSON: {error}") from error
    if not isinstance(body, dict):
        kind = "array" if isinstance(body, list) else type(body).__name__
        raise invalid(f"json: cannot unmarshal {kind} into Go value of type {go_type}")
    return body


def version_of(request: web.Request, kind: str) -> int:
    text = request.query.get("version", "")
    if not text.isascii() or not text.isdigit():
        raise invalid(
            f"invalid {kind} version '{text}': "
            f'strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() not in ("", "0", "no", "false", "none")


def filters_of(request: web.Request, accepted: Iterable[str] | None) -> Filters:
    """The `filters` parameter; also in the old form, a map of values to true. Without `accepted`
    any name will do."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 1]
        raise invalid(f"invalid character '{found}' looking for beginning of value") from error
    for name in given:
        if accepted is not None and name not in accepted:
            raise invalid(f"Invalid filter '{name}'")
    return {name: list(values) for name, values in given.items() if values}


def has_labels(labels: dict[str, str], wanted: list[str]) -> bool:
    for text in wanted:
        name, separator, value = text.partition("=")
        if name not in labels or (separator and labels[name] != value):
            return False
    return True


def has_prefix(text: str, prefixes: list[str]) -> bool:
    return not prefixes or any(text.startswith(prefix) for prefix in prefixes)


def find(records: Iterable[R], reference: str, kind: str, names: dict[str, str]) -> R:
    """By id, by name, or by the unambiguous beginning of an id."""
    everything = list(records)
    for record in everything:
        if reference in (record.id, names.get(record.id)):
            return record
    matching = [record for record in everything if reference and record.id.startswith(reference)]
    if len(matching) > 1:
        raise ApiError(400, f"{kind} {reference} is ambiguous ({len(matching)} matches found)")
    if not matching:
        raise not_found(kind, reference)
    return matching[0]


def find_service(swarm: Swarm, reference: str) -> Service:
    found = swarm.store.services.get(reference)
    if found is not None:
        return found
    services = swarm.store.services
    return find(services, reference, "service", {s.id: s.name for s in services})


def find_node(swarm: Swarm, reference: str) -> Node:
    nodes = swarm.store.nodes
    return find(nodes, reference, "node", {node.id: node.hostname for node in nodes})


def json_response(body: object, status: int = 200) -> web.Response:
    return bytes_response(dumps(body), status)


def bytes_response(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body + b"\n", status=status, content_type="application/json")
