"""One root file system that holds every program of the stack, made from packages.

No container is run and no maintainer script: packages are unpacked side by side, and the little
that the scripts would have done is done here. The result is an image layer and the versions in it.
It is made beside and renamed when complete, so that whatever is there is whole.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab import packages
from lab.packages import Apt, Distribution, PackagesFailed

STEP_SECONDS = 300
KEPT = 2  # of former builds, so that two checkouts do not build in turns

BASE = """
    base-files base-passwd bash dash coreutils grep sed mawk findutils tar gzip hostname login
    procps util-linux iproute2 ca-certificates curl python3 python3-celery
    redis-server redis-sentinel redis-tools rabbitmq-server haproxy prometheus
    prometheus-alertmanager prometheus-node-exporter prometheus-redis-exporter
    prometheus-postgres-exporter
"""
OLDER = ("consul", "cadvisor")

# What the programs run without: PostgreSQL's JIT, scripts of web pages, helpers of installing.
NOT_NEEDED = re.compile(
    r"adduser|cron|daemon$|dbus|debconf|debianutils|dpkg|fonts-|init-system|javascript|libclang|"
    r"libdebconf|libjs-|libllvm|libperl|libz3|llvm|locales|libc-l10n|logrotate|lsb-|media-types|"
    r"mime-support|node-|passwd|perl|postgresql-common|python3-distutils|python3-ephem|"
    r"sensible-utils|ssl-cert|systemd|sysvinit|ucf|usrmerge|.*-perl$|nodejs|libnode"
)
NOT_UNPACKED = (
    "./usr/share/man/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/i18n/*",
    "./usr/share/javascript/*",
    "./usr/share/nodejs/*",
    "./usr/share/lintian/*",
    "./usr/share/bash-completion/*",
    "./usr/share/zoneinfo/right/*",
    "./usr/share/zoneinfo/posix/*",
)
USERS = ("redis", "postgres", "rabbitmq", "prometheus", "haproxy", "consul")
FIRST_USER_ID = 101


@dataclass(frozen=True)
class RootFilesystem:
    layer: Path
    versions: dict[str, str]  # of every package inside


def build(cache: Path, machine: Distribution | None = None) -> RootFilesystem:
    """The root file system for this machine, made if it is not there yet."""
    machine = machine or packages.distribution()
    complete = cache / f"rootfs-{key(machine)}"
    if not complete.is_dir():
        beside = complete.with_suffix(".new")
        shutil.rmtree(beside, ignore_errors=True)
        _build(machine, cache / "apt", beside)
        beside.rename(complete)
    os.utime(complete)
    prune(cache, "rootfs-*")
    versions: dict[str, str] = json.loads((complete / "versions.json").read_text())
    return RootFilesystem(complete / "layer.tar", versions)


def key(machine: Distribution) -> str:
    """What the result depends on: the packages asked for, and how they are put together."""
    parts = [repr(machine), packages.architecture(), Path(__file__).read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def prune(cache: Path, pattern: str) -> None:
    """Removes what was built from older packages or files, and what was left half done."""
    builds = sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in builds[KEPT:]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def _build(machine: Distribution, state: Path, beside: Path) -> None:
    root = beside / "root"
    _make_skeleton(root)
    archives, versions = _fetch(machine, state)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda archive: _unpack(archive, root), archives):
            pass
    _finish(root, machine)
    pack(root, beside / "layer.tar")
    shutil.rmtree(root)
    (beside / "versions.json").write_text(json.dumps(versions, indent=1, sort_keys=True))


def _fetch(machine: Distribution, state: Path) -> tuple[list[Path], dict[str, str]]:
    own = Apt(state, machine.suite, machine)
    older = Apt(state, machine.older_suite, machine)
    wanted = _needed(own.resolve([*BASE.split(), f"postgresql-{machine.postgresql}"]))
    gone = {name: _candidate(older, name) for name in OLDER}
    archives = own.download(wanted) + older.download(gone)
    return archives, wanted | gone


def _needed(resolved: dict[str, str]) -> dict[str, str]:
    return {name: version for name, version in resolved.items() if not NOT_NEEDED.match(name)}


def _candidate(apt: Apt, name: str) -> str:
    version = apt.candidate(name)
    if version is None:
        raise PackagesFailed(f"{name} is not in {apt.suite}")
    return version


def _make_skeleton(root: Path) -> None:
    """The merged /usr, before packages that still unpack into /bin or /lib."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")


def _unpack(archive: Path, root: Path) -> None:
    excluded = [f"--exclude={pattern}" for pattern in NOT_UNPACKED]
    unpack = ["tar", "--extract", "--keep-directory-symlink", "--directory", str(root), *excluded]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE
    ) as source:
        _run(unpack, stdin=source.stdout)
    if source.returncode != 0:
        raise PackagesFailed(f"{archive.name} cannot be read")


def _finish(root: Path, machine: Distribution) -> None:
    """What maintainer scripts would have done."""
    for name in ("proc", "sys", "dev", "run", "root", "etc", "var/log", "var/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp", "data"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)
    for link, target in _links(machine):
        _link(root / link, target)
    for name, text in _files(root):
        (root / name).write_text(text)
    _run(["ldconfig", "-r", str(root)])
    shutil.rmtree(root / "var/cache")
    _compile(root)


def _link(path: Path, target: str) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _links(machine: Distribution) -> Iterator[tuple[str, str]]:
    yield "usr/bin/awk", "mawk"
    yield "var/run", "/run"
    yield "etc/mtab", "/proc/mounts"
    server = Path(f"../lib/postgresql/{machine.postgresql}/bin")
    for program in ("postgres", "initdb", "pg_basebackup", "pg_isready", "pg_ctl", "psql"):
        yield f"usr/bin/{program}", str(server / program)


def _files(root: Path) -> Iterator[tuple[str, str]]:
    numbered = list(enumerate(USERS, FIRST_USER_ID))
    users = "".join(f"{name}:x:{n}:{n}::/data:/bin/bash\n" for n, name in numbered)
    groups = "".join(f"{name}:x:{n}:\n" for n, name in numbered)
    yield "etc/passwd", (root / "usr/share/base-passwd/passwd.master").read_text() + users
    yield "etc/group", (root / "usr/share/base-passwd/group.master").read_text() + groups
    yield "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"
    yield "etc/hosts", "127.0.0.1 localhost\n"


def _compile(root: Path) -> None:
    """Saves every start of a Python program seconds. The layer's times are all the same, so that
    compiled files must not be compared by time."""
    libraries = [str(p.relative_to(root)) for p in (root / "usr/lib").glob("python3*")]
    compiler = ["python3", "-m", "compileall", "--invalidation-mode", "unchecked-hash", "-q"]
    not_compiled = ("-x", "/(test|idlelib|lib2to3|pydoc_data)/")

    def compile_below(library: str) -> None:
        _run(["chroot", str(root), *compiler, *not_compiled, f"/{library}"])

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(compile_below, libraries):
            pass


def pack(directory: Path, layer: Path) -> None:
    """A tar archive that is the same whenever and by whomever it is made."""
    same = ("--sort=name", "--mtime=@0", "--numeric-owner", "--format=gnu")
    _run(["tar", "--create", "--file", str(layer), "--directory", str(directory), *same, "."])


def _run(command: Sequence[str], stdin: IO[bytes] | None = None) -> None:
    done = subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, timeout=STEP_SECONDS
    )
    if done.returncode != 0:
        raise PackagesFailed(f"{command[0]} failed: {done.stderr.strip()[-800:]}")
