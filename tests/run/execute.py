"""Running one stage."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.run.outcome import Outcome, read_report
from tests.run.stages import ROOT, Stage, Suite, Tool

TOOL_TIMEOUT, SUITE_TIMEOUT = 600, 3600  # seconds


def execute(stage: Stage, databases: Mapping[bool, str]) -> Outcome:
    """Run the stage; `databases` holds the URLs of the wheel's PostgreSQL (False) and of the
    system's (True).
    """
    begun = time.monotonic()
    try:
        if isinstance(stage, Tool):
            outcome = _use(stage, databases[False])
        else:
            outcome = _test(stage, databases)
    except subprocess.TimeoutExpired as expired:
        print(f"{stage.name} was ended after {expired.timeout:g} s", flush=True)
        outcome = Outcome(failed=1)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _use(tool: Tool, database: str) -> Outcome:
    environment = {**os.environ, "DATABASE_URL": database, **tool.environment}
    outcome = Outcome()
    for command in tool.commands:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=TOOL_TIMEOUT, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            outcome.passed += 1
        else:
            outcome.failed += 1
            print(result.stdout + result.stderr, flush=True)
    return outcome


def _test(suite: Suite, databases: Mapping[bool, str]) -> Outcome:
    present = [folder for folder in suite.folders if _has_tests(ROOT / folder)]
    absent = [folder for folder in suite.folders if folder not in present]
    environment = {"DATABASE_URL": databases[suite.packaged], **suite.environment}
    outcome = _pytest([*suite.options, *present], environment) if present else Outcome()
    outcome.absent = absent
    return outcome


def _has_tests(path: Path) -> bool:
    return path.is_file() or any(path.rglob("test_*.py"))


def _pytest(arguments: list[str], environment: Mapping[str, str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ph-report-") as folder:
        report = Path(folder) / "report.xml"
        status = subprocess.call(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            timeout=SUITE_TIMEOUT,
        )
        return read_report(report, status)
