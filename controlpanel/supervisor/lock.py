"""One supervisor per state directory: a lock that the kernel lets go of when we die."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlpanel.supervisor.failures import CannotStart


@contextmanager
def only_one(path: Path, address: str) -> Iterator[None]:
    """Hold the lock at `path` and note our process id and address in it.

    Raises CannotStart, naming the address of the one that runs. A file left by a crash is no
    lock: the kernel let go of it, so it never needs to be removed by hand.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise CannotStart(_who_runs(path)) from held
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "address": address}))
        file.flush()
        yield
        file.truncate(0)


def _who_runs(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
    except ValueError:  # between the other's flock and its write, or while it ends
        return f"Another Pilothouse is starting or stopping in {path.parent}. Try again shortly."
    return (
        f"Pilothouse already runs at {holder['address']} (process {holder['pid']}). "
        f"Stop it with Ctrl-C or `kill {holder['pid']}`, or give this one a state directory and "
        "port of its own: PILOTHOUSE_STATE_DIR, PILOTHOUSE_PORT."
    )
