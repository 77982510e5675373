"""A private Docker Engine for tests, which leaves nothing behind.

>>> with Engine(swarm=True) as engine:
...     docker.APIClient(engine.url, version="auto").info()
"""

import os
from pathlib import Path
from types import TracebackType

from lab import engine, formation, packages
from lab.cgroups import Group
from lab.engine import EngineFailed
from lab.layout import Layout
from lab.waiting import wait_until
from tests.engines import images, leftovers

__all__ = ["Engine", "EngineFailed", "missing_prerequisite"]


def missing_prerequisite() -> str | None:
    """Why no engine with our images can be started on this machine, or None if one can."""
    if not images.BUSYBOX.exists():
        return f"images are made from {images.BUSYBOX} (Debian: busybox-static)"
    return engine.missing_prerequisite()


def programs() -> Path | None:
    """Those of the newer engine whose major version PILOTHOUSE_ENGINE holds, or the machine's."""
    version = os.environ.get("PILOTHOUSE_ENGINE")
    return packages.engine(Layout().cache, int(version)) if version else None


class Engine(engine.Engine):
    """Ends with the test run; `remove` (or leaving the `with` block) removes every trace."""

    def __init__(self, *, swarm: bool = True, hostname: str = "node-1") -> None:
        self._swarm = swarm
        directory = leftovers.base_directory() / leftovers.new_name()
        super().__init__(
            directory, Group(directory.name), hostname, programs=programs(), tethered=True
        )

    def __enter__(self) -> "Engine":
        leftovers.purge()
        leftovers.make(self.directory)
        try:
            self.power_on()
            self.start()
            self._prepare()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.remove()

    def _prepare(self) -> None:
        self.load(images.archive())
        if self._swarm:
            with self.client() as client:
                client.init_swarm(advertise_addr="127.0.0.1")
                ready = {self.hostname}
                wait_until(lambda: formation.ready_nodes(client) == ready, "its node is ready")

    def remove(self) -> None:
        """End every process and remove every file, mount, cgroup and network interface."""
        self.power_off()
        leftovers.remove(self.directory)
