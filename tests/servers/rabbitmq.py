"""RabbitMQ of the system's package, with an epmd of its own (its daemon would stay behind)."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.daemon import free_port, running, temporary_folder

# The program itself: the one in PATH changes to the package's user and directories.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def missing_rabbitmq() -> str | None:
    """Why there is no RabbitMQ to test with; None if there is one."""
    if not PROGRAM.exists() or not shutil.which("epmd"):
        return "rabbitmq-server is not installed"
    return None


@contextmanager
def packaged_rabbitmq() -> Iterator[str]:
    """The URL of a RabbitMQ on a loopback port; guest may sign in from there."""
    port, names_port = free_port(), free_port()
    with temporary_folder("rabbit") as folder:
        environment = _environment(folder, port, names_port)
        names = ("epmd", "-port", str(names_port), "-address", "127.0.0.1")
        with (
            running(names, lambda: _listens(names_port), folder / "epmd.log"),
            running((str(PROGRAM),), lambda: _speaks_amqp(port), folder / "log", environment),
        ):
            yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _environment(folder: Path, port: int, names_port: int) -> dict[str, str]:
    return {
        "HOME": str(folder),  # where Erlang keeps its cookie
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none-env"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _speaks_amqp(port: int) -> bool:
    """Whether the handshake is answered; the port opens a moment before."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return len(connection.recv(8)) > 0
    except OSError:
        return False
