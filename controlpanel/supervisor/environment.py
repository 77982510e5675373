"""The step before everything else: `.venv` with the locked dependencies, then a command in it.

    python3 -I controlpanel/supervisor/environment.py [--dev] COMMAND [ARGUMENT …]

COMMAND is a program of the environment (`python`, `ruff`). Uses the standard library alone, and
runs on old Pythons far enough to say that they are too old. A second run with the same lock file
installs nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RUN_LOCK, DEV_LOCK = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
INSTALLER_LOCK = ROOT / "requirements-uv.txt"
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11")
INSTALL_TIMEOUT = 1800  # seconds, for a slow line


def say(text: str) -> None:
    print(text, flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run the command, whose own words go to the terminal; end with its status if it fails."""
    try:
        status = subprocess.call(command, timeout=INSTALL_TIMEOUT, env=env)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        sys.exit(f"{command[0]} did not end within {INSTALL_TIMEOUT // 60} minutes.")
    if status != 0:
        sys.exit(f"Failed (status {status}): {shlex.join(map(str, command))}")


def require_python() -> None:
    """Go on with a newer Python of this machine if this one is too old."""
    if sys.version_info >= OLDEST:
        return
    newer = next(filter(None, map(shutil.which, NEWER_NAMES)), None)
    if newer is None:
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    os.execv(newer, [newer, "-I", *sys.argv])  # noqa: S606 - no shell is wanted


def require_venv() -> None:
    """Debian packages the venv module apart from Python: install it, or say how."""
    found = importlib.util.find_spec("ensurepip")
    if found is not None and found.origin is not None:  # not only an empty folder
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"Python's venv module is missing. Install it: sudo apt-get install {package}")
    say(f"Installing {package} …")
    run("apt-get", "update", "-q")
    run(
        "apt-get", "install", "-qy", "--no-install-recommends", package,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip


def make_venv() -> None:
    """Make `.venv` if there is none, or only part of one, or its Python has gone."""
    # pip is what the venv module puts there last.
    if PYTHON.exists() and (VENV / "bin" / "pip").exists():
        return
    require_venv()
    say(f"Making the environment in {VENV} …")
    run(sys.executable, "-m", "venv", "--clear", VENV)


def digest(lock: Path) -> str:
    return hashlib.sha256(INSTALLER_LOCK.read_bytes() + lock.read_bytes()).hexdigest()


def install(*locks: Path) -> None:
    """Install what the first lock file names, and nothing else.

    Nothing is done if any of the lock files is installed: the others hold the first one's
    packages at the same versions, and more.
    """
    done = VENV / "installed"
    if done.exists() and done.read_text() in map(digest, locks):
        return
    done.unlink(missing_ok=True)
    say("Installing the locked dependencies …")
    run(
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--requirement", INSTALLER_LOCK,
    )  # fmt: skip
    run(
        VENV / "bin" / "uv", "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes",
        "--compile-bytecode", locks[0], env=trusting_the_system(),
    )  # fmt: skip
    done.write_text(digest(locks[0]))


def trusting_the_system() -> dict[str, str]:
    """The environment for uv, which trusts its own list of authorities unless told otherwise."""
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        return {"UV_SYSTEM_CERTS": "1", **os.environ}
    return dict(os.environ)


def main() -> None:
    require_python()
    started = time.time()
    dev = sys.argv[1] == "--dev"
    command = sys.argv[2:] if dev else sys.argv[1:]
    make_venv()
    made = time.time()
    install(*((DEV_LOCK,) if dev else (RUN_LOCK, DEV_LOCK)))
    ready = time.time()
    os.environ["PILOTHOUSE_SETUP_SECONDS"] = json.dumps(
        {"environment": made - started, "dependencies": ready - made}
    )
    os.environ["PILOTHOUSE_UP_SINCE"] = str(ready)
    program = str(VENV / "bin" / command[0])
    os.chdir(str(ROOT))
    os.execv(program, [program, *command[1:]])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
