"""The bare `/events` reader: the least that anybody must do to hear of a change."""

import asyncio
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import aiohttp

from tests.engines import wait_for

FILTERS = json.dumps({"type": ["service"], "event": ["update"]})


@dataclass(frozen=True)
class Seen:
    """An update of a service. Times are nanoseconds of the machine's clock."""

    service_id: str
    stamp: int  # the engine's own
    received: int


class BareReader:
    """Reads in a thread of its own for as long as the block lasts."""

    def __init__(self, socket: Path) -> None:
        self.seen: list[Seen] = []
        self._socket = socket
        self._open = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="reader")

    def __enter__(self) -> "BareReader":
        self._thread.start()
        self._open.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._read())
        with suppress(asyncio.CancelledError):
            await self._task

    async def _read(self) -> None:
        connector = aiohttp.UnixConnector(str(self._socket))
        forever = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=forever) as session,
            session.get("http://engine/events", params={"filters": FILTERS}) as answer,
        ):
            self._open.set()
            async for line in answer.content:
                received = time.time_ns()
                event = json.loads(line)
                self.seen.append(Seen(event["Actor"]["ID"], event["timeNano"], received))

    def of(self, service_id: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.service_id == service_id]

    def next_after(self, count: int, service_id: str) -> Seen:
        """The service's first update beyond the `count` that were seen already."""
        return wait_for(lambda: self.of(service_id)[count:], "the engine's event")[0]
