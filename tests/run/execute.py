"""Running stages: each with a PostgreSQL of its own, some that wait for other things at once."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import IO

from tests.run.outcome import Outcome, read_report
from tests.run.stages import ROOT, Stage, Suite, Tool
from tests.servers.postgresql import embedded_postgresql, packaged_postgresql, packaged_programs

TOOL_TIMEOUT, SUITE_TIMEOUT = 600, 3600  # seconds
AT_ONCE = 3  # suites, on two processors: most of them wait for a Swarm or for a browser


def execute_all(stages: list[Stage]) -> dict[str, Outcome]:
    """Run the stages in their order; neighbours that need not be alone beside each other."""
    outcomes: dict[str, Outcome] = {}
    for alone, neighbours in groupby(stages, key=lambda stage: stage.alone):
        with ThreadPoolExecutor(1 if alone else AT_ONCE) as lanes:
            runs = [(stage.name, lanes.submit(_execute, stage)) for stage in neighbours]
        outcomes.update((name, run.result()) for name, run in runs)
    return outcomes


def _execute(stage: Stage) -> Outcome:
    """Run the stage and print what it printed when it has ended."""
    print(f"{stage.name} …", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        try:
            with _database(stage) as url:
                run = _use if isinstance(stage, Tool) else _test
                outcome = run(stage, {"DATABASE_URL": url}, output)
        except subprocess.TimeoutExpired as expired:
            output.write(f"{stage.name} was ended after {expired.timeout:g} s\n")
            outcome = Outcome(failed=1)
        outcome.seconds = time.monotonic() - begun
        output.seek(0)
        print(f"{stage.name}: {outcome.seconds:.0f} s\n{output.read()}", end="", flush=True)
    return outcome


def _database(stage: Stage) -> AbstractContextManager[str]:
    programs = packaged_programs()
    if isinstance(stage, Suite) and stage.packaged and programs:
        return packaged_postgresql(programs)
    return embedded_postgresql()


def _use(tool: Tool, environment: Mapping[str, str], output: IO[str]) -> Outcome:
    outcome = Outcome()
    for command in tool.commands:
        result = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment, **tool.environment},
            capture_output=True, text=True, timeout=TOOL_TIMEOUT, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            outcome.passed += 1
        else:
            outcome.failed += 1
            output.write(result.stdout + result.stderr)
    return outcome


def _test(suite: Suite, environment: Mapping[str, str], output: IO[str]) -> Outcome:
    present = [folder for folder in suite.folders if _has_tests(ROOT / folder)]
    absent = [folder for folder in suite.folders if folder not in present]
    environment = {**environment, **suite.environment}
    arguments = [*suite.options, *present]
    outcome = _pytest(arguments, environment, output) if present else Outcome()
    outcome.absent = absent
    return outcome


def _has_tests(path: Path) -> bool:
    return path.is_file() or any(path.rglob("test_*.py"))


def _pytest(arguments: list[str], environment: Mapping[str, str], output: IO[str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ph-report-") as folder:
        report = Path(folder) / "report.xml"
        status = subprocess.call(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=SUITE_TIMEOUT,
        )
        return read_report(report, status)
