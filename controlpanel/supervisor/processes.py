"""Programs, and the processes that run them: started again when they die, ended in good order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from controlpanel.supervisor.logs import ProcessLog, say
from controlpanel.supervisor.records import Record, start_time

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a dead process is started again
STEADY = 60.0  # seconds after which a process counts as well again
LAST_WORDS = 2.0  # seconds for the output of a process that has ended
CANNOT_BE_STARTED = 127  # the shell's exit status for it
OFTEN = 3  # deaths in a row after which we say that it keeps dying


@dataclass(frozen=True)
class Program:
    """What to run. `grace` is the time in seconds between the polite and the final signal."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 8.0


def pause_before_restart(deaths: int) -> float:
    """Seconds to wait after the nth death in a row: 0.5, 1, 2, … up to 30."""
    return min(FIRST_PAUSE * 2 ** min(deaths - 1, 10), LONGEST_PAUSE)


class SupervisedProcess:
    """A program kept running until `stop`. `changed` is called when its process id changed."""

    def __init__(self, program: Program, log: ProcessLog, changed: Callable[[], None]) -> None:
        self.program = program
        self.log = log
        self.deaths = 0  # in a row
        self._changed = changed
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep_running(), name=self.program.name)

    @property
    def keeps_dying(self) -> bool:
        return self.deaths >= OFTEN

    def record(self) -> Record | None:
        """The running process; None between two."""
        if self._process is None or (started := start_time(self._process.pid)) is None:
            return None
        program = self.program
        return Record(program.name, self._process.pid, started, program.stop_signal)

    async def stop(self) -> None:
        """Ask it to end, make it end after the grace time, and wait until it has."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._signal(self.program.stop_signal)
        _, late = await asyncio.wait([self._keeper], timeout=self.program.grace)
        if late:
            say(f"supervisor: {self.program.name} did not end in {self.program.grace:g} s; killed")
            self._signal(signal.SIGKILL)
        await self._keeper
        self.log.close()

    def kill(self) -> None:
        """End it now; `stop` still has to be awaited."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it ended by itself at this moment
                self._process.send_signal(number)

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            self.deaths = 1 if time.monotonic() - begun > STEADY else self.deaths + 1
            pause = pause_before_restart(self.deaths)
            self._tell_death(status, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_once(self) -> int:
        """Run the program to its end, take in what it says, and return its exit status."""
        output, said = os.pipe()
        try:
            self._process = process = await self._spawn(said)
        except OSError as failure:
            os.close(output)
            self.log.take(f"ERROR: {self.program.command[0]} cannot be started: {failure}")
            return CANNOT_BE_STARTED
        finally:
            os.close(said)
        self._changed()
        if self._stopping.is_set():  # told to stop while the process was being made
            self._signal(self.program.stop_signal)
        reading = asyncio.create_task(self.log.follow(output))
        status = await process.wait()
        _end_group(process.pid)
        await asyncio.wait([reading], timeout=LAST_WORDS)
        reading.cancel()
        self._process = None
        self._changed()
        return status

    async def _spawn(self, output: int) -> asyncio.subprocess.Process:
        # The pipe is ours: asyncio's own would keep `wait` waiting for whoever else holds it.
        # The session is the process's own: Ctrl-C at the terminal reaches the supervisor alone,
        # which then ends the processes in order.
        return await asyncio.create_subprocess_exec(
            *self.program.command,
            env={**os.environ, **self.program.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    def _tell_death(self, status: int, pause: float) -> None:
        name = self.program.name
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        say(f"supervisor: {name} ended ({how}); started again in {pause:g} s")
        if self.keeps_dying:
            say(f"supervisor: {name} keeps dying ({self.deaths} times). Its log: {self.log.path}")


def _end_group(pid: int) -> None:
    """End what the process started itself and left behind, so that its output ends too."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
