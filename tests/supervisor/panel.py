"""A panel started as `make run` starts it, for the tests to use and to ill-treat."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from controlpanel.supervisor.records import Record
from tests.run.stages import ROOT
from tests.servers.daemon import free_port

PATIENCE = 90.0  # seconds; a start takes 3 on an idle machine
# Given by the test run or the developer; a fresh machine has none of them.
NOT_ON_A_FRESH_MACHINE = (
    "DATABASE_URL", "CELERY_BROKER_URL", "REDIS_URL", "DOCKER_HOST", "PILOTHOUSE_ADMIN_PASSWORD",
    "PILOTHOUSE_SECRET_KEY", "PILOTHOUSE_SIMULATED_SWARM",
)  # fmt: skip


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.05)


class Panel:
    """`manage.py up` in a state directory of its own, without an engine unless one is named."""

    def __init__(self, state: Path, port: int | None = None, **environment: str) -> None:
        self.state = state
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {k: v for k, v in os.environ.items() if k not in NOT_ON_A_FRESH_MACHINE}
        self.environment = {
            **inherited,
            "DOCKER_HOST": f"unix://{state}/no-engine.sock",
            "PILOTHOUSE_STATE_DIR": str(state),
            "PILOTHOUSE_PORT": str(self.port),
            **environment,
        }
        self._output = state.with_name(f"{state.name}-{time.monotonic_ns()}.out")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def manage(self, *arguments: str) -> str:
        """What `manage.py` prints, run in the panel's own environment."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True,
            timeout=PATIENCE,
        ).stdout  # fmt: skip

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def until_up(self) -> "Panel":
        wait_for(lambda: self._says("Pilothouse runs at"), "the address")
        return self

    def _says(self, words: str) -> bool:
        assert self.process.poll() is None, self.output()
        return words in self.output()

    def until_ended(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.until_ended()

    def processes(self) -> dict[str, Record]:
        """The running processes by name; none after a stop."""
        try:
            entries = json.loads((self.state / "processes.json").read_text())
        except FileNotFoundError:
            return {}
        return {entry["name"]: Record(**entry) for entry in entries}

    def page(self, path: str = "/") -> int:
        """The status of `GET path`, redirects followed; 0 if nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            return answer.code
        except OSError:
            return 0
