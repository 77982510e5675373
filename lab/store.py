"""The images that every node is born with, stored once.

A throw-away engine without a network loads them; of what it wrote, nodes get a copy of the small
part and the layers themselves by read-only mounts.
"""

import hashlib
import shutil
from pathlib import Path

from lab.cgroups import Group
from lab.engine import Engine

DRIVER = "overlay2"
KEPT = ("image", DRIVER)


def provide(archive: Path, programs: Path | None = None) -> Path:
    """The store of the archive's images, beside it; made if it is not there yet.

    Each engine has a store of its own, because a newer one's may be of another form.
    """
    store = archive.with_suffix(f".{programs.name}" if programs else ".store")
    if not store.exists():
        _build(archive, store, programs)
    return store


def _build(archive: Path, store: Path, programs: Path | None) -> None:
    """Load the archive into a new store; only a complete one gets the name."""
    draft = store.with_name(f"{store.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    # Two caches may each have a store built at once.
    name = hashlib.sha256(bytes(draft)).hexdigest()[:12]
    group = Group(f"pilothouse-store-{name}")
    engine = Engine(draft, group, "store", programs=programs, tethered=True)
    try:
        engine.power_on()
        engine.start()
        with archive.open("rb") as content:
            engine.load(content)
        engine.stop()
    finally:
        engine.power_off()
        engine.sandbox.group.remove()
    for path in (draft / "data").iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    draft.rename(store)


def give(store: Path, node: Path) -> None:
    """Put the store's images into a node that has never been on."""
    source, data = store / "data", node / "data"
    if (data / "image").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source / DRIVER, data / DRIVER, symlinks=True, ignore=_contents_of_layers)
    layers = [path for path in (source / DRIVER).glob("*/diff")]
    (node / "layers").write_text(
        "".join(f"{layer} {layer.relative_to(source)}\n" for layer in layers)
    )
    # Last, because it says that the rest is there.
    shutil.copytree(source / "image", data / "image", symlinks=True)


def _contents_of_layers(directory: str, names: list[str]) -> list[str]:
    return names if Path(directory).name == "diff" else []
