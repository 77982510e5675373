"""What is there of a lab, by what the kernel and the file system say."""

from pathlib import Path

from lab.cgroups import Group
from lab.layout import Layout
from lab.network import host_ip
from lab.processes import name_of


def of(layout: Layout) -> list[str]:
    """Processes, control groups, mounts, interfaces, routes and files, a line each."""
    return [
        *_processes(layout),
        *_groups(layout),
        *_mounts(layout.root),
        *(_interfaces(layout) + _routes(layout) if layout.on_machine else []),
        *([f"directory {layout.root}"] if layout.root.exists() else []),
    ]


def _processes(layout: Layout) -> list[str]:
    return [f"process {pid} {name_of(pid)}" for pid in Group(layout.group).processes()]


def _groups(layout: Layout) -> list[str]:
    return [f"control group {path}" for path in Group(layout.group).paths() if path.exists()]


def _mounts(root: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in lines]
    return [f"mount {place}" for place in places if Path(place).is_relative_to(root)]


def _interfaces(layout: Layout) -> list[str]:
    shown = host_ip("-oneline", "link", "show").splitlines()
    names = [line.split()[1].rstrip(":").split("@")[0] for line in shown]
    return [f"interface {name}" for name in names if name == layout.interface]


def _routes(layout: Layout) -> list[str]:
    shown = host_ip("route", "show", "root", layout.network).splitlines()
    return [f"route {line.strip()}" for line in shown]
