"""Images for tests, made on the spot from busybox-static: no registry is needed.

All share one layer. `lab/web:N` serves HTTP on port 80 and says its version, `lab/crash:1` fails a
moment after its start (LAB_EXIT_CODE=0: ends well), `lab/unhealthy:1` runs with a health check that
never passes, `lab/log:1` prints LAB_LINES lines and one to stderr, then sleeps.
"""

import io
import platform
import subprocess
import tarfile
from pathlib import Path

from lab.archive import Image, Layer, add, add_directory, add_link, health, write

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


def image(
    tag: str, command: str, *environment: str, healthcheck: dict[str, object] | None = None
) -> Image:
    return Image(
        tag,
        [f"/bin/{command}"],
        ["PATH=/bin", *environment],
        healthcheck=healthcheck,
        # busybox as process 1 ignores SIGTERM, and every stop would take the grace period.
        stop_signal="SIGKILL",
    )


IMAGES = (
    image("lab/web:1", "serve", "LAB_VERSION=1"),
    image("lab/web:2", "serve", "LAB_VERSION=2"),
    image("lab/web:3", "serve", "LAB_VERSION=3"),
    image("lab/crash:1", "crash"),
    image("lab/log:1", "log"),
    image(
        "lab/unhealthy:1",
        "serve",
        "LAB_VERSION=unhealthy",
        healthcheck=health(["CMD", "false"], interval=0.5, retries=1),
    ),
)


def archive() -> bytes:
    """An archive as `docker save` would write it, for `docker load`."""
    layer = Layer(_layer(), "tests.engines")
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    buffer = io.BytesIO()
    write(buffer, [layer], IMAGES, architecture)
    return buffer.getvalue()


def _layer() -> bytes:
    listing = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, check=True, timeout=10
    )
    applets = set(listing.stdout.split()) - {"busybox"} - set(SCRIPTS)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("bin", "etc", "tmp", "www", "proc", "sys", "dev"):
            add_directory(tar, directory, 0o1777 if directory == "tmp" else 0o755)
        add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        for name, script in SCRIPTS.items():
            add(tar, f"bin/{name}", script.encode(), 0o755)
        for applet in sorted(applets):
            add_link(tar, f"bin/{applet}", "busybox")
    return buffer.getvalue()
