"""Which pages may open a WebSocket: our own alone.

A browser sends the cookie with a socket of any page, and tells whose page it is in `Origin`. A
sibling (another port, another host of the same domain) is not us. A program sends no `Origin`; it
is let through when it brings a credential of its own, by which it is then judged.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

Scope = dict[str, Any]
Application = Callable[..., Awaitable[Any]]


class OwnPagesOnly:
    """Answers the handshake of any other page with 403."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        if is_from_us(scope["headers"]):
            return await self.application(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)


def is_from_us(headers: list[tuple[bytes, bytes]]) -> bool:
    host = _only(headers, b"host")
    if host is None or not _is_ours(host):
        return False
    if not any(name == b"origin" for name, _ in headers):
        return _only(headers, b"authorization") is not None
    origin = _only(headers, b"origin")
    if origin is None:
        return False
    schemes = ("https",) if settings.SESSION_COOKIE_SECURE else ("http", "https")
    return origin in {*settings.CSRF_TRUSTED_ORIGINS, *(f"{scheme}://{host}" for scheme in schemes)}


def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The value of a header that is there once."""
    values = [value for found, value in headers if found.lower() == name]
    return values[0].decode("latin-1").lower() if len(values) == 1 else None


def _is_ours(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
