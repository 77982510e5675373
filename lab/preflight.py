"""Whether this machine can hold a lab, asked before anything is made."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.engine import missing_prerequisite
from lab.layout import Layout
from lab.network import host_ip

GIB = 1024**3
DISK, MEMORY = 4 * GIB, 3 * GIB  # of the whole stack: packages and images 2 GB, 2 GB of memory
TIMEOUT = 20.0  # seconds
# What is tried in namespaces of its own, which vanish with it; and the kernel's name for it.
FEATURES = {
    "veth": "ip link add name one type veth peer name two",
    "bridge": "ip link add name one type bridge",
    "vxlan": "ip link add name one type vxlan id 1 dstport 4789 local 127.0.0.1",
    "iptable_nat": "iptables --table nat --list --numeric",
    "overlay": "mount -t overlay overlay -o lowerdir=/usr:/etc /mnt",
}


class CannotStart(Exception):
    """The lab cannot start here. The message says what is wrong, and what to do."""


def check(layout: Layout) -> None:
    """Raises CannotStart with everything that stands in the way, a line each."""
    reason = missing_prerequisite()
    problems = [reason] if reason else list(_problems(layout))
    if problems:
        raise CannotStart("\n".join(problems))


def _problems(layout: Layout) -> Iterator[str]:
    yield from _space(layout.base)
    yield from _space(layout.cache)
    yield from _memory()
    yield from _features()
    if layout.on_machine:
        yield from _network(layout)


def _space(path: Path) -> Iterator[str]:
    there = next(place for place in (path, *path.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < DISK:
        yield (
            f"The disk below {path} has {free / GIB:.1f} GB left, and a lab needs {DISK // GIB}. "
            "Free some, or set PILOTHOUSE_LAB_DIR and PILOTHOUSE_LAB_CACHE to another disk."
        )


def _memory() -> Iterator[str]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":") for line in lines)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if available < MEMORY:
        yield (
            f"{available / GIB:.1f} GB of memory are free, and a lab needs {MEMORY // GIB}. "
            "End what you do not need."
        )


def _features() -> Iterator[str]:
    for feature, trial in FEATURES.items():
        command = ["unshare", "--net", "--mount", "sh", "-c", trial]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
        if done.returncode != 0:
            yield (
                f"This kernel cannot do {feature}: {done.stderr.strip().splitlines()[-1]}. "
                f"Try `modprobe {feature}`; a container or a cloud's kernel may lack the module."
            )


def _network(layout: Layout) -> Iterator[str]:
    """Somebody else's addresses or routes inside the lab's network."""
    shown = host_ip("route", "show", "root", layout.network).splitlines()
    foreign = [line for line in shown if layout.interface not in line and "unreachable" not in line]
    if foreign:
        yield (
            f"This machine uses {layout.network} already ({foreign[0].strip()}). "
            "Give the lab another network: PILOTHOUSE_LAB_SUBNET=10.88.0"
        )
