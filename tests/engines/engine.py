"""A private Docker Engine for tests: real dockerd, own socket and files, nothing shared.

>>> with Engine(swarm=True) as engine:
...     docker.APIClient(engine.url, version="auto").info()
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import docker
import requests.exceptions

from tests.engines import images, leftovers
from tests.engines.sandbox import ProcessId, Sandbox, children
from tests.engines.waiting import Timeout, wait_until

PROGRAMS = ("dockerd", "containerd", "runc", "unshare", "nsenter", "setpriv", "busybox", "ip")
API_VERSION = "1.41"
CLIENT_TIMEOUT = 20


class EngineFailed(Exception):
    """dockerd did not start; the message ends with the last lines of its log."""


def missing_prerequisite() -> str | None:
    """Why no engine can be started on this machine, or None if one can."""
    if os.geteuid() != 0:
        return "a private Docker Engine needs root"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=_search_path())]
    if missing:
        packages = "docker.io busybox-static iproute2 util-linux"
        return f"a private Docker Engine needs {', '.join(missing)} (Debian: {packages})"
    return None


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Engine:
    """One dockerd and all it starts. `stop` (or leaving the `with` block) removes every trace."""

    def __init__(self, *, swarm: bool = True, hostname: str = "node-1") -> None:
        self._swarm = swarm
        self.hostname = hostname
        self.directory = Path()
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What DOCKER_HOST would be."""
        return f"unix://{self.directory}/docker.sock"

    def __enter__(self) -> "Engine":
        leftovers.purge()
        self.directory = leftovers.new_directory()
        self._sandbox = Sandbox(self.hostname, self.directory)
        try:
            self.power_on()
            self._prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self) -> None:
        with self.client() as client:
            client.load_image(images.archive())
            if self._swarm:
                client.init_swarm(advertise_addr="127.0.0.1")
        if self._swarm:
            wait_until(self._node_ready, "the node joins its own swarm", 30)

    def _node_ready(self) -> bool:
        with self.client() as client:
            nodes: list[dict[str, Any]] = client.nodes()
        return [node["Status"]["State"] for node in nodes] == ["ready"]

    def client(self, timeout: float = CLIENT_TIMEOUT) -> docker.APIClient:
        return docker.APIClient(self.url, version=API_VERSION, timeout=timeout)

    @property
    def namespace(self) -> int:
        """The process id by which tools enter the engine's namespaces."""
        return self._sandbox.init.pid

    def start(self) -> None:
        """Start dockerd (again) and wait until it answers."""
        # In its small namespace a dead containerd's number may soon be another process's.
        for stale in ("docker.sock", "dockerd.pid", "exec/containerd/containerd.pid"):
            (self.directory / stale).unlink(missing_ok=True)
        self._daemon = self._sandbox.popen(self._command(), self.directory / "dockerd.log")
        try:
            wait_until(self._answers, "dockerd answers", 60)
        except Timeout as error:
            raise EngineFailed(f"{error}; its log ends:\n{self.log_tail()}") from error

    def _command(self) -> list[str]:
        options = {
            "--host": self.url,
            "--data-root": self.directory / "data",
            "--exec-root": self.directory / "exec",
            "--pidfile": self.directory / "dockerd.pid",
            "--exec-opt": "native.cgroupdriver=cgroupfs",
            "--cgroup-parent": f"/{self.directory.name}",
            "--userland-proxy": "false",
        }
        return ["dockerd", *(f"{name}={value}" for name, value in options.items())]

    def _answers(self) -> bool:
        if self._daemon is None or self._daemon.poll() is not None:
            raise EngineFailed(f"dockerd ended; its log ends:\n{self.log_tail()}")
        try:
            with self.client(timeout=2) as client:
                return bool(client.ping())
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
            return False

    def log_tail(self, lines: int = 20) -> str:
        log = self.directory / "dockerd.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def freeze(self) -> None:
        """Stop dockerd's clock: connections are accepted by the kernel and never answered."""
        self._dockerd().signal(signal.SIGSTOP)

    def thaw(self) -> None:
        # nsenter stops itself when its child stops: wake both.
        for process in (ProcessId.of(self._running_daemon().pid), self._dockerd()):
            process.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL dockerd and its containerd; the containers run on. `start` brings it back."""
        dockerd = self._dockerd()
        containerd = [ProcessId.of(pid) for pid in children(dockerd.pid)]
        for process in (dockerd, *containerd):
            process.signal(signal.SIGKILL)
        wait_until(lambda: not any(p.alive() for p in containerd), "containerd is dead", 10)
        self._reap()

    def power_off(self) -> None:
        """Everything dies at once, as on a power failure; the disk stays. See `power_on`."""
        self._sandbox.kill()
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGCONT)  # frozen, it would never notice
        self._reap()

    def power_on(self, prepare: Callable[[], None] = lambda: None) -> None:
        """`prepare` runs when the namespaces are there and the engine is not yet."""
        self._sandbox.start()
        leftovers.record(self.directory, self._sandbox.init)
        prepare()
        self.start()

    def stop(self) -> None:
        """End every process and remove every file, mount, cgroup and network interface."""
        self.power_off()
        leftovers.remove(self.directory)

    def _running_daemon(self) -> subprocess.Popen[bytes]:
        if self._daemon is None:
            raise EngineFailed(f"the engine in {self.directory} is not running")
        return self._daemon

    def _dockerd(self) -> ProcessId:
        pids = children(self._running_daemon().pid)
        if not pids:
            raise EngineFailed(f"dockerd in {self.directory} has ended:\n{self.log_tail()}")
        return ProcessId.of(pids[0])

    def _reap(self) -> None:
        if self._daemon is not None:
            self._daemon.wait(timeout=30)
            self._daemon = None
