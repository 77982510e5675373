"""Packages of the machine's own distribution, through an apt state of our own.

The machine's apt is only asked where its mirror is and how it is reached; nothing of it is changed.
So packages of other suites can be had as well: Consul and cAdvisor, which are gone from newer ones,
and newer engines.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

LISTS_ARE_FRESH = 24 * 3600
DOWNLOAD_SECONDS = 900
ENGINE_PACKAGES = ("docker.io", "docker-cli", "containerd", "tini")


class PackagesFailed(Exception):
    """A package cannot be had; the message says which and why."""


@dataclass(frozen=True)
class Distribution:
    suite: str
    older_suite: str  # the last one with Consul and cAdvisor
    engine_suites: tuple[str, ...]  # where newer engines are, oldest first
    components: str
    keyring: str
    postgresql: int


DEBIAN_ENGINES = ("trixie", "forky", "sid")
DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
UBUNTU_KEYS = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
# The rows of Ubuntu are from its package index and were never tried: there was no such machine.
DISTRIBUTIONS = {
    ("debian", "12"): Distribution("bookworm", "bullseye", DEBIAN_ENGINES, "main", DEBIAN_KEYS, 15),
    ("debian", "13"): Distribution("trixie", "bullseye", DEBIAN_ENGINES, "main", DEBIAN_KEYS, 17),
    ("ubuntu", "22.04"): Distribution(
        "jammy", "jammy", ("jammy-updates",), "main universe", UBUNTU_KEYS, 14
    ),
    ("ubuntu", "24.04"): Distribution(
        "noble", "jammy", ("noble-updates",), "main universe", UBUNTU_KEYS, 16
    ),
}


def distribution(os_release: str | None = None) -> Distribution:
    """The machine's own, or the one that the text of an os-release file tells of."""
    text = Path("/etc/os-release").read_text() if os_release is None else os_release
    pairs = (line.partition("=") for line in text.splitlines())
    fields = {name: value.strip("\"'") for name, _, value in pairs}
    key = (fields.get("ID", "?"), fields.get("VERSION_ID", "?"))
    if key not in DISTRIBUTIONS:
        known = ", ".join(" ".join(names) for names in DISTRIBUTIONS)
        raise PackagesFailed(f"the lab is built from the packages of {known}; this is {key}")
    return DISTRIBUTIONS[key]


def architecture() -> str:
    return _output(["dpkg", "--print-architecture"]).strip()


class Apt:
    """A private apt state for one suite, below the given directory."""

    def __init__(self, directory: Path, suite: str, machine: Distribution) -> None:
        self.suite = suite
        self._directory = directory / suite
        self._machine = machine

    def resolve(self, packages: Sequence[str]) -> dict[str, str]:
        """Package name → version: these and all that they depend on."""
        command = ("install", "--yes", "--print-uris", "--quiet=2", *packages)
        lines = self._apt_get(*command).splitlines()
        return dict(_name_and_version(line) for line in lines if line.startswith("'"))

    def download(self, packages: dict[str, str]) -> list[Path]:
        """Exactly these versions, checked by apt against the signed index."""
        archives = self._directory / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}={version}" for name, version in packages.items()]
        self._apt_get("download", "--quiet=2", *wanted, cwd=archives)
        return [_find(archives, *package) for package in packages.items()]

    def candidate(self, package: str) -> str | None:
        """The version that the suite has."""
        answer = _output(["apt-cache", "policy", package], self._environment)
        for line in answer.splitlines():
            name, _, version = line.strip().partition(": ")
            if name == "Candidate":
                return None if version == "(none)" else version
        return None

    def _apt_get(self, *arguments: str, cwd: Path | None = None) -> str:
        return _output(["apt-get", *arguments], self._environment, cwd)

    @cached_property
    def _environment(self) -> dict[str, str]:
        """Makes the state, reads the suite's index, and points apt at it."""
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self._directory / part).mkdir(parents=True, exist_ok=True)
        (self._directory / "status").touch()
        (self._directory / "sources.list").write_text(self._source())
        (self._directory / "apt.conf").write_text(self._configuration())
        environment = {**os.environ, "APT_CONFIG": str(self._directory / "apt.conf")}
        self._refresh(environment)
        return environment

    def _refresh(self, environment: dict[str, str]) -> None:
        stamp = self._directory / "refreshed"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_ARE_FRESH:
            _output(["apt-get", "update", "--quiet=2", "--error-on=any"], environment)
            stamp.touch()

    def _source(self) -> str:
        keys = f"signed-by={self._machine.keyring}"
        return f"deb [{keys}] {mirror(self._machine)} {self.suite} {self._machine.components}\n"

    def _configuration(self) -> str:
        own = {
            "Dir::State": self._directory / "state",
            "Dir::State::status": self._directory / "status",
            "Dir::Cache": self._directory / "cache",
            "Dir::Etc::sourcelist": self._directory / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            # The machine's own settings hold hooks, which would touch the machine.
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",  # archived suites are no longer signed anew
        }
        lines = [f'{name} "{value}";' for name, value in own.items()]
        return "\n".join([*_way_to_the_mirror(), *lines, ""])


def _way_to_the_mirror() -> list[str]:
    """Proxies and the like, as the machine's apt has them."""
    settings = _output(["apt-config", "dump", "Acquire"]).splitlines()
    schemes = ("Acquire::http", "Acquire::https", "Acquire::Retries")
    return [line for line in settings if line.startswith(schemes)]


def mirror(machine: Distribution) -> str:
    """Where the machine's own apt gets its distribution from."""
    form = ["--format", "$(REPO_URI) $(RELEASE) $(CODENAME)", "Created-By: Packages"]
    for line in _output(["apt-get", "indextargets", *form]).splitlines():
        address, *names = line.split()
        if machine.suite in names:
            return address
    raise PackagesFailed(f"this machine's apt has no source for {machine.suite}")


def _name_and_version(line: str) -> tuple[str, str]:
    """From a line of --print-uris: 'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE HASH."""
    name, version, _ = line.split()[1].split("_")
    return name, unquote(version)


def _find(archives: Path, name: str, version: str) -> Path:
    escaped = version.replace(":", "%3a")
    for path in archives.glob(f"{name}_{escaped}_*.deb"):
        return path
    raise PackagesFailed(f"apt did not download {name} {version}")


def _output(
    command: Sequence[str], environment: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
    )
    if done.returncode != 0:
        raise PackagesFailed(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def engine(cache: Path, version: int = 28) -> Path:
    """A newer engine beside the installed one; returns the prefix that its files lie below.

    If no suite has exactly this major version, the newest above it is taken. It has no runc of its
    own: a newer one would need a newer libc than the machine's, and the machine's does.
    """
    prefix = cache / f"engine-{version}"
    if not prefix.is_dir():
        apt, found = _suite_with(cache / "apt", version)
        beside = cache / f"engine-{version}.new"
        shutil.rmtree(beside, ignore_errors=True)
        _unpack_engine(apt, beside)
        (beside / "version").write_text(f"{found} of {apt.suite}\n")
        beside.rename(prefix)
    return prefix


def _suite_with(state: Path, version: int) -> tuple[Apt, str]:
    machine = distribution()
    suites = [Apt(state, suite, machine) for suite in machine.engine_suites]
    with ThreadPoolExecutor() as pool:
        candidates = list(pool.map(lambda apt: apt.candidate("docker.io"), suites))
    offers = [(apt, found) for apt, found in zip(suites, candidates, strict=True) if found]
    fitting = [offer for offer in offers if major(offer[1]) == version]
    newer = sorted((o for o in offers if major(o[1]) > version), key=lambda o: major(o[1]))
    if not fitting and not newer:
        offered = ", ".join(f"{found} in {apt.suite}" for apt, found in offers) or "none"
        raise PackagesFailed(f"no engine {version} or newer: there is {offered}")
    return fitting[0] if fitting else newer[-1]


def major(version: str) -> int:
    """28 of 28.5.2+dfsg4-5; an epoch is not part of it."""
    return int(version.rpartition(":")[2].split(".")[0])


def upstream(version: str) -> str:
    """7.0 of 5:7.0.15-1~deb12u7."""
    return ".".join(version.rpartition(":")[2].split("-")[0].split("+")[0].split(".")[:2])


def _unpack_engine(apt: Apt, prefix: Path) -> None:
    versions = {name: apt.candidate(name) for name in ENGINE_PACKAGES}
    there = {name: version for name, version in versions.items() if version}
    for package in apt.download(there):
        _output(["dpkg-deb", "--extract", str(package), str(prefix)])
