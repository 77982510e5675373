"""Collections and snapshots as files: what the stand-in for Qdrant keeps on its volume."""

import datetime
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import threading
from pathlib import Path
from typing import Any

NAME = re.compile(r"[\w.-]{1,255}")
Point = dict[str, Any]
FILES = ("config.json", "points.json")


class Missing(Exception):
    """There is no such collection or snapshot."""


class Damaged(Exception):
    """A snapshot that is not one, or not the one that was promised."""


class Store:
    def __init__(self, directory: Path) -> None:
        self._collections = directory / "collections"
        self._snapshots = directory / "snapshots"
        self._collections.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        return sorted(path.name for path in self._collections.iterdir() if path.is_dir())

    def create(self, name: str, config: dict[str, Any]) -> bool:
        """False if it is there already."""
        with self._lock:
            directory = self._path(name)
            if directory.exists():
                return False
            directory.mkdir()
            _write(directory / "points.json", b"{}")
            _write(directory / "config.json", json.dumps(config).encode())
            return True

    def delete(self, name: str) -> bool:
        with self._lock:
            there = self._path(name).exists()
            shutil.rmtree(self._path(name), ignore_errors=True)
            return there

    def config(self, name: str) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self._read(name, "config.json"))
        return config

    def points(self, name: str) -> dict[str, Point]:
        points: dict[str, Point] = json.loads(self._read(name, "points.json"))
        return points

    def upsert(self, name: str, points: list[Point]) -> None:
        with self._lock:
            changed = self.points(name) | {str(point["id"]): point for point in points}
            _write(self._path(name) / "points.json", json.dumps(changed).encode())

    def snapshot(self, name: str) -> dict[str, Any]:
        """A tar archive beside the collection, and its description."""
        with self._lock:
            content = self._pack(name)
            made = datetime.datetime.now(datetime.UTC)
            file = f"{name}-{made:%Y-%m-%d-%H-%M-%S-%f}.snapshot"
            (self._snapshots / name).mkdir(parents=True, exist_ok=True)
            _write(self._snapshots / name / file, content)
        return _description(self._snapshots / name / file)

    def snapshots(self, name: str) -> list[dict[str, Any]]:
        self.config(name)
        return [_description(path) for path in sorted((self._snapshots / name).glob("*.snapshot"))]

    def snapshot_content(self, name: str, file: str) -> bytes:
        return self._snapshot_path(name, file).read_bytes()

    def delete_snapshot(self, name: str, file: str) -> None:
        self._snapshot_path(name, file).unlink()

    def recover(self, name: str, content: bytes, checksum: str | None) -> None:
        """The collection becomes what the snapshot holds; before it is whole, nothing changes."""
        found = hashlib.sha256(content).hexdigest()
        if checksum and checksum.lower() != found:
            raise Damaged(f"Snapshot checksum mismatch: expected {checksum}, got {found}")
        files = _unpack(content)
        with self._lock:
            directory = self._path(name)
            directory.mkdir(exist_ok=True)
            for file in FILES:
                _write(directory / file, files[file])

    def _pack(self, name: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for file in FILES:
                content = self._read(name, file)
                entry = tarfile.TarInfo(file)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def _read(self, name: str, file: str) -> bytes:
        try:
            return (self._path(name) / file).read_bytes()
        except FileNotFoundError:
            raise Missing(f"Collection `{name}` doesn't exist!") from None

    def _path(self, name: str) -> Path:
        return self._collections / _checked(name)

    def _snapshot_path(self, name: str, file: str) -> Path:
        path = self._snapshots / _checked(name) / _checked(file)
        if not path.is_file():
            raise Missing(f"Snapshot {file} not found")
        return path


def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or name.startswith("."):
        raise Missing(f"{name} is no name")
    return name


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, whatever dies meanwhile."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _unpack(content: bytes) -> dict[str, bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = {entry.name: tar.extractfile(entry) for entry in tar.getmembers()}
            files = {name: member.read() for name, member in members.items() if member}
        for file in FILES:
            json.loads(files[file])
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise Damaged(f"this is not a snapshot: {error}") from error
    return files


def _description(path: Path) -> dict[str, Any]:
    status = path.stat()
    made = datetime.datetime.fromtimestamp(int(status.st_mtime), datetime.UTC)
    return {
        "name": path.name,
        "creation_time": made.strftime("%Y-%m-%dT%H:%M:%S"),
        "size": status.st_size,
        "checksum": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
