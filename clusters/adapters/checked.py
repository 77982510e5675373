"""HTTP to engines behind TCP: to checked addresses alone, and never after a redirect."""

import ipaddress
import socket
from typing import Any

import aiohttp
import aiohttp.abc
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from clusters import destinations
from clusters.ports import EngineUnreachable

REDIRECTS = range(300, 400)


def refuse_redirect(address: str, status: int) -> None:
    """An engine sends nobody elsewhere. Raises EngineUnreachable."""
    if status in REDIRECTS:
        raise EngineUnreachable(
            f"{address} answers with a redirect, which no Docker Engine does: it is not followed."
        )


class _Checked(HTTPConnection):
    """Connects to the very addresses that were checked: a name may mean others a moment later."""

    refused: tuple[str, ...] = ()

    def _new_conn(self) -> socket.socket:
        name = self.host
        last: Exception = OSError(f"{name} has no address")
        for address in destinations.resolved(name, self.port, self.refused):
            self.host = address
            try:
                return super()._new_conn()
            except (HTTPError, OSError) as error:
                last = error
            finally:
                self.host = name  # which TLS compares with the certificate
        raise last


class _CheckedTLS(_Checked, HTTPSConnection):
    pass


class CheckedAdapter(HTTPAdapter):
    """For a session of requests, in the place of its own."""

    def __init__(self, refused: tuple[str, ...]) -> None:
        self._refused = refused
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        rules = {"refused": self._refused}
        plain, tls = type("Plain", (_Checked,), rules), type("TLS", (_CheckedTLS,), rules)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }


def mount(session: requests.Session, refused: tuple[str, ...]) -> None:
    for scheme in ("http://", "https://"):
        session.mount(scheme, CheckedAdapter(refused))


class CheckedResolver(aiohttp.abc.AbstractResolver):
    """For aiohttp, which connects to what its resolver answers."""

    def __init__(self, refused: tuple[str, ...]) -> None:
        self._refused = refused
        self._plain = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await self._plain.resolve(host, port, family)
        for entry in found:
            destinations.check(host, entry["host"], self._refused)
        return found

    async def close(self) -> None:
        await self._plain.close()


def check_literal(host: str, refused: tuple[str, ...]) -> None:
    """aiohttp asks no resolver for what is an address already. Raises NotADestination."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    destinations.check(host, host, refused)
