"""A relay between a client and a server's Unix socket, to be cut and restored."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any


class Relay:
    """Listens on a Unix socket, or else on a port of the loopback, with TLS if it is given."""

    def __init__(
        self,
        target: Path,
        listen: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._target, self._listen, self._tls = target, listen, tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0

    def __enter__(self) -> "Relay":
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def restore(self) -> None:
        self._run(self._start())

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        self._run(self._stop())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        if self._listen:
            self._listen.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._relay, self._listen)
        else:
            self._server = await asyncio.start_server(
                self._relay, "127.0.0.1", self.port, ssl=self._tls
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._open):
            with contextlib.suppress(AttributeError):  # one with TLS that was closed twice has none
                writer.transport.abort()
        if self._listen:
            self._listen.unlink(missing_ok=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            there, back = await asyncio.open_unix_connection(self._target)
            self._open.add(back)
            await asyncio.gather(_pour(reader, back), _pour(there, writer))
            self._open.discard(back)
        except OSError:
            writer.transport.abort()
        finally:
            self._open.discard(writer)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            return
    writer.close()
