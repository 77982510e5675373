"""The image's entry point, and the stack file that uses it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlpanel.supervisor.container import SECRETS, secrets_from_files
from controlpanel.supervisor.plan import panel_commands
from tests.run.stages import ROOT

STACK: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "pilothouse.yml").read_text())
OURS = {name: entry for name, entry in STACK["services"].items() if "command" in entry}


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgres://db\n")
    environment = {"DATABASE_URL_FILE": str(tmp_path / "url"), "HOME_FILE": "/etc/passwd"}
    assert secrets_from_files(environment) == {"DATABASE_URL": "postgres://db"}


@pytest.mark.parametrize("arguments", [[], ["shell"], ["web", "now"]])
def test_anything_but_a_process_is_refused(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "controlpanel.supervisor.container", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "one process a container" in result.stderr


def test_the_stack_runs_every_process_of_the_panel() -> None:
    commands = panel_commands("127.0.0.1", 8000, Path("beat"))
    assert {entry["command"][0] for entry in OURS.values()} == {*commands, "prepare"}


def test_the_stack_gives_each_process_the_secrets_that_it_names() -> None:
    for name, entry in OURS.items():
        files = {key: value for key, value in entry["environment"].items() if "_FILE" in key}
        assert set(files) <= {f"{secret}_FILE" for secret in SECRETS}, name
        assert set(files.values()) == {f"/run/secrets/{secret}" for secret in entry["secrets"]}
        assert set(entry["secrets"]) <= set(STACK["secrets"])


def test_no_secret_is_written_into_the_stack() -> None:
    assert all(secret["external"] is True for secret in STACK["secrets"].values())
