"""`manage.py up` as a person at a terminal meets it, with real processes."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlpanel.supervisor.records import Record
from tests.run.stages import ROOT
from tests.supervisor.panel import Panel, wait_for

EVERY_PROCESS = {"web", "watcher", "worker", "beat", "simulator", "broker", "postgres"}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """One panel for the tests that leave it running."""
    panel = Panel(tmp_path_factory.mktemp("panel") / "state")
    try:
        yield panel.until_up()
    finally:
        panel.stop()


def all_gone(records: dict[str, Record]) -> bool:
    return not any(record.alive() for record in records.values())


def test_a_fresh_machine_gets_every_process_and_a_live_page(panel: Panel) -> None:
    wait_for(lambda: set(panel.processes()) == EVERY_PROCESS, "every process")
    assert panel.page() == 200
    assert panel.page("/readyz") == 200


def test_the_address_is_the_last_thing_said_and_each_part_is_timed(panel: Panel) -> None:
    output = panel.output()
    assert output.strip().splitlines()[-1] == f"Pilothouse runs at {panel.url}"
    for part in ("database", "broker", "migrations", "processes", "first page", "total"):
        assert f"\n  {part} " in output
    assert "simulated Swarm" in output


def test_the_first_run_offers_a_way_to_sign_in(panel: Panel) -> None:
    links = [line.strip() for line in panel.output().splitlines() if line.startswith("  http")]
    assert len(links) == 1
    assert panel.page(links[0].removeprefix(panel.url)) == 200


def test_a_command_beside_it_speaks_to_its_database(panel: Panel) -> None:
    command = [sys.executable, "manage.py", "issue_token", "admin"]
    issued = subprocess.run(
        command, cwd=ROOT, env=panel.environment, capture_output=True, text=True, check=False
    )
    assert issued.stdout.startswith("ph_"), issued.stderr
    header = {"Authorization": f"Bearer {issued.stdout.strip()}"}
    request = urllib.request.Request(f"{panel.url}/api/v1/clusters", headers=header)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_secrets_and_logs_are_the_owners_alone(panel: Panel) -> None:
    assert (panel.state / "secret-key").stat().st_mode & 0o777 == 0o600
    assert (panel.state / "environment").stat().st_mode & 0o777 == 0o600
    assert (panel.state / "log").stat().st_mode & 0o777 == 0o700
    assert (panel.state / "run" / "postgres").stat().st_mode & 0o777 == 0o700


def test_a_second_start_is_refused_with_the_address_of_the_first(panel: Panel) -> None:
    second = Panel(panel.state)
    assert second.until_ended() != 0
    assert f"already runs at {panel.url} (process {panel.process.pid})" in second.output()
    assert panel.page() == 200


@pytest.mark.parametrize("name", sorted(EVERY_PROCESS))
def test_a_killed_process_comes_back(panel: Panel, name: str) -> None:
    wait_for(lambda: name in panel.processes(), name)
    victim = panel.processes()[name]
    os.kill(victim.pid, signal.SIGKILL)

    def replaced() -> bool:
        now = panel.processes().get(name)
        return now is not None and now != victim and now.alive()

    wait_for(replaced, f"a new {name}")
    wait_for(lambda: panel.page() == 200, f"the page after {name} was killed")
    assert f"supervisor: {name} ended (signal SIGKILL)" in panel.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    panel = Panel(tmp_path / "state").until_up()
    processes = panel.processes()
    assert panel.stop(number) == 0
    assert all_gone(processes)
    assert panel.processes() == {}
    assert "killed" not in panel.output()
    assert not list((panel.state / "run").rglob("*.sock"))


def test_a_stop_while_starting_leaves_nothing_behind(tmp_path: Path) -> None:
    panel = Panel(tmp_path / "state")
    wait_for(lambda: "postgres" in panel.processes(), "the database")
    processes = panel.processes()
    assert panel.stop() == 0
    assert all_gone(processes)
    assert "Pilothouse runs at" not in panel.output()


def test_after_a_kill_no_process_stays_and_the_next_start_has_the_data(tmp_path: Path) -> None:
    panel = Panel(tmp_path / "state", PILOTHOUSE_ADMIN_PASSWORD="correct horse battery").until_up()
    key = (panel.state / "secret-key").read_text()
    processes = panel.processes()
    assert panel.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: all_gone(processes), "the processes to end with their supervisor")

    again = Panel(panel.state).until_up()
    try:
        assert again.page() == 200
        assert (panel.state / "secret-key").read_text() == key
        assert "Sign in for the first time" not in again.output()
    finally:
        again.stop()


def test_a_database_directory_cut_short_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "state" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    panel = Panel(tmp_path / "state").until_up()
    assert panel.stop() == 0
    assert not half.exists()


def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "state" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    panel = Panel(tmp_path / "state")
    assert panel.until_ended() != 0
    assert "holds a PostgreSQL of version 12" in panel.output()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_port_in_use_is_told_with_what_to_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        panel = Panel(tmp_path / "state", port=port)
        assert panel.until_ended() != 0
    assert f"Port {port} on 127.0.0.1 is in use" in panel.output()
    assert f"PILOTHOUSE_PORT={port + 1}" in panel.output()


def test_a_database_that_does_not_answer_ends_the_start_with_its_name(tmp_path: Path) -> None:
    panel = Panel(tmp_path / "state", DATABASE_URL="postgres://nobody@127.0.0.1:1/none")
    assert panel.until_ended() != 0
    assert "The database could not be brought up to date" in panel.output()
    assert "127.0.0.1" in panel.output()
    assert panel.processes() == {}


def test_given_servers_replace_the_embedded_ones(panel: Panel, tmp_path: Path) -> None:
    sockets = panel.state / "run"
    other = Panel(
        tmp_path / "state",
        DATABASE_URL=f"postgres://pilothouse@/{sockets}/postgres/pilothouse",
        CELERY_BROKER_URL=f"redis+socket://{sockets}/valkey.sock",
        PILOTHOUSE_SIMULATED_SWARM=str(sockets / "simulator.sock"),
    ).until_up()
    try:
        ours = EVERY_PROCESS - {"postgres", "broker", "simulator"}
        wait_for(lambda: set(other.processes()) == ours, "our own processes alone")
    finally:
        other.stop()
