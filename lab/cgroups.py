"""Control groups: what belongs to the lab is in one of its groups, whoever started it.

Membership is inherited and kept by the kernel, so that even what a crashed run left half-built is
found and ended by what it is, never by a name that others might have.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
PROCESSES = "cgroup.procs"
# Joins the groups named before "--", then becomes the command after it.
JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'


def unified() -> bool:
    """Whether this machine has the one hierarchy of cgroup v2, and not one per controller (v1)."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mounted roots that processes are put into."""
    if unified():
        return [ROOT]
    found = [path for path in ROOT.iterdir() if (path / PROCESSES).exists()]
    return sorted(path for path in found if not path.is_symlink() and path.name != "unified")


@dataclass(frozen=True)
class Group:
    """A group of this name, such as `pilothouse-lab/n1`, in every hierarchy."""

    name: str

    def paths(self) -> list[Path]:
        return [root / self.name for root in hierarchies()]

    def create(self) -> None:
        for root in hierarchies():
            directory = root
            for part in Path(self.name).parts:
                _delegate(directory)
                directory = directory / part
                directory.mkdir(exist_ok=True)
                _inherit_cpuset(directory)

    def joined(self, *command: str) -> list[str]:
        """The command line that runs the command as a member."""
        return ["sh", "-c", JOIN, "join", *map(str, self._entries()), "--", *command]

    def _entries(self) -> Iterator[Path]:
        """In v2 a group that has groups below it can hold no process itself (but at first)."""
        for path in self.paths():
            below = path / "init" / PROCESSES
            yield below if unified() and below.exists() else path / PROCESSES

    def processes(self) -> list[int]:
        """The ids of all members, those in groups below included."""
        found: set[int] = set()
        for path in self.paths():
            for directory, _, _ in os.walk(path):
                with suppress(OSError):  # a container's group may vanish at any moment
                    found.update(map(int, (Path(directory) / PROCESSES).read_text().split()))
        return sorted(found)

    def own(self) -> list[int]:
        """The ids of the members that are not in a group below: of those that `joined`."""
        with suppress(OSError):  # the group is not there
            return [int(pid) for pid in next(self._entries()).read_text().split()]
        return []

    def holds(self, pid: int) -> bool:
        """Whether the process is there and in the group itself."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return False
        places = {line.split(":", 2)[2] for line in lines}
        return not places.isdisjoint({f"/{self.name}", f"/{self.name}/init"})

    def kill(self) -> None:
        """End every member at once, and wait until they are gone."""

        def gone() -> bool:
            members = self.processes()
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not members

        wait_until(gone, f"the processes in the control group {self.name} end", 30)

    def remove(self) -> None:
        wait_until(self._try_remove, f"the control group {self.name} is empty", 15)

    def _try_remove(self) -> bool:
        return all([_remove(path) for path in self.paths() if path.is_dir()])

    def memory(self) -> int:
        """Bytes that the members hold for themselves (without the page cache)."""
        path = (ROOT if unified() else ROOT / "memory") / self.name / "memory.stat"
        if not path.exists():
            return 0
        lines = dict(line.split() for line in path.read_text().splitlines())
        return int(lines.get("anon") or lines.get("total_rss") or 0)


def _delegate(directory: Path) -> None:
    """In v2 a group's controllers are to be handed down level by level."""
    if unified():
        offered = (directory / "cgroup.controllers").read_text().split()
        (directory / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in offered))


def _inherit_cpuset(directory: Path) -> None:
    """In v1 a new cpuset is empty, and nothing may join it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = directory / name
        if file.exists() and not unified() and not file.read_text().strip():
            file.write_text((directory.parent / name).read_text())


def _remove(parent: Path) -> bool:
    for path, _, _ in os.walk(parent, topdown=False):
        try:
            os.rmdir(path)
        except OSError:  # a process inside is still dying
            return False
    return True
