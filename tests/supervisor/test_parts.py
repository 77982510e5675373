"""The supervisor's parts, one by one."""

import http.server
import json
import os
import signal
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlpanel.supervisor import engine, records
from controlpanel.supervisor.address import Address
from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.lock import only_one
from controlpanel.supervisor.logs import MOST_SHOWN, ProcessLog
from controlpanel.supervisor.plan import make_plan
from controlpanel.supervisor.processes import (
    LONGEST_PAUSE,
    Program,
    SupervisedProcess,
    pause_before_restart,
)
from controlpanel.supervisor.readiness import wait_until
from controlpanel.supervisor.state import LONGEST_SOCKET_DIRECTORY, StateDirectory
from controlpanel.supervisor.timings import Timings
from tests.supervisor.panel import wait_for


@given(st.integers(min_value=1, max_value=10_000))
def test_pauses_grow_up_to_a_limit(deaths: int) -> None:
    assert 0 < pause_before_restart(deaths) <= pause_before_restart(deaths + 1) <= LONGEST_PAUSE


# --- The state directory -------------------------------------------------------------------------


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    key = state.secret_key()
    assert len(key) >= 50
    assert state.secret_key() == key
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_an_empty_secret_key_of_a_full_disk_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "secret-key").touch()
    assert StateDirectory(tmp_path).secret_key()


def test_a_state_directory_with_a_long_path_has_its_sockets_elsewhere(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / ("x" * LONGEST_SOCKET_DIRECTORY))
    state.prepare()
    try:
        assert len(os.fsencode(state.sockets)) <= LONGEST_SOCKET_DIRECTORY
        assert state.sockets.is_dir()
    finally:
        state.sockets.rmdir()


def test_a_state_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="PILOTHOUSE_STATE_DIR"):
        StateDirectory(tmp_path / "file" / "state").prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_state_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 1, 1)
    with pytest.raises(CannotStart, match="belongs to another user"):
        StateDirectory(tmp_path).prepare()


# --- The lock ------------------------------------------------------------------------------------


def test_the_lock_names_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    expected = rf"already runs at http://first \(process {os.getpid()}\)"
    first, second = only_one(path, "http://first"), only_one(path, "http://second")
    with first, pytest.raises(CannotStart, match=expected), second:
        pytest.fail("two hold the lock")


def test_a_lock_file_left_by_a_crash_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"pid": 1, "address": "http://crashed"}))
    with only_one(path, "http://next"):
        assert json.loads(path.read_text())["address"] == "http://next"


# --- Leftovers -----------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def record(process: subprocess.Popen[bytes], started: int) -> records.Record:
    return records.Record("web", process.pid, started, signal.SIGTERM)


def test_leftovers_of_an_earlier_run_are_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    started = records.start_time(sleeper.pid)
    assert started is not None
    records.save(tmp_path / "processes.json", [record(sleeper, started)])
    assert records.end_leftovers(tmp_path / "processes.json") == ["web"]
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not (tmp_path / "processes.json").exists()


def test_a_process_that_only_has_the_same_number_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    records.save(tmp_path / "processes.json", [record(sleeper, started=1)])
    assert records.end_leftovers(tmp_path / "processes.json") == []
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", ["", "[{", "[{}]", "[1]", "7"])
def test_records_that_cannot_be_read_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "processes.json").write_text(content)
    assert records.end_leftovers(tmp_path / "processes.json") == []


# --- Logs ----------------------------------------------------------------------------------------

QUIET = (
    "2026-01-02 03:04:05,678 INFO clusters watching",
    "[2026-01-02 03:04:05,678: WARNING/MainProcess] slow",
    "2026-01-02 03:04:05.678 UTC [7] LOG:  ready",
    "7:M 02 Jan 2026 03:04:05.678 * Ready",
    "INFO:     Started server process",
)
LOUD = (
    "2026-01-02 03:04:05,678 ERROR clusters cannot reach",
    "[2026-01-02 03:04:05,678: CRITICAL/MainProcess] lost",
    "2026-01-02 03:04:05.678 UTC [7] PANIC:  no space left on device",
    "ERROR:    Exception in ASGI application",
    "Traceback (most recent call last):",
)


@pytest.mark.parametrize("line", QUIET)
def test_ordinary_lines_stay_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    log = ProcessLog(tmp_path, "web")
    log.take(line)
    assert capsys.readouterr().out == ""
    assert log.path.read_text() == f"{line}\n"


@pytest.mark.parametrize("line", LOUD)
def test_an_error_is_shown_with_what_belongs_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    log = ProcessLog(tmp_path, "web")
    for each in (line, '  File "x.py", line 1', "ValueError: x", QUIET[0]):
        log.take(each)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [f"web | {line}", 'web |   File "x.py", line 1', "web | ValueError: x"]


def test_a_flood_of_errors_does_not_drown_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = ProcessLog(tmp_path, "web")
    for _ in range(MOST_SHOWN * 3):
        log.take(LOUD[0])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == MOST_SHOWN + 1
    assert str(log.path) in shown[-1]


def test_a_log_that_cannot_be_written_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = ProcessLog(tmp_path / "gone", "web")
    log.take(QUIET[0])
    log.take(QUIET[0])
    assert capsys.readouterr().out.count("cannot be written") == 1


# --- Processes -----------------------------------------------------------------------------------


def supervised(folder: Path, code: str, **options: float) -> SupervisedProcess:
    program = Program("web", (sys.executable, "-c", code), **options)  # type: ignore[arg-type]
    return SupervisedProcess(program, ProcessLog(folder, "web"), lambda: None)


async def test_a_process_that_keeps_dying_fails_the_start_with_its_last_words(
    tmp_path: Path,
) -> None:
    process = supervised(tmp_path, "raise SystemExit('no such setting')")
    process.start()
    with pytest.raises(CannotStart, match=r"web keeps dying(.|\n)*no such setting"):
        await wait_until(lambda: False, by=process)
    await process.stop()


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    program = Program("web", ("/no/such/program",))
    process = SupervisedProcess(program, ProcessLog(tmp_path, "web"), lambda: None)
    process.start()
    with pytest.raises(CannotStart, match="/no/such/program cannot be started"):
        await wait_until(lambda: False, by=process)
    await process.stop()


async def test_a_process_deaf_to_the_stop_signal_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\n"
    process = supervised(tmp_path, code + "while True: signal.pause()", grace=0.2)
    process.start()
    await wait_until(lambda: "deaf" in process.log.tail, by=process)
    left = process.record()
    await process.stop()
    assert left is not None
    assert not left.alive()


async def test_what_a_process_started_itself_ends_with_it(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)\n"
    process = supervised(tmp_path, code + "import signal; signal.pause()")
    process.start()
    await wait_until(lambda: bool(process.log.tail), by=process)
    grandchild = int(process.log.tail[0])
    await process.stop()
    wait_for(lambda: records.start_time(grandchild) is None, "the grandchild to end")


async def test_lines_longer_than_the_buffer_come_in_pieces(tmp_path: Path) -> None:
    process = supervised(
        tmp_path, "print('x' * 300_000, 'end', flush=True); import signal; signal.pause()"
    )
    process.start()
    await wait_until(lambda: any(line.endswith("end") for line in process.log.tail), by=process)
    await process.stop()
    assert process.log.path.read_text().count("x") == 300_000


# --- The engine ----------------------------------------------------------------------------------


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers `/_ping` as an engine does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_ping" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *arguments: object) -> None: ...


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_an_engine_on_a_socket_answers(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with serving(socketserver.UnixStreamServer(str(path), Engine)):
        assert engine.answers(f"unix://{path}")
    assert not engine.answers(f"unix://{path}")  # the file is still there


def test_an_engine_on_a_port_answers() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Engine)
    with serving(server):
        assert engine.answers(f"tcp://127.0.0.1:{server.server_port}")
    assert not engine.answers(f"tcp://127.0.0.1:{server.server_port}")


# --- The plan ------------------------------------------------------------------------------------


def test_only_what_no_url_names_is_embedded(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    state = StateDirectory(tmp_path)
    plan = make_plan(state, {}, nowhere)
    assert plan.postgres and plan.broker and plan.simulator

    given = {"DATABASE_URL": "postgres://db/p", "REDIS_URL": "redis://r"}
    plan = make_plan(state, given, nowhere)
    assert (plan.postgres, plan.broker) == (None, None)
    assert not {"DATABASE_URL", "CELERY_BROKER_URL", "REDIS_URL"} & set(plan.environment)


def test_an_engine_that_answers_leaves_no_room_for_the_simulator(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with serving(socketserver.UnixStreamServer(str(path), Engine)):
        plan = make_plan(StateDirectory(tmp_path), {}, f"unix://{path}")
    assert plan.simulator is None
    assert "PILOTHOUSE_SIMULATED_SWARM" not in plan.environment


def test_a_panel_that_wants_no_simulator_gets_none(tmp_path: Path) -> None:
    given = {"PILOTHOUSE_SIMULATED_SWARM": "none"}
    plan = make_plan(StateDirectory(tmp_path), given, f"unix://{tmp_path}/docker.sock")
    assert plan.simulator is None
    assert plan.environment["PILOTHOUSE_SIMULATED_SWARM"] == ""


# --- The address and the table -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed", "url", "header"),
    [
        ("127.0.0.1", ["localhost"], "http://127.0.0.1:8000", "localhost"),
        ("0.0.0.0", ["*"], "http://127.0.0.1:8000", "localhost"),
        ("::", [".example.org"], "http://[::1]:8000", "example.org"),
        ("10.0.0.7", ["*", "panel.example.org"], "http://10.0.0.7:8000", "panel.example.org"),
    ],
)
def test_the_address_is_one_that_works(
    host: str, allowed: list[str], url: str, header: str
) -> None:
    address = Address(host, 8000, allowed)
    assert (address.url, address.host_header) == (url, header)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(CannotStart, match="PILOTHOUSE_HOST"):
        Address("192.0.2.1", 8000, []).refuse_taken_port()


def test_the_table_has_each_part_once_and_the_total_last() -> None:
    said: list[str] = []
    timings = Timings(said.append, {"environment": 2.0})
    with timings.part("database"):
        pass
    with pytest.raises(ValueError), timings.part("broken"):
        raise ValueError
    assert [line.split()[0] for line in timings.table()] == ["environment", "database", "total"]
    assert len(said) == 1
