"""The images of the reference stack: one root file system, our own files on top, many commands.

Tags name the version of the program inside, as the machine's distribution has it; those of our own
programs count from 1. Stand-ins for programs that no distribution has say so in a label.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import archive, packages, rootfs
from lab.archive import Image, Layer

HERE = Path(__file__).parent
FILES = HERE / "image"
STAND_IN = {"io.pilothouse.lab.stand-in": "true"}
SOURCE = "io.pilothouse.lab.package"
PYTHON = ["PYTHONPATH=/opt", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"]
# RabbitMQ's own programs before the package's wrappers, which insist on files of a whole system.
PATH = "PATH=/usr/local/bin:/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = [PATH, "LANG=C.UTF-8", *PYTHON]


@dataclass(frozen=True)
class Program:
    """What becomes an image; without a package, the version is our own."""

    name: str
    command: str
    user: str
    package: str = ""
    version: str = "1"
    environment: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str | None = None


def python(module: str) -> str:
    return f"python3 -m lab.image.{module}"


def ai_agent(version: str, *environment: str) -> Program:
    variables = [f"VERSION={version}", *environment]
    command = python("ai_agent")
    return Program("ai-agent", command, "nobody", version=version, environment=variables)


def stand_in(name: str, version: str) -> Program:
    return Program(name, python(name), "nobody", version=version, labels=STAND_IN)


PROMETHEUS = "prometheus --config.file=/etc/prometheus/prometheus.yml --web.enable-lifecycle"
ALERTMANAGER = "prometheus-alertmanager --config.file=/etc/alertmanager/alertmanager.yml"
# cAdvisor as it looks at the node (mounts of the stack): what a panel reads, and nothing dear.
CADVISOR = (
    "cadvisor -logtostderr -docker_only -housekeeping_interval=5s -store_container_labels=false "
    "-disable_metrics=percpu,sched,tcp,udp,advtcp,process,hugetlb,referenced_memory,cpu_topology,"
    "resctrl,disk -whitelisted_container_labels=com.docker.swarm.service.name,"
    "com.docker.swarm.task.name,com.docker.swarm.node.id,com.docker.stack.namespace"
)
PROGRAMS = (
    Program("consul", "start-consul", "consul", "consul"),
    Program("redis", "start-redis", "redis", "redis-server"),
    Program("sentinel", "start-sentinel", "redis", "redis-sentinel"),
    Program("rabbitmq", python("rabbitmq"), "rabbitmq", "rabbitmq-server"),
    # SIGTERM would wait for every client to leave.
    Program("postgres", "start-postgres", "postgres", "postgresql", stop_signal="SIGINT"),
    Program("haproxy", "haproxy -W -db -f /etc/haproxy/haproxy.cfg", "", "haproxy"),
    Program("prometheus", f"{PROMETHEUS} --storage.tsdb.path=/data", "prometheus", "prometheus"),
    Program(
        "alertmanager",
        f"{ALERTMANAGER} --storage.path=/data --cluster.listen-address=",
        "prometheus",
        "prometheus-alertmanager",
    ),
    Program("node-exporter", "prometheus-node-exporter", "nobody", "prometheus-node-exporter"),
    Program("cadvisor", CADVISOR, "", "cadvisor"),
    Program("redis-exporter", "start-redis-exporter", "nobody", "prometheus-redis-exporter"),
    Program(
        "postgres-exporter", "start-postgres-exporter", "nobody", "prometheus-postgres-exporter"
    ),
    ai_agent("1"),
    ai_agent("2"),
    ai_agent("3"),
    ai_agent("bad", "FAIL_HEALTH_AFTER=1"),
    Program("celery-worker", python("celery_worker"), "nobody"),
    Program("celery-exporter", python("celery_exporter"), "nobody"),
    stand_in("ollama", "0.6"),
    stand_in("qdrant", "1.13"),
    stand_in("jaeger", "1.67"),
)
# In the image, so that a service made of nothing but the image is watched as well.
AI_AGENT_HEALTH = archive.health(
    ["CMD", "curl", "-fsS", "-m", "2", "-o", "/dev/null", "http://127.0.0.1:8000/health"],
    interval=3,
)


@dataclass(frozen=True)
class Images:
    archive: Path  # for `docker load`
    tags: dict[str, str]  # the newest of every name: redis → lab/redis:7.0


def build(cache: Path) -> Images:
    """All images as one archive in the cache, made if it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(cache):
        root = rootfs.build(cache)
        complete = cache / f"images-{key(root)}.tar"
        images = [image(program, root.versions) for program in PROGRAMS]
        if not complete.exists():
            _write(complete, root, images)
        os.utime(complete)
        rootfs.prune(cache, "images-*.tar")
    return Images(complete, tags(root.versions))


def tags(versions: dict[str, str]) -> dict[str, str]:
    """Of ai-agent, the first version is what a stack begins with."""
    return {program.name: _tag(program, versions) for program in reversed(PROGRAMS)}


def image(program: Program, versions: dict[str, str]) -> Image:
    labels = {"io.pilothouse.lab": "true", **program.labels}
    if program.package:
        labels[SOURCE] = f"{program.package} {_version(program, versions)}"
    return Image(
        _tag(program, versions),
        program.command.split(),
        [*ENVIRONMENT, *program.environment],
        program.user,
        labels,
        AI_AGENT_HEALTH if program.name == "ai-agent" else None,
        program.stop_signal,
    )


def _tag(program: Program, versions: dict[str, str]) -> str:
    return f"lab/{program.name}:{_short_version(program, versions)}"


def _short_version(program: Program, versions: dict[str, str]) -> str:
    if not program.package:
        return program.version
    version = packages.upstream(_version(program, versions))
    return version.partition(".")[0] if program.name == "postgres" else version


def _version(program: Program, versions: dict[str, str]) -> str:
    """PostgreSQL's package has the major version in its name."""
    for name, version in versions.items():
        if name == program.package or name.startswith(f"{program.package}-1"):
            return version
    raise packages.PackagesFailed(f"{program.package} is not in the root file system")


def key(root: rootfs.RootFilesystem) -> str:
    """What the archive depends on: the root file system, our files, and this table."""
    digest = hashlib.sha256(root.layer.parent.name.encode())
    for path in (*_files(), HERE / "images.py", HERE / "archive.py"):
        digest.update(f"{path.relative_to(HERE)} {path.stat().st_mode:o}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files() -> list[Path]:
    return sorted(p for p in FILES.rglob("*") if p.is_file() and p.suffix != ".pyc")


def _write(complete: Path, root: rootfs.RootFilesystem, images: list[Image]) -> None:
    with tempfile.TemporaryDirectory(prefix="images-", dir=complete.parent) as scratch:
        directory = Path(scratch)
        _copy_files(directory / "root")
        rootfs.pack(directory / "root", directory / "files.tar")
        layers = [
            Layer(root.layer, "packages of the distribution"),
            Layer(directory / "files.tar", "lab/image"),
        ]
        with (directory / "images.tar").open("wb") as target:
            archive.write(target, layers, images, packages.architecture())
        (directory / "images.tar").rename(complete)


def _copy_files(root: Path) -> None:
    """Programs as the package that they are; entry points into the search path."""
    for path in (HERE / "__init__.py", *_files()):
        executable = path.parent.name == "bin"
        place = Path("usr/local/bin", path.name) if executable else _in_package(path)
        copy = root / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o755 if executable else 0o644)


def _in_package(path: Path) -> Path:
    return Path("opt/lab") / path.relative_to(HERE)


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Two builds in one cache would spoil each other's halves."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
