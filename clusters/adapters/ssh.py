"""An SSH tunnel to a remote engine's socket, by the system's own ssh client.

The remote socket is forwarded to a private local one, so that everything above speaks to a Unix
socket. Host keys, users and keys are those of the panel's user (`~/.ssh`): an unknown host is
refused, and nothing asks for a password.
"""

import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from clusters import destinations
from clusters.ports import NOT_ENGINES, EngineUnreachable

# What to do about ssh's last words.
_HINTS = {
    "Host key verification failed": "The panel does not know this host, or its key has changed:"
    " put the right key into ~/.ssh/known_hosts of the panel's user.",
    "Permission denied": "The host takes no key of the panel's user: put its public key into"
    " ~/.ssh/authorized_keys there.",
}
REMOTE_SOCKET = "/var/run/docker.sock"


class SSHTunnel:
    """One forwarded socket. `socket()` opens it on first use and again after it broke."""

    def __init__(
        self, address: str, timeout: float, refused: tuple[str, ...] = NOT_ENGINES
    ) -> None:
        self._address, self._timeout, self._refused = address, timeout, refused
        self._directory = tempfile.TemporaryDirectory(prefix="pilothouse-ssh-")
        self._path = Path(self._directory.name) / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def socket(self) -> str:
        """The local path of the engine's socket. Raises EngineUnreachable with ssh's own words."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._open()
        return str(self._path)

    def _command(self) -> list[str]:
        parts = urlsplit(self._address)
        ssh = shutil.which("ssh")
        if ssh is None:
            raise EngineUnreachable(
                "The panel's machine has no ssh client: install openssh-client."
            )
        options = {
            "BatchMode": "yes",
            "ExitOnForwardFailure": "yes",
            "StreamLocalBindUnlink": "yes",
            "ConnectTimeout": str(max(1, round(self._timeout))),
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "2",
        }
        command = [ssh, "-N", "-T"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        if parts.port:
            command += ["-p", str(parts.port)]
        user = f"{parts.username}@" if parts.username else ""
        remote = parts.path or REMOTE_SOCKET
        return [*command, "-L", f"{self._path}:{remote}", "--", f"{user}{parts.hostname}"]

    def _refuse_destination(self, command: list[str]) -> None:
        """Where ssh would connect to, by its own configuration. Raises EngineUnreachable.

        The name may mean another address when ssh asks; but nobody there has the known host's key.
        """
        told = subprocess.run(  # noqa: S603 - a list and no shell; the host has been validated
            [command[0], "-G", *command[-2:]],
            capture_output=True, text=True, timeout=self._timeout, check=False,
        )  # fmt: skip
        said = dict(line.partition(" ")[::2] for line in told.stdout.splitlines())
        if "proxyjump" in said or "proxycommand" in said:
            return  # another host connects, and the panel not at all
        try:
            host, port = said.get("hostname", ""), int(said.get("port", "22"))
            destinations.resolved(host, port, self._refused)
        except destinations.NotADestination as error:
            raise EngineUnreachable(f"{self._address} cannot be reached: {error}") from error
        except OSError:
            return  # ssh says it in its own words

    def _open(self) -> None:
        command = self._command()
        self._refuse_destination(command)
        self._path.unlink(missing_ok=True)
        # A list and no shell; the host has been validated.
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + self._timeout + 1
        while not self._path.exists():
            if self._process.poll() is not None:
                raise EngineUnreachable(f"{self._address}: {self._last_words()}")
            if time.monotonic() > deadline:
                self._stop()
                raise EngineUnreachable(
                    f"{self._address}: ssh opened no tunnel in {self._timeout:g} s"
                )
            time.sleep(0.02)

    def _last_words(self) -> str:
        if self._process is None or self._process.stderr is None:
            return "ssh failed"
        text = self._process.stderr.read().decode(errors="replace").strip()
        last = text.splitlines()[-1] if text else f"ssh ended with {self._process.returncode}"
        return " ".join([last, *(hint for words, hint in _HINTS.items() if words in last)])

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=5)

    def close(self) -> None:
        with self._lock:
            self._stop()
        self._directory.cleanup()
