"""Where engines keep their files, and how those of a killed run are removed.

Each engine has a directory with an `owner.json` naming the processes it belongs to. Only what such
a record names is ever ended or removed, and only when the test run that wrote it is gone.
"""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

from tests.engines.sandbox import ProcessId
from tests.engines.waiting import wait_until

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "pilothouse-engine-"
RECORD = "owner.json"


def base_directory() -> Path:
    """Engines store layers here, so it must be neither tmpfs nor overlayfs; and a socket's path
    may have 107 bytes only, so it is short."""
    return Path(os.environ.get("PILOTHOUSE_ENGINES_DIR", "/var/tmp"))


def new_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base_directory()))
    directory.chmod(0o755)
    return directory


def record(directory: Path, init: ProcessId) -> None:
    owner = ProcessId.of(os.getpid())
    content = {"owner": [owner.pid, owner.started], "init": [init.pid, init.started]}
    (directory / RECORD).write_text(json.dumps(content))


def purge() -> list[Path]:
    """Remove what killed runs left behind; answers the directories that were removed."""
    stale = [path for path in base_directory().glob(f"{PREFIX}*") if _is_stale(path)]
    for directory in stale:
        ProcessId(*_read(directory)["init"]).signal(signal.SIGKILL)
        remove(directory)
    return stale


def remove(directory: Path) -> None:
    """Remove an engine's files and the cgroups of its containers, once its processes are gone."""
    wait_until(lambda: _remove_cgroups(directory.name), f"no process in {directory.name}", 15)
    shutil.rmtree(directory)


def _is_stale(directory: Path) -> bool:
    # Without a record it is either being made this moment or not ours to judge.
    return (directory / RECORD).exists() and not ProcessId(*_read(directory)["owner"]).alive()


def _read(directory: Path) -> dict[str, list[int]]:
    content: dict[str, list[int]] = json.loads((directory / RECORD).read_text())
    return content


def _remove_cgroups(name: str) -> bool:
    parents = [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]
    return all([_remove_cgroup(parent) for parent in parents if parent.is_dir()])


def _remove_cgroup(parent: Path) -> bool:
    for path, _, _ in os.walk(parent, topdown=False):
        try:
            os.rmdir(path)
        except OSError:  # a process inside is still dying
            return False
    return True
