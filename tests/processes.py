"""What processes cost, as the kernel tells it."""

import os
import re
from pathlib import Path

from lab.processes import children

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


def cpu_seconds(pid: int) -> float:
    """CPU time of the process and everything below it, the ended included."""
    return sum(map(_own_cpu_seconds, family(pid)))


def family(pid: int) -> list[int]:
    """The process and everything below it."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def _own_cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it ended; its parent has its time
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def memory(pid: int, what: str = "VmRSS") -> float:
    """Resident memory in MiB; "VmHWM" asks for the most that it ever was."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise ValueError(f"the kernel tells no {what} of process {pid}")
    return int(found[1]) * 1024 / MIB
