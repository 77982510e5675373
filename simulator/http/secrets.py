"""/secrets and /configs, which differ only in what may be read back."""

import base64
import binascii
import re

from aiohttp import web

from simulator.cluster import Swarm
from simulator.http.errors import ApiError, invalid, out_of_sequence, refused
from simulator.http.requests import (
    body_of,
    bytes_response,
    filters_of,
    find,
    has_labels,
    has_prefix,
    json_response,
    manager,
)
from simulator.identifiers import object_id
from simulator.objects import Config, Secret, Spec
from simulator.render import render, render_list
from simulator.store import Table

FILTERS = ("id", "name", "label", "names")
LARGEST: dict[type[Secret] | type[Config], int] = {Secret: 512_000, Config: 1_024_000}
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-_.]{0,62}[a-zA-Z0-9])?")


class Endpoints:
    """The handlers of one kind."""

    def __init__(self, kind: type[Secret] | type[Config]) -> None:
        self._kind = kind
        self._name = kind.__name__.lower()
        self._limit = LARGEST[kind]

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
        return ApiError(
            409, f"rpc error: code = AlreadyExists desc = {self._name} {name} already exists"
        )

    def _check(self, spec: Spec) -> None:
        try:
            data = base64.b64decode(str(spec.get("Data") or ""), validate=True)
        except binascii.Error as error:
            raise invalid("illegal base64 data at input byte 0") from error
        name = str(spec.get("Name") or "")
        if not name:
            raise refused("name must be provided")
        if not _NAME.fullmatch(name):
            raise refused(
                "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end "
                "character must be [a-zA-Z0-9]"
            )
        if not 0 < len(data) < self._limit:
            raise refused(
                f"{self._name} data must be larger than 0 and less than {self._limit} bytes"
            )

    async def update(self, request: web.Request) -> web.Response:
        swarm = manager(request)
        spec = await body_of(request)
        if not request.query.get("version", "").isdigit():
            raise invalid(f"invalid {self._name} version")
        record = self._find(request)
        other_data = spec.get("Data") not in (None, "", record.spec.get("Data"))
        if other_data or spec.get("Name") != record.name:
            raise refused("only updates to Labels are allowed")
        if int(request.query["version"]) != record.version:
            raise out_of_sequence()
        labels = spec.get("Labels") or {}
        swarm.store.update(record, spec=record.spec | {"Labels": labels})
        return web.Response()

    async def remove(self, request: web.Request) -> web.Response:
        swarm = manager(request)
        record = self._find(request)
        users = [s.name for s in swarm.store.services if record.id in self._used_by(s.spec)]
        if users:
            noun = "service" if len(users) == 1 else "services"
            raise refused(
                f"{self._name} '{record.name}' is in use by the following {noun}: "
                f"{', '.join(users)}"
            )
        swarm.store.remove(record)
        return web.Response(status=204)

    def _used_by(self, spec: Spec) -> set[str]:
        template = spec["TaskTemplate"]
        title = self._kind.__name__
        references = (template.get("ContainerSpec") or {}).get(f"{title}s") or []
        return {str(reference.get(f"{title}ID")) for reference in references}
