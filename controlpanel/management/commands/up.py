"""`manage.py up`: the whole panel on this machine. `make run` ends in it."""

import asyncio
import json
import os
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlpanel.safety import refuse_unsafe
from controlpanel.supervisor import records
from controlpanel.supervisor.address import Address
from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.lock import only_one
from controlpanel.supervisor.logs import say
from controlpanel.supervisor.plan import make_plan
from controlpanel.supervisor.state import StateDirectory
from controlpanel.supervisor.supervisor import Supervisor
from controlpanel.supervisor.timings import Timings


class Command(BaseCommand):
    help = "Runs the panel, with an embedded database and broker where no URL names others."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe(leave_out=frozenset({"secret-key"}))  # it makes one
        state = StateDirectory(settings.STATE_DIR.resolve())
        try:
            address = _address()
            state.prepare()
            with only_one(state.lock, address.url):
                _run(state, address)
        except CannotStart as failure:
            raise CommandError(str(failure)) from failure


def _address() -> Address:
    port = os.environ.get("PILOTHOUSE_PORT", "8000")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotStart(f"PILOTHOUSE_PORT is {port!r}; it must be a number from 1 to 65535.")
    host = os.environ.get("PILOTHOUSE_HOST", "127.0.0.1")
    return Address(host, int(port), settings.ALLOWED_HOSTS)


def _run(state: StateDirectory, address: Address) -> None:
    for name in records.end_leftovers(state.process_records):
        say(f"supervisor: ended {name}, left over from an earlier run")
    address.refuse_taken_port()
    plan = make_plan(state, os.environ, settings.DOCKER_HOST)
    state.note_environment(plan.environment)
    try:
        asyncio.run(Supervisor(state, address, plan, _timings()).run())
    finally:
        state.environment.unlink(missing_ok=True)


def _timings() -> Timings:
    """Start with the seconds of what ran before us: the environment, and our own imports."""
    before: dict[str, float] = json.loads(os.environ.pop("PILOTHOUSE_SETUP_SECONDS", "{}"))
    begun = float(os.environ.pop("PILOTHOUSE_UP_SINCE", time.time()))
    return Timings(say, {**before, "command": time.time() - begun})
