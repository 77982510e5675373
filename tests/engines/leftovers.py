"""Where engines keep their files, and how those of a killed run are removed.

Each engine has a directory with an `owner.json` naming the test run it belongs to, and a control
group of the same name. Only what such a record names is ever ended or removed, and only when the
test run that wrote it is gone.
"""

import json
import os
import secrets
import shutil
from pathlib import Path

from lab.cgroups import Group
from lab.processes import ProcessId

PREFIX = "pilothouse-engine-"
RECORD = "owner.json"


def base_directory() -> Path:
    """Engines store layers here, so it must be neither tmpfs nor overlayfs; and a socket's path
    may have 107 bytes only, so it is short."""
    return Path(os.environ.get("PILOTHOUSE_ENGINES_DIR", "/var/tmp"))


def new_name() -> str:
    return f"{PREFIX}{secrets.token_hex(4)}"


def make(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    owner = ProcessId.of(os.getpid())
    (directory / RECORD).write_text(json.dumps([owner.pid, owner.started]))


def purge() -> list[Path]:
    """Remove what killed runs left behind; answers the directories that were removed."""
    stale = [path for path in base_directory().glob(f"{PREFIX}*") if _is_stale(path)]
    for directory in stale:
        Group(directory.name).kill()
        remove(directory)
    return stale


def remove(directory: Path) -> None:
    """Remove an engine's files and control groups, once its processes are gone."""
    Group(directory.name).remove()
    shutil.rmtree(directory)


def _is_stale(directory: Path) -> bool:
    # Without a record it is either being made this moment or not ours to judge.
    record = directory / RECORD
    return record.exists() and not ProcessId(*json.loads(record.read_text())).alive()
