"""Redis of the system's package."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.daemon import free_port, running, temporary_folder


def missing_redis() -> str | None:
    """Why there is no Redis to test with; None if there is one."""
    return None if shutil.which("redis-server") else "redis-server is not installed"


@contextmanager
def packaged_redis() -> Iterator[str]:
    """The URL of a Redis on a loopback port."""
    port = free_port()
    with temporary_folder("redis") as folder:
        command = ("redis-server", "--bind", "127.0.0.1", "--port", str(port),
                   "--dir", str(folder), "--save", "", "--appendonly", "no")  # fmt: skip
        with running(command, lambda: _answers(port), folder / "log"):
            yield f"redis://127.0.0.1:{port}/0"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
