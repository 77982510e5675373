"""Images for tests, made on the spot from busybox-static: no registry is needed.

All share one layer. `lab/web:N` serves HTTP on port 80 and says its version, `lab/crash:1` fails a
moment after its start (LAB_EXIT_CODE=0: ends well), `lab/unhealthy:1` runs with a health check that
never passes, `lab/log:1` prints LAB_LINES lines and one to stderr, then sleeps.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

SERVE = """#!/bin/sh
echo "lab/web $LAB_VERSION serving on port ${PORT:-80}"
echo "$LAB_VERSION" >/www/index.html
exec httpd -f -p "${PORT:-80}" -h /www
"""
CRASH = """#!/bin/sh
echo "about to fail" >&2
sleep "${LAB_CRASH_AFTER:-0.3}"
exit "${LAB_EXIT_CODE:-3}"
"""
LOG = """#!/bin/sh
number=0
while [ $number -lt "${LAB_LINES:-3}" ]; do
  number=$((number + 1))
  echo "line $number"
  [ "${LAB_LINE_INTERVAL:-0}" = 0 ] || sleep "$LAB_LINE_INTERVAL"
done
echo "that was all" >&2
exec sleep 2147483647
"""
SCRIPTS = {"serve": SERVE, "crash": CRASH, "log": LOG}
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Image:
    tag: str
    command: list[str]
    environment: list[str] = field(default_factory=list)
    healthcheck: dict[str, Any] | None = None


def web(version: int) -> Image:
    return Image(f"lab/web:{version}", ["/bin/serve"], [f"LAB_VERSION={version}"])


IMAGES = (
    web(1),
    web(2),
    web(3),
    Image("lab/crash:1", ["/bin/crash"]),
    Image("lab/log:1", ["/bin/log"]),
    Image(
        "lab/unhealthy:1",
        ["/bin/serve"],
        ["LAB_VERSION=unhealthy"],
        {"Test": ["CMD", "false"], "Interval": NANOSECONDS // 2, "Retries": 1},
    ),
)


def archive() -> bytes:
    """An archive as `docker save` would write it, for `docker load`."""
    layer = _layer()
    configs = [_config(image, hashlib.sha256(layer).hexdigest()) for image in IMAGES]
    manifest = [
        {"Config": _config_name(config), "RepoTags": [image.tag], "Layers": ["layer.tar"]}
        for image, config in zip(IMAGES, configs, strict=True)
    ]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "layer.tar", layer)
        for config in configs:
            _add(tar, _config_name(config), config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def _layer() -> bytes:
    busybox = BUSYBOX.read_bytes()
    listing = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, check=True, timeout=10
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("bin", "etc", "tmp", "www", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", busybox, 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        for name, script in SCRIPTS.items():
            _add(tar, f"bin/{name}", script.encode(), 0o755)
        for applet in set(listing.stdout.split()) - {"busybox"} - set(SCRIPTS):
            _link(tar, applet)
    return buffer.getvalue()


def _link(tar: tarfile.TarFile, applet: str) -> None:
    entry = tarfile.TarInfo(f"bin/{applet}")
    entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
    tar.addfile(entry)


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def _config(image: Image, layer_digest: str) -> bytes:
    runtime: dict[str, Any] = {
        "Cmd": image.command,
        "Env": ["PATH=/bin", *image.environment],
        # busybox as process 1 ignores SIGTERM, and every stop would take the grace period.
        "StopSignal": "SIGKILL",
    }
    if image.healthcheck:
        runtime["Healthcheck"] = image.healthcheck
    return json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests.engines"}],
        }
    ).encode()


def _config_name(config: bytes) -> str:
    return f"{hashlib.sha256(config).hexdigest()}.json"
