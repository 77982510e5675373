"""An sshd of the test's own, and the keys and known hosts of the one who comes by it."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.daemon import free_port, running

SSHD = Path("/usr/sbin/sshd")
HOST = "127.0.0.1"


def missing_sshd() -> str | None:
    return None if SSHD.exists() else "openssh-server is not installed"


class SSHHome:
    """Keys and known hosts in a folder. ssh finds its home in the password file, not in $HOME, so
    the `ssh` that `path` finds first is one that reads the folder's configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        for name in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True, timeout=20)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        self._write_client()
        self.forget_hosts()

    def _write_client(self) -> None:
        (self.folder / "config").write_text(
            f"UserKnownHostsFile {self.folder}/known\nGlobalKnownHostsFile /dev/null\n"
            f"IdentityFile {self.folder}/user\nIdentitiesOnly yes\n"
        )
        self._programs.mkdir()
        ssh = self._programs / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/config "$@"\n')
        ssh.chmod(0o755)

    @property
    def path(self) -> str:
        """$PATH for whoever shall use these keys."""
        return f"{self._programs}:{os.environ['PATH']}"

    @property
    def known(self) -> str:
        return (self.folder / "known").read_text()

    def forget_hosts(self) -> None:
        (self.folder / "known").write_text("")

    def know(self, address: str) -> None:
        """Trust the host key of the server behind an ssh:// address."""
        port = address.rpartition(":")[2].partition("/")[0]
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        (self.folder / "known").write_text(f"[{HOST}]:{port} {key}\n")


@contextmanager
def ssh_before(target: Path, home: SSHHome) -> Iterator[str]:
    """A real sshd that lets the home's user in; yields the ssh:// address of the target socket."""
    port = free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    with running(_command(port, home.folder), lambda: _listens(port), home.folder / "sshd.log"):
        yield f"ssh://{getpass.getuser()}@{HOST}:{port}{target}"


def _command(port: int, folder: Path) -> list[str]:
    options = {
        "Port": str(port),
        "ListenAddress": HOST,
        "HostKey": f"{folder}/host",
        "AuthorizedKeysFile": f"{folder}/authorized",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
    }
    command = [str(SSHD), "-D", "-e", "-f", "/dev/null"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return command


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True
