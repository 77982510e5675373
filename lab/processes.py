"""Processes by id and start time, because an id alone may be used again."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


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

    def stopped(self) -> bool:
        """Whether each of its threads stands still: the signal is only the request for it."""
        threads = list(Path(f"/proc/{self.pid}/task").glob("*/stat"))
        try:
            states = {stat.read_text().rpartition(")")[2].split()[0] for stat in threads}
        except (FileNotFoundError, ProcessLookupError):  # one ended just now
            return False
        return states == {"T"}

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


def name_of(pid: int) -> str:
    """The program's name as the kernel has it; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """The process ids of the direct children; none if the process is gone."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
