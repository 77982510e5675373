"""PostgreSQL: the embedded one of the wheel, and the one of the system's package."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from controlpanel.supervisor.postgres import EmbeddedPostgres
from controlpanel.supervisor.privileges import file_owner, tethered, without_root
from tests.servers.daemon import running, temporary_folder

# A test's rows need not outlive the test.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def embedded_postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL from the wheel."""
    with temporary_folder("pg") as folder:
        folder.chmod(0o711)
        server = EmbeddedPostgres(folder / "data", folder / "run", tuple(FAST.items()))
        server.prepare()
        command = server.program().command
        with running(command, server.ready, folder / "log", stop_signal=signal.SIGINT):
            yield server.url


def packaged_programs() -> Path | None:
    """The folder of the newest packaged PostgreSQL's programs, if one is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    return found[-1].parent if found else None


def _major(program: Path) -> int:
    return int(program.parent.parent.name)


@contextmanager
def packaged_postgresql(programs: Path) -> Iterator[str]:
    """The URL of a PostgreSQL run from the system's package, as `packaged_programs` found it."""
    with temporary_folder("pg") as folder:
        folder.chmod(0o711)
        data, sockets = folder / "data", folder / "run"
        for directory in (data, sockets):
            directory.mkdir(mode=0o700)
            os.chown(directory, *file_owner())
        initdb = (str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust",
                  "--encoding=UTF8", "--no-sync")  # fmt: skip
        subprocess.run(without_root(initdb), check=True, capture_output=True, timeout=120, cwd="/")
        options = {**FAST, "listen_addresses": "", "unix_socket_directories": str(sockets)}
        server = (str(programs / "postgres"), "-D", str(data),
                  *(f"--{name}={value}" for name, value in options.items()))  # fmt: skip
        with running(
            without_root(tethered(server, signal.SIGINT)),
            lambda: _answers(sockets),
            folder / "log",
            stop_signal=signal.SIGINT,
        ):
            yield f"postgres://postgres@/{sockets}/postgres"


def _answers(sockets: Path) -> bool:
    try:
        psycopg.connect(host=str(sockets), user="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
