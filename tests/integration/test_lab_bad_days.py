"""A lab that is half-built, started twice, killed, on a full disk: it goes on, or ends clean."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import __main__ as command
from lab import leftovers
from lab.lab import Lab
from lab.layout import NODES, Layout
from lab.waiting import wait_until
from tests.engines.fixtures import require_engine
from tests.run.stages import ROOT

pytestmark = pytest.mark.engine
BUILD = """
from pathlib import Path
from lab.lab import Lab
from lab.layout import NODES, Layout
lab = Lab(Layout({name!r}, {subnet!r}, NODES[:3], base=Path({base!r})))
lab.power_on()
lab.form_swarm()
"""


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A lab of three nodes without images, of which nothing is there before or after the test."""
    require_engine()
    layout = Layout(f"bad-{os.getpid()}", "10.89.0", NODES[:3], base=Path("/var/tmp"))
    yield layout
    assert Lab(layout).down() == []


def complete(layout: Layout) -> Lab:
    lab = Lab(layout, tethered=True)
    lab.power_on()
    lab.form_swarm()
    return lab


def node_ids(lab: Lab) -> set[str]:
    with lab.managers[0].client() as client:
        return {node["ID"] for node in client.nodes()}


STAGES: dict[str, Callable[[Layout], bool]] = {
    "the switch is there": lambda at: (at.directory("switch") / "init").exists(),
    "the first node boots": lambda at: at.directory("n1").exists(),
    "the last node boots": lambda at: at.directory("n3").exists(),
    "the Swarm forms": lambda at: (at.directory("n1") / "data" / "swarm" / "state.json").exists(),
}


@pytest.mark.parametrize("stage", STAGES)
def test_what_was_killed_half_way_is_completed_by_the_next(layout: Layout, stage: str) -> None:
    script = BUILD.format(name=layout.name, subnet=layout.subnet, base=str(layout.base))
    building = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_until(lambda: STAGES[stage](layout), stage)
    building.send_signal(signal.SIGKILL)
    building.wait(timeout=10)

    assert len(node_ids(complete(layout))) == 3


def test_what_was_killed_half_way_is_removed(layout: Layout) -> None:
    script = BUILD.format(name=layout.name, subnet=layout.subnet, base=str(layout.base))
    building = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_until(lambda: layout.directory("n2").exists(), "the second node boots")
    building.send_signal(signal.SIGKILL)
    building.wait(timeout=10)
    assert leftovers.of(layout)

    assert Lab(layout).down() == []


def test_a_second_start_changes_nothing(layout: Layout) -> None:
    lab = complete(layout)
    before = [engine.dockerd() for engine in lab.engines.values()]
    assert None not in before

    complete(layout)

    assert [engine.dockerd() for engine in lab.engines.values()] == before


def test_a_lab_whose_every_process_died_is_the_same_swarm_again(layout: Layout) -> None:
    before = node_ids(complete(layout))
    Lab(layout).group.kill()

    assert node_ids(complete(layout)) == before


def test_a_lab_that_is_not_there_ends_without_a_word(layout: Layout) -> None:
    assert Lab(layout).down() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_is_told_and_all_of_it_is_removed(
    layout: Layout,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = replace(layout, base=small_disk)
    (small_disk / "filler").write_bytes(bytes(23 * 1024**2 + 900 * 1024))
    monkeypatch.setattr(command, "up", lambda layout, **_: complete(here))
    monkeypatch.setattr(sys, "argv", ["lab", "up"])

    try:
        assert command.main() == 1
    finally:
        left = Lab(here).down()

    assert left == []
    said = capsys.readouterr().err
    assert "no space left on device" in said.lower()
    assert "make lab-down" in said
