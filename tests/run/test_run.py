"""What `make test` makes of its stages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.execute import execute_all
from tests.run.outcome import Outcome, Skip, read_report
from tests.run.stages import ROOT, Tool, unclaimed_folders
from tests.run.summary import summary

TOTALS = re.compile(r"\d+ passed, \d+ failed, \d+ skipped")
MIXED = """
import pytest

def test_passes(): pass
def test_fails(): assert False
@pytest.fixture
def broken(): raise OSError
def test_cannot_start(broken): pass
@pytest.mark.skip(reason="no engine here")
def test_skipped(): pass
@pytest.mark.xfail
def test_known(): assert False
"""


def outcome_of(folder: Path, source: str) -> Outcome:
    """The outcome of a real run of pytest on the source."""
    (folder / "test_it.py").write_text(source)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null"]
    status = subprocess.call(
        [*command, "--rootdir", str(folder), f"--junitxml={report}", str(folder)],
        cwd=folder, stdout=subprocess.DEVNULL, timeout=120,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    return read_report(report, status)


def test_every_test_is_counted_once(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, MIXED)
    assert (outcome.passed, outcome.failed, len(outcome.skips)) == (1, 2, 2)
    assert Skip("test_it.test_skipped", "no engine here") in outcome.skips


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, "import no_such_module").failed == 1


def test_a_run_without_a_report_is_a_failure(tmp_path: Path) -> None:
    assert read_report(tmp_path / "none.xml", status=3).failed == 1


SKIPPED = Outcome(passed=3, skips=[Skip("test_a", "no engine")], absent=["tests/browser"])


def test_what_did_not_run_is_named_with_the_reason() -> None:
    lines, well = summary({"contract": SKIPPED}, ci=False)
    assert "skipped test_a: no engine" in lines
    assert "absent  tests/browser: no tests there" in lines
    assert lines[-1] == "3 passed, 0 failed, 1 skipped"
    assert well


def test_on_ci_what_did_not_run_has_failed() -> None:
    lines, well = summary({"contract": SKIPPED}, ci=True)
    assert lines[-1] == "3 passed, 2 failed, 0 skipped"
    assert not well


@pytest.mark.parametrize("ci", [True, False])
def test_one_failure_fails_the_whole(ci: bool) -> None:
    lines, well = summary({"unit": Outcome(passed=9), "types": Outcome(failed=1)}, ci=ci)
    assert TOTALS.fullmatch(lines[-1])
    assert not well


def meeting(place: Path, one: str, other: str) -> Tool:
    """It leaves its name, and ends well once it has seen the other's."""
    source = (
        "import pathlib, sys, time; place, one, other = pathlib.Path(sys.argv[1]), *sys.argv[2:]\n"
        "(place / one).touch(); ends = time.monotonic() + 20\n"
        "while not (place / other).exists(): time.sleep(0.05); assert time.monotonic() < ends"
    )
    command = (sys.executable, "-c", source, str(place), one, other)
    return Tool(one, (command,), alone=False)


def leaving_alone(place: Path, count: int) -> Tool:
    """It ends well if just so many have left their names before it began."""
    source = (
        "import pathlib, sys\n"
        "assert len(list(pathlib.Path(sys.argv[1]).iterdir())) == int(sys.argv[2])"
    )
    return Tool(f"after {count}", ((sys.executable, "-c", source, str(place), str(count)),))


def test_neighbours_run_side_by_side_and_what_stands_alone_does_not(tmp_path: Path) -> None:
    stages = [
        leaving_alone(tmp_path, 0),
        meeting(tmp_path, "one", "other"),
        meeting(tmp_path, "other", "one"),
        leaving_alone(tmp_path, 2),
    ]
    outcomes = execute_all(stages)
    assert list(outcomes) == ["after 0", "one", "other", "after 2"]
    assert [outcome.failed for outcome in outcomes.values()] == [0, 0, 0, 0]


def test_what_a_failed_stage_said_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = execute_all([Tool("broken", ((sys.executable, "-c", "exit('no such thing')"),))])
    assert outcomes["broken"].failed == 1
    assert "no such thing" in capsys.readouterr().out


def test_no_folder_of_tests_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "tests" / "forgotten").mkdir(parents=True)
    (tmp_path / "tests" / "forgotten" / "test_it.py").touch()
    (tmp_path / "tests" / "helpers").mkdir()
    assert unclaimed_folders(tmp_path) == ["tests/forgotten"]


def test_an_unknown_stage_is_refused() -> None:
    command = [sys.executable, "-m", "tests.run", "nonsense"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "nonsense" in result.stderr
