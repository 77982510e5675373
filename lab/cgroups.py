"""Control groups: what belongs to the lab is in one of its groups, whoever started it.

Membership is inherited and kept by the kernel, so that even what a crashed run left half-built is
found and ended by what it is, never by a name that others might have.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
PROCESSES, MEMBERS = "cgroup.procs", "init"
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
        if unified() and not self.processes():
            self._renew()

    def _renew(self) -> None:
        """In v2 a group that hands controllers down can hold no process: members go below it."""
        for path in self.paths():
            _remove(path)  # what a dead node's containers left below it
            (path / MEMBERS).mkdir(parents=True, exist_ok=True)

    def joined(self, *command: str) -> list[str]:
        """The command line that runs the command as a member."""
        return _join(self._entries(), command)

    def rooted(self, *command: str) -> list[str]:
        """As `joined`, and the command takes the group for the root of all control groups."""
        if not unified():
            return self.joined("unshare", "--cgroup", *command)
        entries = [path / PROCESSES for path in self.paths()]
        return _join(entries, ["unshare", "--cgroup", *self.joined(*command)])

    def _entries(self) -> Iterator[Path]:
        for path in self.paths():
            yield (path / MEMBERS if unified() else path) / PROCESSES

    def processes(self) -> list[int]:
        """The ids of all members, those in groups below included."""
        found: set[int] = set()
        for path in self.paths():
            for directory, _, _ in os.walk(path):
                with suppress(OSError):  # a container's group may vanish at any moment
                    found.update(map(int, (Path(directory) / PROCESSES).read_text().split()))
        return sorted(found)

    def own(self) -> list[int]:
        """The ids of the members that `joined`, without those in groups of their own below."""
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
        return not places.isdisjoint({f"/{self.name}", f"/{self.name}/{MEMBERS}"})

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


def _join(entries: Iterable[Path], command: Iterable[str]) -> list[str]:
    return ["sh", "-c", JOIN, "join", *map(str, entries), "--", *command]


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
