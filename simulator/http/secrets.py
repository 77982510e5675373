"""/secrets and /configs, which differ only in what may be read back."""

import base64
import binascii
from collections.abc import Awaitable, Callable

from aiohttp import web

from simulator.cluster import Swarm
from simulator.http.errors import ApiError, invalid, name_taken, out_of_sequence
from simulator.http.requests import (
    body_of,
    bytes_response,
    filters_of,
    find,
    has_labels,
    has_prefix,
    json_response,
    manager,
    version_of,
)
from simulator.identifiers import object_id
from simulator.objects import Config, Secret
from simulator.render import render, render_list
from simulator.store import Table

FILTERS = ("id", "name", "label", "names")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoints:
    """The handlers of one kind."""

    def __init__(self, kind: type[Secret] | type[Config]) -> None:
        self._kind = kind
        self._name = kind.__name__.lower()

    def _table(self, swarm: Swarm) -> Table[Secret] | Table[Config]:
        return swarm.store.secrets if self._kind is Secret else swarm.store.configs

    def _find(self, request: web.Request) -> Secret | Config:
        table = self._table(manager(request))
        records: list[Secret | Config] = list(table)
        names = {record.id: record.name for record in records}
        return find(records, request.match_info["id"], self._name, names)

    async def list(self, request: web.Request) -> web.Response:
        filters = filters_of(request, FILTERS)
        found = [
            record
            for record in self._table(manager(request))
            if has_prefix(record.name, filters.get("name", []))
            and has_prefix(record.id, filters.get("id", []))
            and has_labels(record.spec["Labels"], filters.get("label", []))
            and record.name in filters.get("names", [record.name])
        ]
        return bytes_response(render_list(found))

    async def inspect(self, request: web.Request) -> web.Response:
        return bytes_response(render(self._find(request)))

    async def create(self, request: web.Request) -> web.Response:
        swarm = manager(request)
        spec = await body_of(request)
        self._check(spec)
        name = str(spec["Name"])
        if any(record.name == name for record in self._table(swarm)):
            raise self._taken(name)
        record = self._kind(object_id(), spec=spec | {"Labels": spec.get("Labels") or {}})
        swarm.store.create(record)
        return json_response({"ID": record.id}, status=201)

    def _taken(self, name: str) -> ApiError:
        return name_taken(self._name, name)

    def _check(self, spec: dict[str, object]) -> None:
        if not spec.get("Name"):
            raise invalid("rpc error: code = InvalidArgument desc = name must be provided")
        try:
            base64.b64decode(str(spec.get("Data") or ""), validate=True)
        except binascii.Error as error:
            raise invalid(f"illegal base64 data: {error}") from error

    async def update(self, request: web.Request) -> web.Response:
        swarm = manager(request)
        spec = await body_of(request)
        version = version_of(request, self._name)
        record = self._find(request)
        if version != record.version:
            raise out_of_sequence()
        if spec.get("Data") not in (None, "", record.spec.get("Data")) or (
            spec.get("Name") != record.name
        ):
            raise invalid(
                "rpc error: code = InvalidArgument desc = only updates to Labels are allowed"
            )
        labels = spec.get("Labels") or {}
        swarm.store.update(record, spec=record.spec | {"Labels": labels})
        return web.Response()

    async def remove(self, request: web.Request) -> web.Response:
        swarm = manager(request)
        record = self._find(request)
        users = [s.name for s in swarm.store.services if record.id in self._used_by(s.spec)]
        if users:
            noun = "service" if len(users) == 1 else "services"
            raise invalid(
                f"rpc error: code = InvalidArgument desc = {self._name} '{record.name}' is in use "
                f"by the following {noun}: {', '.join(sorted(users))}"
            )
        swarm.store.remove(record)
        return web.Response(status=204)

    def _used_by(self, spec: dict[str, object]) -> set[str]:
        template = spec["TaskTemplate"]
        assert isinstance(template, dict)
        title = self._kind.__name__
        references = (template.get("ContainerSpec") or {}).get(f"{title}s") or []
        return {str(reference.get(f"{title}ID")) for reference in references}
