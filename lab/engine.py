"""A Docker Engine inside a sandbox: real, with files and a socket of its own."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO

import docker
import requests.exceptions

from lab.cgroups import Group
from lab.processes import ProcessId
from lab.sandbox import Sandbox
from lab.waiting import Timeout, wait_until

BOOT = Path(__file__).with_name("boot.sh")
NAMESPACES = ("net", "mount", "pid", "uts", "ipc", "cgroup")
PROGRAMS = ("dockerd", "containerd", "runc", "unshare", "nsenter", "setpriv", "ip", "iptables")
PACKAGES = "docker.io iproute2 iptables util-linux"
CLIENT_TIMEOUT = 20.0
FULL = 1024**2  # bytes: with less that is free nothing can be started
OPTIONS = (
    "--host=unix:///run/node/docker.sock",
    "--host=unix:///run/docker.sock",  # where programs in containers expect it
    "--exec-opt=native.cgroupdriver=cgroupfs",
    "--userland-proxy=false",
)
# A dead engine's numbers: in a small namespace they are soon another process's.
STALE = ("/run/docker.pid", "/run/docker/containerd/containerd.pid")
# The engine's notes of networks. If power was lost while containers were starting, they have ports
# in them that are taken for allocated ever after; operators remove the file, and it is made anew.
NETWORKS_KNOWN = Path("data/network/files/local-kv.db")


class EngineFailed(Exception):
    """dockerd did not start; the message ends with the last lines of its log."""


def missing_prerequisite() -> str | None:
    """Why no engine can be started on this machine, or None if one can."""
    if os.geteuid() != 0:
        return "an engine of its own needs root (try sudo)"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing:
        return f"an engine of its own needs {', '.join(missing)} (Debian: {PACKAGES})"
    return None


class Engine:
    """One dockerd and all that it starts, in `directory`, as the host `hostname`.

    `programs` is the prefix of another engine's programs than the machine's own; `tethered` ends
    all of it with the process that started it.
    """

    def __init__(
        self,
        directory: Path,
        group: Group,
        hostname: str,
        *,
        programs: Path | None = None,
        tethered: bool = False,
    ) -> None:
        self.directory = directory
        self.hostname = hostname
        self.sandbox = Sandbox(directory, group, NAMESPACES)
        self._path = f"{programs}/usr/sbin:{programs}/usr/bin:" if programs else ""
        self._tethered = tethered
        self._launched: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.directory / "docker.sock"

    @property
    def url(self) -> str:
        """What DOCKER_HOST would be."""
        return f"unix://{self.socket}"

    def client(self, timeout: float = CLIENT_TIMEOUT) -> docker.APIClient:
        return docker.APIClient(self.url, version="auto", timeout=timeout)

    def load(self, archive: bytes | IO[bytes]) -> None:
        """Load images, as `docker load` does. Raises EngineFailed."""
        with self.client(timeout=300) as client:
            for said in client.load_image(archive):  # it is done when the last of this is read
                if "error" in said:
                    raise EngineFailed(f"{self.hostname} takes no images: {said['error']}")

    def power_on(self) -> None:
        """Make the namespaces; there is no engine in them yet."""
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        (self.directory / NETWORKS_KNOWN).unlink(missing_ok=True)
        self.sandbox.start("sh", str(BOOT), self.hostname, str(self.directory),
                           tethered=self._tethered)  # fmt: skip

    def power_off(self) -> None:
        """Everything dies at once, as on a power failure; the disk stays."""
        self.sandbox.kill()
        self.socket.unlink(missing_ok=True)

    def launch(self) -> None:
        """Start dockerd, unless it runs, without waiting for it."""
        if self.dockerd() is not None:
            return
        self.socket.unlink(missing_ok=True)
        self.sandbox.run("rm", "-f", *STALE)
        self._launched = self.sandbox.spawn("dockerd", *OPTIONS, log="dockerd.log", path=self._path)

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        self.launch()
        self.until_up()

    def until_up(self, seconds: float = 60) -> None:
        try:
            wait_until(self.answers, f"dockerd on {self.hostname} answers", seconds)
        except Timeout as error:
            raise EngineFailed(f"{error}; its log ends:\n{self.last_words()}") from error

    def answers(self) -> bool:
        if self._launched is not None and self._launched.poll() is not None:
            raise EngineFailed(f"dockerd on {self.hostname} ended:\n{self.last_words()}")
        try:
            with docker.APIClient(self.url, version="1.41", timeout=2) as client:
                return bool(client.ping())
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
            return False

    def last_words(self, lines: int = 20) -> str:
        """The end of its log, and that its disk is full: then the log may not tell."""
        try:
            log = (self.directory / "dockerd.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            log = ["(it has no log yet)"]
        told = log[-lines:]
        if shutil.disk_usage(self.directory).free < FULL:
            told.append(f"No space left on device: the disk of {self.directory} is full.")
        return "\n".join(told)

    def dockerd(self) -> ProcessId | None:
        """The oldest of its name: a child that is about to become iptables has it too."""
        found = self.sandbox.processes("dockerd")
        return min(found, key=lambda process: process.started, default=None)

    def _signal(self, number: signal.Signals) -> None:
        found = self.sandbox.processes("dockerd") + self.sandbox.processes("containerd")
        if not found:
            raise EngineFailed(f"dockerd on {self.hostname} is not running")
        for process in found:
            process.signal(number)

    def freeze(self) -> None:
        """Stop dockerd's clock: connections are accepted by the kernel and never answered."""
        process = self._dockerd_itself()
        process.signal(signal.SIGSTOP)
        wait_until(process.stopped, f"dockerd on {self.hostname} stands still")

    def thaw(self) -> None:
        # nsenter stops itself when its child stops: wake both.
        for process in (*self.sandbox.processes("nsenter"), self._dockerd_itself()):
            process.signal(signal.SIGCONT)

    def _dockerd_itself(self) -> ProcessId:
        process = self.dockerd()
        if process is None:
            raise EngineFailed(f"dockerd on {self.hostname} is not running")
        return process

    def kill(self) -> None:
        """SIGKILL dockerd and its containerd; the containers run on. `start` brings it back."""
        self._signal(signal.SIGKILL)
        names = ("dockerd", "containerd")
        wait_until(lambda: not any(map(self.sandbox.processes, names)), "dockerd is dead", 10)

    def stop(self) -> None:
        """SIGTERM to dockerd, which stops its containers first."""
        process = self._dockerd_itself()
        process.signal(signal.SIGTERM)
        wait_until(lambda: not process.alive(), f"dockerd on {self.hostname} stops", 60)
