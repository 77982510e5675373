"""Linux namespaces that vanish, with all that is inside, when their process 1 dies."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lab.cgroups import Group
from lab.processes import ProcessId, children, name_of
from lab.waiting import wait_until

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
COMMAND_TIMEOUT = 60.0  # seconds


class CommandFailed(Exception):
    """A command inside ended badly; the message holds its own words."""


class Sandbox:
    """Namespaces of these kinds (as `unshare` names them), and a control group.

    Everything that runs inside is a member of the group. What is known of a running sandbox lies
    in its directory, so that another process than the one that started it can go on with it.
    """

    def __init__(self, directory: Path, group: Group, namespaces: Sequence[str]) -> None:
        self.directory = directory
        self.group = group
        self._namespaces = [f"--{kind}" for kind in namespaces if kind != "cgroup"]
        self._rooted = "cgroup" in namespaces
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, tethered: bool = False) -> None:
        """Run the command as process 1, and return when the file `ready` is there.

        `tethered`: all of it ends when the process that called this ends, whatever ended that.
        Else only what has not joined the group yet does: all that a start which was killed left
        behind is then in the group, and ended here, before it can write a `ready` of its own.
        """
        self.kill()
        self.group.create()
        for stale in ("ready", "init"):
            (self.directory / stale).unlink(missing_ok=True)
        unshare = ["unshare", *self._namespaces, "--fork", "--kill-child", "--mount-proc"]
        unshare += ["--propagation", "private", *command]
        untie = [] if tethered else ["setpriv", "--pdeathsig", "clear"]
        member = self.group.rooted if self._rooted else self.group.joined
        with self._log("sandbox.log") as log:
            tied = ["setpriv", "--pdeathsig", "KILL", *member(*untie, *unshare)]
            holder = self._spawn(tied, log)
        self._until_ready(holder)

    def _until_ready(self, holder: subprocess.Popen[bytes]) -> None:
        def ready() -> bool:
            if holder.poll() is not None:
                raise CommandFailed(f"{self.directory.name} did not start: {self._last_words()}")
            return (self.directory / "ready").exists()

        wait_until(ready, f"{self.directory.name} starts ({self.directory}/sandbox.log)", 20)
        (self.directory / "init").write_text(str(children(holder.pid)[0]))

    def _last_words(self) -> str:
        return "\n".join((self.directory / "sandbox.log").read_text().splitlines()[-3:])

    @property
    def init(self) -> int | None:
        """Process 1 as the machine numbers it; None if the sandbox is not running."""
        try:
            pid = int((self.directory / "init").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self.group.holds(pid) else None

    def running(self) -> bool:
        return self.init is not None

    def entering(self, *command: str) -> list[str]:
        """The command line that runs the command inside."""
        if self.init is None:
            raise CommandFailed(f"{self.directory.name} is off")
        enter = ("nsenter", "--target", str(self.init), "--all", "--wd=/")
        return self.group.joined(*enter, *command)

    def run(self, *command: str, input: str | None = None) -> str:
        """What the command says. Raises CommandFailed."""
        done = subprocess.run(
            self.entering(*command), env=ENVIRONMENT, capture_output=True, text=True, check=False,
            input=input, timeout=COMMAND_TIMEOUT,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise CommandFailed(f"{command[0]} on {self.directory.name}: {said}")
        return done.stdout

    def spawn(self, *command: str, log: str, path: str = "") -> subprocess.Popen[bytes]:
        """Start a command inside that goes on; its words go to the log. `path` goes before PATH.

        The answer is the process that waits for it outside.
        """
        with self._log(log) as out:
            return self._spawn(self.entering(*command), out, path)

    def _spawn(self, command: list[str], log: IO[bytes], path: str = "") -> subprocess.Popen[bytes]:
        environment = {**ENVIRONMENT, "PATH": f"{path}{ENVIRONMENT['PATH']}"}
        started = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(started)
        return started

    def _log(self, name: str) -> IO[bytes]:
        return (self.directory / name).open("ab")

    def processes(self, name: str) -> list[ProcessId]:
        """The running programs of this name, but for those in containers.

        One that has died keeps its name until somebody has taken note of its end.
        """
        named = [ProcessId.of(pid) for pid in self.group.own() if name_of(pid) == name]
        return [process for process in named if process.alive()]

    def kill(self) -> None:
        """End every process inside at once, as when a machine loses power."""
        if self.init is not None:
            ProcessId.of(self.init).signal(signal.SIGKILL)
        self.group.kill()
        (self.directory / "init").unlink(missing_ok=True)
        for process in self._started:
            process.kill()  # one that had not joined yet
            process.wait(timeout=10)
        self._started.clear()
