"""The system packages that the lab and the tests need, on Debian and Ubuntu."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")  # asked by Debian's packages before they start a daemon
FORBIDDEN = "#!/bin/sh\nexit 101\n"
INSTALL_TIMEOUT = 1800  # seconds


def provide(*packages: str) -> None:
    """Install what is missing; without the right to, say what to install and go on."""
    if not shutil.which("dpkg-query"):
        print("Not Debian or Ubuntu: install by hand what stands for", *packages)
        return
    missing = _missing(packages)
    if not missing:
        return
    become = _become_root()
    if become is None:
        print("To have all of it: sudo apt-get install", *missing, flush=True)
        return
    print("Installing", *missing, flush=True)
    with _no_daemons(become):
        _apt(become, "update", "-q")
        while missing:
            _apt(become, "install", "-qy", "--no-install-recommends", *missing)
            missing = [package for package in _missing(packages) if package not in missing]


def _missing(packages: tuple[str, ...]) -> list[str]:
    """Those that are not installed; of Docker the client too, which Debian 13 has apart."""
    missing = [package for package in packages if not _installed(package)]
    if "docker.io" in packages and "docker.io" not in missing and not shutil.which("docker"):
        missing.append("docker-cli")
    return missing


def _installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    return answer.stdout == "installed"


def _become_root() -> tuple[str, ...] | None:
    """The words to put before a command; None if we cannot become root without being asked."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") and subprocess.call(["sudo", "-n", "true"], timeout=30) == 0:
        return ("sudo",)
    return None


def _apt(become: tuple[str, ...], *arguments: str) -> None:
    subprocess.run(
        [*become, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *arguments],
        check=True, timeout=INSTALL_TIMEOUT, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def _no_daemons(become: tuple[str, ...]) -> Iterator[None]:
    """Keep the packages from starting their daemons: the lab and the tests start their own.

    A policy that the machine's owner put there stays.
    """
    if POLICY.exists():
        yield
        return
    subprocess.run([*become, "tee", str(POLICY)], input=FORBIDDEN, text=True, check=True,
                   stdout=subprocess.DEVNULL, timeout=30)  # fmt: skip
    subprocess.run([*become, "chmod", "755", str(POLICY)], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run([*become, "rm", str(POLICY)], check=True, timeout=30)
