"""The lab's own rules, as far as they need no Swarm."""

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from lab import preflight, system
from lab.__main__ import main
from lab.dns import answer
from lab.lab import Lab, NoSuchNode
from lab.layout import NODES, Layout
from lab.lock import only_one
from lab.preflight import CannotStart
from lab.processes import ProcessId
from lab.waiting import wait_until


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("PILOTHOUSE_LAB_CACHE", str(tmp_path / "cache"))
    return Layout("unit", "10.90.0", base=tmp_path, on_machine=False)


def test_every_placement_of_the_guide_has_its_node() -> None:
    labels = {(key, value) for node in NODES for key, value in node.labels.items()}
    wanted = {("consul", f"server{n}") for n in (1, 2, 3)}
    wanted |= {("rabbitmq", f"node{n}") for n in (1, 2, 3)}
    wanted |= {("postgres", name) for name in ("primary", "replica1", "replica2")}
    wanted |= {("redis", f"master{n}") for n in (1, 2, 3)} | {("gpu", "true")}
    assert wanted <= labels
    assert {value for _, value in labels} >= {"slave1", "slave2", "slave3"}
    assert [node.manager for node in NODES] == [True, True, True, False, False]


def test_the_name_server_knows_no_name_and_says_so_at_once() -> None:
    question = b"\x03web\x00" + struct.pack(">HH", 1, 1)
    query = b"\x12\x34" + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 1) + question + b"\x00extra"

    said = answer(query)

    number, flags, questions, answers = struct.unpack(">HHHH", said[:8])
    assert (number, questions, answers) == (0x1234, 1, 0)
    assert (flags >> 15, flags & 0xF) == (1, 3)  # a response: NXDOMAIN
    assert said[12:] == question


def test_a_command_that_finds_another_at_work_names_it(layout: Layout) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with only_one(layout), pytest.raises(CannotStart, match=str(os.getpid())), only_one(layout):
        pass
    with only_one(layout):
        pass


def test_a_feature_that_the_kernel_lacks_is_named(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := preflight.missing_prerequisite():
        pytest.skip(reason)
    monkeypatch.setitem(preflight.FEATURES, "vxlan", "ip link add name one type nosuchthing")
    with pytest.raises(CannotStart, match="cannot do vxlan.*modprobe vxlan"):
        preflight.check(layout)


def test_a_full_disk_and_a_lack_of_memory_are_told_together(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := preflight.missing_prerequisite():
        pytest.skip(reason)
    monkeypatch.setattr(preflight, "DISK", 2**60)
    monkeypatch.setattr(preflight, "MEMORY", 2**60)
    with pytest.raises(CannotStart) as caught:
        preflight.check(layout)
    assert "PILOTHOUSE_LAB_DIR" in str(caught.value)
    assert "of memory are free" in str(caught.value)


def test_a_node_that_is_not_there_is_refused_by_name(layout: Layout) -> None:
    with pytest.raises(NoSuchNode, match="no node n9: n1, n2, n3, n4, n5"):
        Lab(layout).engine("n9")


@pytest.mark.parametrize("command", ["up", "down"])
def test_without_root_a_clear_word_is_said(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["lab", command])
    assert main() == 1
    assert "The lab needs root: try sudo." in capsys.readouterr().err


def test_a_process_that_was_asked_to_stop_stands_still_only_after_a_while() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        asked = ProcessId.of(process.pid)
        try:
            assert not asked.stopped()
            asked.signal(signal.SIGSTOP)
            wait_until(asked.stopped, "it stands still")
        finally:
            process.kill()
    assert not asked.stopped()


@pytest.mark.parametrize(
    ("installed", "client", "missing"),
    [
        ({"docker.io", "iptables"}, "/usr/bin/docker", []),
        ({"iptables"}, None, ["docker.io"]),
        ({"docker.io", "iptables"}, None, ["docker-cli"]),  # as Debian 13 has it
    ],
)
def test_dockers_client_is_installed_where_it_is_a_package_of_its_own(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], client: str | None, missing: list[str]
) -> None:
    monkeypatch.setattr(system, "_installed", installed.__contains__)
    monkeypatch.setattr(system.shutil, "which", lambda name: client)
    assert system._missing(("docker.io", "iptables")) == missing


def test_a_command_without_a_lab_says_how_to_have_one(layout: Layout) -> None:
    with pytest.raises(CannotStart, match="There is no lab on this machine: `make lab` first"):
        Lab.found(layout)
