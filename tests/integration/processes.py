"""The panel's own processes (worker, beat, watcher, web) as a production server runs them, beside
the test and on its database; each ended by its number."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection

from controlpanel.supervisor.plan import panel_commands

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """One process of the panel, in a session of its own, with its log in a file."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *command],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def kill(self) -> None:
        """kill -9, with all that it started."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(20)

    def freeze(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def end(self) -> int:
        """SIGTERM, as a supervisor does; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)


class Processes:
    """Starts the panel's processes, all with the same environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self._started: list[Process] = []

    def start(self, *command: str, **environment: str) -> Process:
        log = self.folder / f"{len(self._started)}.log"
        process = Process(command, {**self.environment, **environment}, log)
        self._started.append(process)
        return process

    def worker(self) -> Process:
        return self._panel("worker")

    def beat(self) -> Process:
        return self._panel("beat")

    def watcher(self) -> Process:
        # Whatever engine the machine itself has is none of ours.
        return self._panel("watcher", DOCKER_HOST="unix:///nonexistent.sock")

    def web(self, port: int) -> Process:
        return self._panel("web", port)

    def _panel(self, name: str, port: int = 0, **environment: str) -> Process:
        """One of the panel's four, by the command of `make run`."""
        schedule = self.folder / f"beat-{len(self._started)}"
        arguments = panel_commands("127.0.0.1", port, schedule)[name]
        return self.start(sys.executable, *arguments, **environment)

    def logs(self) -> str:
        return "\n".join(p.log.read_text(errors="replace")[-3000:] for p in self._started)

    def end(self) -> None:
        for process in self._started:
            process.kill()


def environment() -> dict[str, str]:
    """What makes a process part of the panel that the test is part of."""
    return {"DATABASE_URL": database_url(), "PILOTHOUSE_SECRET_KEY": settings.SECRET_KEY}


def database_url() -> str:
    """The URL of the database that pytest-django made beside the one in DATABASE_URL."""
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    name = str(connection.settings_dict["NAME"])
    return f"{server.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
