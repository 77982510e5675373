"""The panel beside the lab: `manage.py up` in the background, with the lab as its cluster."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from lab.cgroups import Group
from lab.processes import ProcessId
from lab.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
UP = "Pilothouse runs at "
CLUSTER = "lab"
TIMEOUT = 20.0  # seconds


class PanelFailed(Exception):
    """The panel did not start; the message holds its own words."""


class Panel:
    """The panel whose state is in `directory`. Its processes are members of the group."""

    def __init__(self, directory: Path, group: Group) -> None:
        self.directory = directory
        self._group = group
        self._environment = {
            **os.environ,
            "PILOTHOUSE_STATE_DIR": str(directory),
            "PILOTHOUSE_SIMULATED_SWARM": "none",
            "PILOTHOUSE_ENGINE_SOCKETS": "/*/docker.sock",  # the nodes', wherever the lab is
        }

    @property
    def output(self) -> Path:
        return self.directory.with_suffix(".log")

    def running(self) -> bool:
        return self._supervisor() is not None

    def start(self) -> None:
        """Start it unless it runs, and wait until it is up. Raises PanelFailed."""
        if not self.running():
            self._launch()

    def welcome(self) -> str:
        """How to sign in, in its own words, and where it is."""
        sign_in = self.output.read_text().partition("\nSign in")[2].partition("\n\n")[0]
        words = f"Sign in{sign_in}\n" if sign_in else ""
        return f"{words}Pilothouse runs at {self.url}; its log is {self.output}."

    def _launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._group.create()
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                self._group.joined(sys.executable, "manage.py", "up"), cwd=ROOT,
                env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

        def up() -> bool:
            if process.poll() is not None:
                raise PanelFailed(f"The panel did not start:\n{self.output.read_text()}")
            return UP in self.output.read_text()

        wait_until(up, f"the panel starts ({self.output})", 180)
        (self.directory / "supervisor").write_text(str(process.pid))

    def _supervisor(self) -> ProcessId | None:
        try:
            pid = int((self.directory / "supervisor").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return ProcessId.of(pid) if self._group.holds(pid) else None

    @property
    def url(self) -> str:
        return self.output.read_text().rpartition(UP)[2].strip()

    def register(self, addresses: Sequence[str], prometheus: str) -> None:
        """Make the lab a cluster of the panel, unless it is, with this source of metrics."""
        token = self.issue_token()
        if self._api(token, "GET", f"/clusters/{CLUSTER}") == 404:
            new = {"name": CLUSTER, "addresses": [*addresses]}
            status = self._api(token, "POST", "/clusters", new)
            if status != 201:
                raise PanelFailed(f"The panel did not take the lab as a cluster (status {status}).")
        source = {"address": prometheus}
        status = self._api(token, "PUT", f"/clusters/{CLUSTER}/metrics/source", source)
        if status != 200:
            raise PanelFailed(f"The panel did not take the lab's Prometheus (status {status}).")

    def issue_token(self) -> str:
        """A token for the panel's API, with the rights of its admin."""
        return self._manage("issue_token", "admin", "--name", "lab", "--days", "1").split()[-1]

    def _manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self._environment,
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def _api(self, token: str, method: str, path: str, body: object = None) -> int:
        request = urllib.request.Request(  # noqa: S310 - the panel's own address
            f"{self.url}/api/v1{path}", method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            return answer.code

    def stop(self) -> None:
        supervisor = self._supervisor()
        if supervisor is not None:
            supervisor.signal(signal.SIGTERM)
            wait_until(lambda: not supervisor.alive(), "the panel stops", 60)
