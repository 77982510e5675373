"""Brings the panel up in order, watches over it, and takes it down in order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from controlpanel.supervisor import records
from controlpanel.supervisor.address import Address
from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.logs import ProcessLog, say
from controlpanel.supervisor.plan import Plan, panel_programs
from controlpanel.supervisor.processes import Program, SupervisedProcess
from controlpanel.supervisor.readiness import page_answers, wait_until
from controlpanel.supervisor.state import StateDirectory
from controlpanel.supervisor.timings import Timings

STOP_ORDER = ("web", "worker", "beat", "watcher", "simulator", "broker", "postgres")
MIGRATIONS_TIMEOUT = 600  # seconds
IMPATIENT = 1.0  # seconds after which a second Ctrl-C means "now"


@dataclass
class Supervisor:
    """The processes of one state directory."""

    state: StateDirectory
    address: Address
    plan: Plan
    timings: Timings
    processes: dict[str, SupervisedProcess] = field(default_factory=dict)

    async def run(self) -> None:
        """Start everything, wait for a signal to stop, and stop everything, whatever happens.

        Raises CannotStart if a part does not come up.
        """
        stop = _on_signals(self._hurry)
        starting = asyncio.create_task(self._start())
        waiting = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await waiting
        finally:
            starting.cancel()
            waiting.cancel()
            await asyncio.wait([starting])
            await self._stop()

    async def _start(self) -> None:
        await asyncio.gather(self._start_database(), self._start_broker())
        self._start_simulator()
        with self.timings.part("migrations"):
            sign_in = await self._prepare_database()
        await self._start_panel()
        self._welcome(sign_in)

    async def _start_database(self) -> None:
        if (postgres := self.plan.postgres) is None:
            return
        with self.timings.part("database"):
            await asyncio.to_thread(postgres.prepare)
            process = self._run(postgres.program())
            await wait_until(postgres.ready, by=process)

    async def _start_broker(self) -> None:
        if (broker := self.plan.broker) is None:
            return
        with self.timings.part("broker"):
            process = self._run(broker.program())
            await wait_until(broker.ready, by=process)

    def _start_simulator(self) -> None:
        if self.plan.simulator is not None:
            self._run(self.plan.simulator)

    async def _prepare_database(self) -> str | None:
        """Migrate and make the first admin; return the path of the one-time sign-in link."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "manage.py", "prepare_database",
            env={**os.environ, **self.plan.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), MIGRATIONS_TIMEOUT)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            raise
        if process.returncode != 0:
            raise CannotStart(f"The database could not be brought up to date:\n{err.decode()}")
        answer: dict[str, str | None] = json.loads(out)
        return answer["sign_in"]

    async def _start_panel(self) -> None:
        at = self.address
        programs = panel_programs(at.host, at.port, self.state, self.plan.environment)
        with self.timings.part("processes"):
            # Those that a page shows the work of come first: a small machine is busy until then.
            for program in programs[:2]:
                self._run(program)
            web = self.processes["web"]
            await wait_until(self._page("/readyz"), by=web)
        with self.timings.part("first page"):
            await wait_until(self._page("/"), by=web, timeout=30.0, pause=1.0)
        for program in programs[2:]:
            self._run(program)

    def _page(self, path: str) -> Callable[[], bool]:
        return lambda: page_answers(self.address.url + path, self.address.host_header)

    def _run(self, program: Program) -> SupervisedProcess:
        log = ProcessLog(self.state.logs, program.name)
        process = SupervisedProcess(program, log, self._save_records)
        self.processes[program.name] = process
        process.start()
        return process

    def _save_records(self) -> None:
        running = [process.record() for process in self.processes.values()]
        found = [record for record in running if record is not None]
        try:
            records.save(self.state.process_records, found)
        except OSError as failure:  # a full disk: they are the second net only
            say(f"supervisor: {self.state.process_records} cannot be written: {failure.strerror}")

    def _welcome(self, sign_in: str | None) -> None:
        say("\nHow long each part took:")
        for line in self.timings.table():
            say(line)
        if self.plan.simulator is not None:
            say("\nNo Docker engine answers here, so the panel shows a simulated Swarm.")
        if sign_in is not None:
            say(f"\nSign in for the first time, once and soon:\n  {self.address.url}{sign_in}")
        elif os.environ.get("PILOTHOUSE_ADMIN_PASSWORD"):
            say("\nSign in as admin with the password in PILOTHOUSE_ADMIN_PASSWORD.")
        say(f"\nLogs: {self.state.logs}. Stop with Ctrl-C.")
        say(f"Pilothouse runs at {self.address.url}")

    async def _stop(self) -> None:
        say("\nStopping …")
        for name in STOP_ORDER:
            if name in self.processes:
                await self.processes[name].stop()
        self.state.process_records.unlink(missing_ok=True)
        say("Stopped.")

    def _hurry(self) -> None:
        for process in self.processes.values():
            process.kill()


def _on_signals(hurry: Callable[[], None]) -> asyncio.Event:
    """Set the event at Ctrl-C, SIGTERM or a closed terminal; a second Ctrl-C calls `hurry`."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    asked: list[float] = []

    def ask() -> None:
        stop.set()
        if asked and loop.time() - asked[0] > IMPATIENT:
            hurry()
        asked.append(loop.time())

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask)
    return stop
