"""What the lab is built from: packages, the docker archive, the table of images."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from lab import images, packages, rootfs, stack
from lab.archive import Image, Layer, write

DEBIAN_12 = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
VERSIONS = {
    "consul": "1.8.7+dfsg1-2+b3",
    "redis-server": "5:7.0.15-1~deb12u7",
    "redis-sentinel": "5:7.0.15-1~deb12u7",
    "rabbitmq-server": "3.10.8-1.1+deb12u1",
    "postgresql-15": "15.18-0+deb12u1",
    "haproxy": "2.6.12-1+deb12u3",
    "prometheus": "2.42.0+ds-5+deb12u1",
    "prometheus-alertmanager": "0.25.0-1+b4",
    "prometheus-node-exporter": "1.5.0-1+b6",
    "prometheus-redis-exporter": "1.45.0-2+b4",
    "prometheus-postgres-exporter": "0.11.1-3+b5",
    "cadvisor": "0.38.7+ds1-2+b7",
}
IMAGES = [Image("lab/a:1", ["a"]), Image("lab/b:1", ["b"], user="nobody", labels={"x": "y"})]


def written(layers: list[Layer]) -> bytes:
    buffer = io.BytesIO()
    write(buffer, layers, IMAGES, "amd64")
    return buffer.getvalue()


def read(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()


def test_an_archive_is_the_same_whenever_it_is_written() -> None:
    layers = [Layer(b"layer", "test")]
    assert written(layers) == written(layers)


def test_a_layer_from_a_file_is_as_one_from_memory(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(b"layer")
    assert written([Layer(tmp_path / "layer.tar", "x")]) == written([Layer(b"layer", "x")])


def test_images_share_layers_and_differ_in_their_configuration() -> None:
    archive = written([Layer(b"lower", "x"), Layer(b"upper", "x")])
    first, second = json.loads(read(archive, "manifest.json"))
    assert first["Layers"] == second["Layers"]
    assert len(first["Layers"]) == 2
    assert first["Config"] != second["Config"]
    config = json.loads(read(archive, second["Config"]))
    assert config["config"] == {"Cmd": ["b"], "User": "nobody", "Labels": {"x": "y"}}
    assert [read(archive, path) for path in second["Layers"]] == [b"lower", b"upper"]


def test_the_machines_distribution_is_read_from_os_release() -> None:
    assert packages.distribution(DEBIAN_12).suite == "bookworm"
    assert packages.distribution("ID=ubuntu\nVERSION_ID='24.04'\n").suite == "noble"


def test_an_unknown_distribution_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(packages.PackagesFailed, match=r"debian 12.*ubuntu 24\.04.*fedora"):
        packages.distribution("ID=fedora\nVERSION_ID=40\n")


@pytest.mark.parametrize(
    ("version", "short", "major"),
    [
        ("5:7.0.15-1~deb12u7", "7.0", 7),
        ("28.5.2+dfsg4-5", "28.5", 28),
        ("20.10.24+dfsg1-1+deb12u1+b6", "20.10", 20),
    ],
)
def test_what_a_package_is_a_version_of(version: str, short: str, major: int) -> None:
    assert packages.upstream(version) == short
    assert packages.major(version) == major


def test_a_root_file_system_depends_on_the_distribution() -> None:
    debian_12, debian_13 = (packages.DISTRIBUTIONS["debian", number] for number in ("12", "13"))
    assert rootfs.key(debian_12) == rootfs.key(debian_12) != rootfs.key(debian_13)


def test_old_builds_are_removed_and_the_newest_kept(tmp_path: Path) -> None:
    for age in range(4):
        build = tmp_path / f"rootfs-{age}"
        build.mkdir()
        os.utime(build, (100 - age, 100 - age))
    rootfs.prune(tmp_path, "rootfs-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rootfs-0", "rootfs-1"]


def test_tags_say_the_version_of_the_program_inside() -> None:
    tags = images.tags(VERSIONS)
    assert tags["redis"] == "lab/redis:7.0"
    assert tags["postgres"] == "lab/postgres:15"
    assert tags["ai-agent"] == "lab/ai-agent:1"


def test_a_stand_in_says_so_in_a_label() -> None:
    labels = {program.name: images.image(program, VERSIONS).labels for program in images.PROGRAMS}
    stand_ins = {name for name in labels if labels[name].get("io.pilothouse.lab.stand-in")}
    assert stand_ins == {"ollama", "qdrant", "jaeger"}


def test_every_image_of_the_stack_is_made_and_every_config_is_there() -> None:
    text = (stack.FILES / "stack.yml").read_text()
    versions = stack.variables(images.tags(VERSIONS))
    for name, version in versions.items():
        text = text.replace(f"${{{name}:-{version}}}", version)
    wanted = {line.split()[1] for line in text.splitlines() if line.strip().startswith("image:")}
    made = {images.image(program, VERSIONS).tag for program in images.PROGRAMS}
    assert wanted <= made
    for name in ("haproxy.cfg", "prometheus.yml", "rules.yml", "alertmanager.yml"):
        assert f"file: {name}" in text
        assert (stack.FILES / name).exists()
