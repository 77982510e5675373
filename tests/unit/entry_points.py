"""Every way into the panel: pages, operations of the API, sockets and Celery's tasks."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from ninja import NinjaAPI

from clusters.routing import websocket_urlpatterns
from controlpanel.api import api
from controlpanel.celery import app

WITHOUT = "nothing declared"


@dataclass(frozen=True)
class EntryPoint:
    """`path` has its arguments in braces; `arguments` are their names."""

    kind: str  # page, api, socket, task
    name: str
    path: str
    arguments: tuple[str, ...]
    methods: tuple[str, ...]
    permission: str
    handler: str  # where its code is

    def at(self, **values: Any) -> str:
        return self.path.format(**values)

    def __str__(self) -> str:
        place = f"{'|'.join(self.methods)} {self.path}" if self.kind == "api" else self.name
        return f"{self.kind}:{place}"


def _declared(*places: Any) -> str:
    found = (getattr(place, "permission", None) for place in places)
    return next((str(permission) for permission in found if permission), WITHOUT)


def _where(handler: Any) -> str:
    handler = inspect.unwrap(getattr(handler, "func", handler))
    return f"{handler.__module__}.{getattr(handler, '__qualname__', type(handler).__name__)}"


def _patterns(
    resolver: URLResolver, prefix: str = "", names: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.app_name == "ninja":
                continue  # its operations are looked at one by one
            inner = (*names, pattern.namespace) if pattern.namespace else names
            yield from _patterns(pattern, prefix + _braces(pattern.pattern), inner)
        else:
            name = ":".join((*names, pattern.name or _where(pattern.callback)))
            yield name, f"/{prefix}{_braces(pattern.pattern)}", pattern


def _braces(pattern: Any) -> str:
    """The route with its arguments as {name}; a regular expression as it is, without its marks."""
    text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern))
    return text.replace("^", "").replace("$", "")


def _arguments(path: str) -> tuple[str, ...]:
    return tuple(part.split("}")[0] for part in path.split("{")[1:])


def pages() -> Iterator[EntryPoint]:
    for name, path, pattern in _patterns(get_resolver()):
        where = _where(pattern.callback)
        permission = _declared(pattern.callback)
        yield EntryPoint("page", name, path, _arguments(path), ("GET", "POST"), permission, where)


def operations(of: NinjaAPI = api) -> Iterator[EntryPoint]:
    for prefix, router in of._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                route = "/".join(filter(None, ("/api/v1", prefix.strip("/"), path.strip("/"))))
                route = re.sub(r"\{\w+:", "{", route)
                call = operation.view_func
                yield EntryPoint(
                    "api", call.__name__, route, _arguments(route), tuple(operation.methods),
                    _declared(call), _where(call),
                )  # fmt: skip
    resolver = next(r for r in get_resolver().url_patterns if _is_ninja(r))
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern) and pattern.name in ("openapi-json", "openapi-view"):
            path, where = f"/api/v1/{pattern.pattern}", _where(pattern.callback)
            permission = _declared(pattern.callback)
            yield EntryPoint("api", str(pattern.name), path, (), ("GET",), permission, where)


def _is_ninja(pattern: Any) -> bool:
    return isinstance(pattern, URLResolver) and pattern.app_name == "ninja"


def sockets() -> Iterator[EntryPoint]:
    for pattern in websocket_urlpatterns:
        consumer = pattern.callback.consumer_class  # type: ignore[attr-defined]
        path = f"/{_braces(pattern.pattern)}"
        yield EntryPoint(
            "socket", consumer.__name__, path, _arguments(path), ("GET",), _declared(consumer),
            _where(consumer),
        )  # fmt: skip


def tasks() -> Iterator[EntryPoint]:
    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        if not name.startswith("celery."):
            arguments = tuple(inspect.signature(task.run).parameters)
            yield EntryPoint("task", name, "", arguments, (), _declared(task, task.run), name)


def all_of_them() -> list[EntryPoint]:
    return [*pages(), *operations(), *sockets(), *tasks()]
