"""The state directory: where the embedded database, the sockets, the key and the logs live."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlpanel.supervisor.failures import CannotStart

# A Unix socket's path has 107 bytes at most; the longest we put below is /postgres/.s.PGSQL.5432.
LONGEST_SOCKET_DIRECTORY = 80
# Others may pass through (PostgreSQL may run as nobody), but read nothing and list nothing.
PASSAGE, PRIVATE = 0o711, 0o700
LEAST_FREE_BYTES = 200 * 1024 * 1024  # initdb takes 40 MB, the write-ahead log up to 128 MB


@dataclass(frozen=True)
class StateDirectory:
    """The paths below the state directory; `prepare` makes them."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def postgres_data(self) -> Path:
        return self.root / "postgres"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def process_records(self) -> Path:
        return self.root / "processes.json"

    @property
    def environment(self) -> Path:
        """What a command beside the running panel needs to find its database; see manage.py."""
        return self.root / "environment"

    @property
    def beat_schedule(self) -> Path:
        return self.root / "beat-schedule"

    @property
    def sockets(self) -> Path:
        """Below the state directory, or in the temporary directory if that path is too long."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIRECTORY:
            return inside
        mark = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"pilothouse-{os.getuid()}-{mark}"

    def prepare(self) -> None:
        """Make the directories and check the disk.

        Raises CannotStart if one cannot be made, is somebody else's, or the disk is full.
        """
        try:
            for directory, mode in (
                (self.root, PASSAGE),
                (self.logs, PRIVATE),
                (self.sockets, PASSAGE),
            ):
                _make(directory, mode)
        except OSError as failure:
            raise CannotStart(
                f"The state directory {self.root} cannot be written: {failure.strerror}. "
                "Set PILOTHOUSE_STATE_DIR to a directory of yours."
            ) from failure
        self._refuse_full_disk()

    def _refuse_full_disk(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < LEAST_FREE_BYTES:
            raise CannotStart(
                f"The disk below {self.root} has {free // 2**20} MB left; at least "
                f"{LEAST_FREE_BYTES // 2**20} MB are needed. Free some, or set "
                "PILOTHOUSE_STATE_DIR to a directory on another disk."
            )

    def secret_key(self) -> str:
        """The key that signs sessions and links, made at the first call and kept at mode 0600."""
        return self._made_once("secret-key")

    def metrics_token(self) -> str:
        """What lets Prometheus in to /metrics, made and kept in the same way."""
        return self._made_once("metrics-token")

    def _made_once(self, name: str) -> str:
        path = self.root / name
        if path.exists() and (key := path.read_text().strip()):
            return key
        _write_private(path, secrets.token_urlsafe(50))
        return path.read_text()

    def note_environment(self, environment: Mapping[str, str]) -> None:
        """Keep it for commands, until the panel stops."""
        lines = (f"{name}={value}\n" for name, value in environment.items())
        _write_private(self.environment, "".join(lines))


def _write_private(path: Path, text: str) -> None:
    """The whole file or none of it, at mode 0600 from the start."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def _make(directory: Path, mode: int) -> None:
    """Make the directory, or refuse one that another user owns: their socket, or their key."""
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(mode)
    owner = directory.stat().st_uid
    if os.geteuid() != owner:
        raise CannotStart(
            f"{directory} belongs to another user (id {owner}), perhaps from a run with sudo. "
            "Run as that user, or set PILOTHOUSE_STATE_DIR to a directory of yours."
        )
