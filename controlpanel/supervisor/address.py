"""Where the panel listens and how to reach it."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from controlpanel.supervisor.failures import CannotStart

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True)
class Address:
    """What web binds. `allowed_hosts` are Django's, of which a request of ours must name one."""

    host: str
    port: int
    allowed_hosts: Sequence[str]

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = EVERYWHERE.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"

    @property
    def host_header(self) -> str:
        """A name that Django takes; a leading dot stands for any subdomain, `*` for any name."""
        named = [host.lstrip(".") for host in self.allowed_hosts if host != "*"]
        return named[0] if named else "localhost"

    def refuse_taken_port(self) -> None:
        """Raise CannotStart if we could not listen there."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host, self.port))
            except OSError as failure:
                raise CannotStart(self._why_not(failure)) from failure

    def _why_not(self, failure: OSError) -> str:
        if failure.errno == errno.EADDRINUSE:
            return (
                f"Port {self.port} on {self.host} is in use by another program. Choose another: "
                f"PILOTHOUSE_PORT={self.port + 1} make run"
            )
        return (
            f"Cannot listen on {self.host}, port {self.port}: {failure.strerror}. "
            "Set PILOTHOUSE_HOST to an address of this machine and PILOTHOUSE_PORT to a free port."
        )
