"""Writes what `docker save` would have written: images for `docker load`, without an engine.

All images of an archive share its layers and differ in their configuration alone, so that a dozen
images take the disk of one. The same input gives the same image ids.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

NANOSECONDS = 1_000_000_000
# Not the time of the build, which would change every image's id.
CREATED = "2026-01-01T00:00:00Z"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Image:
    """How one image starts; `command` is a list as in a Dockerfile's CMD."""

    tag: str
    command: list[str]
    environment: list[str] = field(default_factory=list)
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    healthcheck: dict[str, Any] | None = None
    stop_signal: str | None = None

    def runtime(self) -> dict[str, Any]:
        settings = {
            "Cmd": self.command,
            "Env": self.environment,
            "User": self.user,
            "Labels": self.labels,
            "Healthcheck": self.healthcheck,
            "StopSignal": self.stop_signal,
        }
        return {name: value for name, value in settings.items() if value}


@dataclass(frozen=True)
class Layer:
    """A tar archive, in memory or in a file, and what a history says of it."""

    content: bytes | Path
    history: str

    def open(self) -> IO[bytes]:
        if isinstance(self.content, Path):
            return self.content.open("rb")
        return io.BytesIO(self.content)

    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def digest(self) -> str:
        digest = hashlib.sha256()
        with self.open() as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def health(
    test: list[str], *, interval: float, timeout: float = 3, retries: int = 2
) -> dict[str, Any]:
    """A health check as an image's configuration has it; times in seconds."""
    return {
        "Test": test,
        "Interval": int(interval * NANOSECONDS),
        "Timeout": int(timeout * NANOSECONDS),
        "Retries": retries,
    }


def write(
    target: IO[bytes], layers: Sequence[Layer], images: Sequence[Image], architecture: str
) -> None:
    """The archive of these images; `target` need not be seekable."""
    digests = [layer.digest() for layer in layers]
    configs = [_config(image, layers, digests, architecture) for image in images]
    paths = [f"{digest}/layer.tar" for digest in digests]
    manifest = [
        {"Config": _config_name(config), "RepoTags": [image.tag], "Layers": paths}
        for image, config in zip(images, configs, strict=True)
    ]
    with tarfile.open(fileobj=target, mode="w|") as tar:
        for layer, path in zip(layers, paths, strict=True):
            with layer.open() as content:
                tar.addfile(_entry(path, layer.size()), content)
        for config in configs:
            add(tar, _config_name(config), config)
        add(tar, "manifest.json", json.dumps(manifest).encode())


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    tar.addfile(_entry(name, len(data), mode), io.BytesIO(data))


def add_directory(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    entry = _entry(name, 0, mode)
    entry.type = tarfile.DIRTYPE
    tar.addfile(entry)


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = _entry(name, 0, 0o777)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _entry(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry


def _config(
    image: Image, layers: Sequence[Layer], digests: Sequence[str], architecture: str
) -> bytes:
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": image.runtime(),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": CREATED, "created_by": layer.history} for layer in layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def _config_name(config: bytes) -> str:
    return f"{hashlib.sha256(config).hexdigest()}.json"
