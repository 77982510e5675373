"""Where an engine may be: not every address that somebody types is one to connect to.

A panel stands where its administrators do not: it reaches the metadata service of its cloud, and
the sockets of its machine. What is asked for is checked when it is registered, and what is really
connected to each time, by the addresses that the name has at that moment.
"""

import errno
import ipaddress
import posixpath
import socket
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv4 addresses inside IPv6 ones: what NAT64 reaches behind them is the IPv4 address.
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotADestination(OSError):
    """The panel does not connect there. `str()` says why, and what could be done.

    An OSError, because what connects knows what to do with one of those.
    """

    def __init__(self, words: str) -> None:
        super().__init__(errno.EACCES, words)

    def __str__(self) -> str:
        return str(self.strerror)


def resolved(host: str, port: int, refused: Iterable[str]) -> list[str]:
    """The addresses of a host, each one that the panel may connect to.

    Raises NotADestination if any of them is not: a name that leads to both is no honest one. Raises
    OSError if the name has no address.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check(host, address, refused)
    return addresses


def check(host: str, address: str, refused: Iterable[str]) -> None:
    """Raises NotADestination."""
    for known in _meanings(address):
        for network in refused:
            if known in ipaddress.ip_network(network, strict=False):
                what = host if host == address else f"{host} is {address}, which"
                raise NotADestination(
                    f"{what} is an address that the panel does not connect to ({network}): such"
                    " addresses are of the machine's surroundings, not of an engine. They are"
                    " listed in PILOTHOUSE_ENGINE_REFUSED."
                )


def _meanings(text: str) -> list[Address]:
    """The address, and the IPv4 address that it stands for."""
    address = ipaddress.ip_address(text.partition("%")[0])
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            found.append(inner)
    return found


def refuse(address: str, *, refused: Iterable[str], sockets: Iterable[str]) -> None:
    """Judge an engine's address as it is registered. Raises NotADestination.

    A name that has no address now is let pass: it is judged again whenever it is connected to.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix":
        _refuse_socket(parts.path, sockets)
        return
    try:
        resolved(parts.hostname or "", parts.port or 22, refused)
    except NotADestination:
        raise
    except OSError:
        return


def _refuse_socket(path: str, sockets: Iterable[str]) -> None:
    plain = posixpath.normpath(path) == path
    if not plain or not any(fnmatchcase(path, known) for known in sockets):
        raise NotADestination(
            f"{path} is not among the sockets that may be registered. They are listed in"
            " PILOTHOUSE_ENGINE_SOCKETS."
        )
