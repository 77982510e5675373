"""A proxy before an engine's socket that counts the requests and the bytes of their answers."""

import asyncio
import re
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

CHUNK = 1 << 18
REQUEST_LINE = re.compile(rb"^(?:GET|HEAD|POST|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)


@dataclass
class Counted:
    """One request, and how many bytes came back for it, headers included."""

    path: str
    answered: int = 0


class CountingProxy:
    """Forwards from a thread of its own for as long as the block lasts.

    The panel's requests to read have no body and fit one chunk, so a look at each chunk suffices.
    """

    def __init__(self, target: Path) -> None:
        self.requests: list[Counted] = []
        self._target = target
        self._ready = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="ph-proxy-")
        self.socket = Path(self._folder.name) / "docker.sock"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="proxy")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def __enter__(self) -> "CountingProxy":
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._folder.cleanup()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_unix_server(self._serve, str(self.socket))
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_engine, to_engine = await asyncio.open_unix_connection(str(self._target))
        mine: list[Counted] = []
        back = asyncio.create_task(self._pass_back(from_engine, writer, mine))
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                found = [Counted(path.decode()) for path in REQUEST_LINE.findall(chunk)]
                mine += found
                self.requests += found
                to_engine.write(chunk)
                await to_engine.drain()
        to_engine.close()
        await back

    async def _pass_back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: list[Counted]
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                mine[-1].answered += len(chunk)
                writer.write(chunk)
                await writer.drain()
        writer.close()
