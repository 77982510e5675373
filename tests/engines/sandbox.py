"""Linux namespaces that hold one engine, and vanish with the process that asked for them.

Inside its own network, mount, process, host name and IPC namespaces an engine can do as it likes:
its bridges, iptables rules, mounts and containers die with the namespaces' process 1.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engines.waiting import wait_until

# Paths that dockerd and containerd write to whatever their options say: hidden under empty tmpfs.
HIDDEN_PATHS = ("/run", "/var/lib", "/etc/docker")

# Ignored SIGCHLD survives exec: the kernel then reaps orphaned shims on behalf of process 1.
INIT_SCRIPT = """
set -e
busybox ip link set lo up
busybox hostname "$1"
for path in {hidden}; do [ ! -d "$path" ] || busybox mount -t tmpfs tmpfs "$path"; done
busybox touch "$2"
trap '' CHLD
exec busybox sleep 2147483647
""".format(hidden=" ".join(HIDDEN_PATHS))

NEW_NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc", "--propagation", "private")


@dataclass(frozen=True)
class ProcessId:
    """A process, told from a later one of the same number by its start time in clock ticks."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        return cls(pid, start_time(pid))

    def alive(self) -> bool:
        return start_time(self.pid) == self.started != 0

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            os.kill(self.pid, number)


def start_time(pid: int) -> int:
    """The clock tick at which a living process started; 0 if there is none (or only a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def children(pid: int) -> list[int]:
    """The process ids of the direct children; none if the process is gone."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Sandbox:
    """The namespaces, held open by an idle process 1. Its death ends everything inside."""

    def __init__(self, hostname: str, directory: Path) -> None:
        self.hostname = hostname
        self._ready_file = directory / "sandbox-ready"
        self._log = directory / "sandbox.log"
        self._holder: subprocess.Popen[bytes] | None = None
        self.init = ProcessId(0, 0)

    def start(self) -> None:
        self._ready_file.unlink(missing_ok=True)
        # --pdeathsig and --kill-child: a test run that is killed takes its engines with it.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NEW_NAMESPACES, "--fork"]
        command += ["--kill-child", "--mount-proc", "sh", "-c", INIT_SCRIPT, "init"]
        command += [self.hostname, str(self._ready_file)]
        with self._log.open("ab") as log:
            self._holder = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(self._is_ready, f"namespaces for {self.hostname} (see {self._log})", 10)
        self.init = ProcessId.of(children(self._holder.pid)[0])

    def _is_ready(self) -> bool:
        return self._ready_file.exists()

    def popen(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command inside; the answer is the nsenter process that waits for it."""
        environment = {"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        enter = ["nsenter", "--target", str(self.init.pid), "--all", *command]
        with log.open("ab") as out:
            return subprocess.Popen(
                enter, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment
            )

    def kill(self) -> None:
        """End every process inside at once, as when a machine loses power."""
        if self._holder is None:
            return
        self.init.signal(signal.SIGKILL)
        self._holder.wait(timeout=30)
        self._holder = None
