"""Does a Docker Engine answer here?

A question of the supervisor's own, so that it needs no SDK: one `GET /_ping` with a timeout. An
engine outside Swarm mode counts as well; the panel offers to initialise it.
"""

import http.client
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 2.0  # seconds


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def answers(docker_host: str) -> bool:
    """Whether an engine answers at `docker_host` (unix://, tcp:// or ssh://).

    An ssh:// address counts without a look: whoever set it means it, and a question may need a
    passphrase.
    """
    if docker_host.startswith("ssh://"):
        return True
    connection = _connection(docker_host)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(docker_host: str) -> http.client.HTTPConnection:
    address = urlsplit(docker_host)
    if address.scheme == "unix":
        return _UnixConnection(address.path)
    host = address.hostname or "localhost"
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(host, address.port or 2375, timeout=TIMEOUT)
    return http.client.HTTPSConnection(
        host, address.port or 2376, timeout=TIMEOUT, context=_client_certificate()
    )


def _client_certificate() -> ssl.SSLContext:
    """The certificates where Docker's own client looks for them."""
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
