"""Many open sockets at once, in a thread of this process; what comes over each is counted."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.engines import wait_until

PATIENCE = 120.0  # seconds


class _Counted(ClientConnection):
    """Counts the bytes of the wire, handshake and compression included."""

    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)


@dataclass(eq=False)
class Member:
    """One viewer: the text of its frames since the last look, and the bytes of the wire."""

    connection: _Counted
    frames: list[str] = field(default_factory=list)
    closed: str = ""  # why the server ended it

    def has(self, text: str) -> bool:
        return any(text in frame for frame in self.frames)


class Crowd:
    """`count` sockets at `url`; the headers are taken in turns, as if by so many people."""

    def __init__(
        self,
        url: str,
        count: int,
        headers: Sequence[dict[str, str]] = ({},),
        *,
        at_once: int = 50,
        compression: str | None = "deflate",
    ) -> None:
        self._compression = compression
        self._at_once = at_once  # connections that are opened beside each other
        self.members: list[Member] = []
        self._url, self._count, self._headers = url, count, headers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crowd", daemon=True)
        self._readers: list[asyncio.Task[None]] = []

    def __enter__(self) -> "Crowd":
        self._thread.start()
        self._run(self._open_all())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _open_all(self) -> None:
        gate = asyncio.Semaphore(self._at_once)
        await asyncio.gather(*(self._open(number, gate) for number in range(self._count)))

    async def _open(self, number: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            connection = await connect(
                self._url, additional_headers=self._headers[number % len(self._headers)],
                create_connection=_Counted, ping_interval=None, max_queue=None, max_size=None,
                compression=self._compression,
                open_timeout=PATIENCE, proxy=None,
            )  # fmt: skip
        assert isinstance(connection, _Counted)
        member = Member(connection)
        self.members.append(member)
        self._readers.append(asyncio.create_task(self._read(member)))

    async def _read(self, member: Member) -> None:
        try:
            async for frame in member.connection:
                member.frames.append(str(frame))
        except ConnectionClosed as closed:
            member.closed = str(closed)

    async def _close_all(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*(member.connection.close() for member in self.members))

    def until_all_have(self, text: str) -> None:
        self.until(lambda member: member.has(text), f"all have {text[-40:]}")

    def until(self, holds: Callable[[Member], bool], what: str) -> None:
        """Wait until it holds of every member. Raises AssertionError if one was sent away."""

        def of_all() -> bool:
            assert not self._ends(), self._ends()
            return all(map(holds, self.members))

        wait_until(of_all, what, PATIENCE)

    def sleep(self) -> None:
        """Read nothing any more, as if the machines slept; the sockets stay open."""
        self._loop.call_soon_threadsafe(
            lambda: [member.connection.transport.pause_reading() for member in self.members]
        )

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(
            lambda: [member.connection.transport.resume_reading() for member in self.members]
        )

    def _ends(self) -> set[str]:
        return {member.closed for member in self.members if member.closed}

    def forget(self) -> None:
        """Begin to count anew."""
        for member in self.members:
            member.frames.clear()
            member.connection.received = 0

    @property
    def bytes_each(self) -> float:
        """Of the wire, the mean of all members, since they were last forgotten."""
        return sum(member.connection.received for member in self.members) / len(self.members)
