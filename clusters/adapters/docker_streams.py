"""The Engine API's endless answers on aiohttp: unlike docker-py's, they can be cancelled."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import aiohttp

from clusters.adapters import checked
from clusters.adapters.ssh import SSHTunnel
from clusters.adapters.tls import TLSFiles
from clusters.ports import (
    Connection,
    EngineError,
    EngineUnreachable,
    LogLine,
    ObjectMissing,
    Raw,
    Refused,
)

LONGEST_LINE = 65_536  # what an endless line has beyond it is left out
_STREAMS = {1: "stdout", 2: "stderr"}
_EVENTS = {"type": ["service", "node", "network", "secret", "config", "container"]}


class DockerStreams:
    """See `ports.EngineStreams`. One per event loop; `await close()` when done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._files = TLSFiles(connection.tls) if connection.tls else None
        self._sessions: dict[str, tuple[aiohttp.ClientSession, str]] = {}
        self._tunnels: dict[str, SSHTunnel] = {}

    async def events(self) -> AsyncIterator[Raw]:
        """See the port. Raises EngineUnreachable when no address answers."""
        async with await self._open("/events", {"filters": json.dumps(_EVENTS)}) as answer:
            with _breaks_in_words():
                async for line in answer.content:
                    if line.strip():
                        yield json.loads(line)

    async def task_log(
        self, task_id: str, *, tty: bool, tail: int | None, since: float, follow: bool
    ) -> AsyncIterator[LogLine]:
        params = {
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "follow": "1" if follow else "0",
            "since": f"{since:f}" if since else "0",
            "tail": "all" if tail is None else str(tail),
        }
        async with await self._open(f"/tasks/{task_id}/logs", params) as answer:
            frames = _raw_lines(answer.content) if tty else _framed_lines(answer.content)
            with _breaks_in_words():
                async for line in frames:
                    yield line

    async def _open(self, path: str, params: dict[str, str]) -> aiohttp.ClientResponse:
        """The first address that answers. Reading from then on has no end and no timeout."""
        last: EngineError = EngineUnreachable("The cluster has no address.")
        for address in self._connection.addresses:
            try:
                return await self._get(address, path, params)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason = str(error) or f"no answer within {self._connection.timeout:g} s"
                last = EngineUnreachable(f"{address} cannot be reached: {reason}")
            except EngineUnreachable as error:
                last = error
        raise last

    async def _get(self, address: str, path: str, params: dict[str, str]) -> aiohttp.ClientResponse:
        session, base = await self._session(address)
        async with asyncio.timeout(self._connection.timeout):
            answer = await session.get(f"{base}{path}", params=params, allow_redirects=False)
        if answer.status in checked.REDIRECTS:
            answer.close()
        checked.refuse_redirect(address, answer.status)
        if answer.status < 400:
            return answer
        async with answer:
            text = await answer.text()
        message = _message(text)
        if answer.status == 404:
            raise ObjectMissing(message)
        if (
            answer.status == 503
            or "does not have a leader" in message
            or "not a swarm manager" in message
        ):
            raise EngineUnreachable(f"{address}: {message}")
        raise Refused(message)

    async def _session(self, address: str) -> tuple[aiohttp.ClientSession, str]:
        if address not in self._sessions:
            connector, base = await self._connector(address)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connection.timeout)
            self._sessions[address] = (
                aiohttp.ClientSession(connector=connector, timeout=timeout),
                base,
            )
        return self._sessions[address]

    async def _connector(self, address: str) -> tuple[aiohttp.BaseConnector, str]:
        if address.startswith("unix://"):
            return aiohttp.UnixConnector(address.removeprefix("unix://")), "http://engine"
        if address.startswith("ssh://"):
            tunnel = self._tunnels.setdefault(
                address, SSHTunnel(address, self._connection.timeout, self._connection.refused)
            )
            return aiohttp.UnixConnector(await asyncio.to_thread(tunnel.socket)), "http://engine"
        refused = self._connection.refused
        checked.check_literal(urlsplit(address).hostname or "", refused)
        resolver = checked.CheckedResolver(refused)
        if self._files:
            connector = aiohttp.TCPConnector(ssl=self._files.context(), resolver=resolver)
            return connector, address.replace("tcp://", "https://", 1)
        connector = aiohttp.TCPConnector(resolver=resolver)
        return connector, address.replace("tcp://", "http://", 1)

    async def close(self) -> None:
        for session, _ in self._sessions.values():
            await session.close()
        for tunnel in self._tunnels.values():
            await asyncio.to_thread(tunnel.close)
        if self._files:
            self._files.close()


@contextlib.contextmanager
def _breaks_in_words() -> Iterator[None]:
    """What aiohttp raises in the middle of an answer, as ours."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        raise EngineUnreachable(f"The connection to the engine broke: {error}") from error


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]


async def _framed_lines(content: aiohttp.StreamReader) -> AsyncIterator[LogLine]:
    """The lines of a multiplexed stream: frames of an 8-byte header (stream, length) and a payload.

    Each frame has a time of its own. A long line comes in several, the last one with its end.
    A stream without such headers is a terminal's: the service's spec may be newer than the task.
    """
    unfinished: dict[str, LogLine] = {}
    while header := await _exactly(content, 8):
        number, padding, length = struct.unpack(">B3sL", header)
        if padding != b"\0\0\0":
            async for line in _raw_lines(content, header):
                yield line
            return
        stream = _STREAMS.get(number, "stdout")
        payload = await _exactly(content, length)
        line = _joined(unfinished.pop(stream, None), _log_line(stream, payload.rstrip(b"\n")))
        if payload.endswith(b"\n"):
            yield line
        else:
            unfinished[stream] = line
    for line in unfinished.values():
        yield line


async def _exactly(content: aiohttp.StreamReader, length: int) -> bytes:
    """So many bytes; none once the stream has ended."""
    try:
        return await content.readexactly(length)
    except asyncio.IncompleteReadError:
        return b""


def _joined(begin: LogLine | None, more: LogLine) -> LogLine:
    """A line and its continuation, which an endless line must not make grow for ever."""
    if begin is None:
        return more
    room = LONGEST_LINE - len(begin.text)
    return LogLine(begin.at, begin.stream, begin.text + more.text[: max(0, room)])


async def _raw_lines(content: aiohttp.StreamReader, begin: bytes = b"") -> AsyncIterator[LogLine]:
    """The lines of a terminal's stream, which has no frames."""
    rest = begin
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _log_line("stdout", line.rstrip(b"\r"))
        rest = rest[:LONGEST_LINE]
    if rest:
        yield _log_line("stdout", rest)


def _log_line(stream: str, line: bytes) -> LogLine:
    at, _, text = line.decode(errors="replace").partition(" ")
    return LogLine(at=at, stream=stream, text=text)
