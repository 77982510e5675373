"""One command at a time changes a lab. The kernel lets go of the lock when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lab.layout import Layout
from lab.preflight import CannotStart


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Raises CannotStart, naming the process that holds the lab."""
    if os.geteuid() != 0:
        raise CannotStart("The lab needs root: try sudo.")
    layout.cache.mkdir(parents=True, exist_ok=True)
    with (layout.cache / f"{layout.name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            file.seek(0)
            raise CannotStart(
                f"Another command is at work on the lab (process {file.read() or 'unknown'}). "
                "Wait for it, or stop it with Ctrl-C."
            ) from held
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)
