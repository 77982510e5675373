"""What the processes say: all of it in a file each, and errors on the terminal as well."""

import asyncio
import logging
import os
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE_BYTES, OLD_FILES = 5 * 2**20, 3
LONGEST_LINE = 2**16  # bytes
TAIL_LINES = 20
MOST_SHOWN, WINDOW = 100, 30.0  # lines of one process on the terminal, in so many seconds

# The first line of an entry: a date (ours, Celery's, PostgreSQL's), uvicorn's "INFO:", Valkey's
# "123:M". A line without one belongs to the entry above it: a traceback, a DETAIL.
ENTRY = re.compile(r"\[?\d{4}-\d\d-\d\d|[A-Z]+: |\d+:[MCS] ")
ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC)\b|^Traceback \(most recent")


def say(line: str) -> None:
    """Print for the person at the terminal, who may be gone: that must stop nothing."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = Path("/dev/null").open("w")  # noqa: SIM115 - for the rest of our life


class _File(RotatingFileHandler):
    """A log file that says once, on the terminal, that it cannot be written."""

    complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        if not self.complained:
            self.complained = True
            say(f"supervisor: {self.baseFilename} cannot be written: {sys.exc_info()[1]}")


class ProcessLog:
    """One process's log: `<folder>/<name>.log`, rotated, with its last lines kept at hand."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.log"
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._name = name
        self._in_error = False
        self._window, self._shown = 0.0, 0
        self._file = _File(self.path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, delay=True)

    def take(self, line: str) -> None:
        self.tail.append(line)
        self._file.handle(logging.makeLogRecord({"msg": line}))
        if self._is_error(line):
            self._show(line)

    def _show(self, line: str) -> None:
        """Put the line on the terminal, unless so many came lately that they would drown it."""
        now = time.monotonic()
        if now - self._window > WINDOW:
            self._window, self._shown = now, 0
        self._shown += 1
        if self._shown <= MOST_SHOWN:
            say(f"{self._name} | {line}")
        elif self._shown == MOST_SHOWN + 1:
            say(f"{self._name} | … more of this in {self.path}")

    def _is_error(self, line: str) -> bool:
        if ENTRY.match(line) or ERROR.match(line):
            self._in_error = bool(ERROR.search(line))
        return self._in_error

    async def follow(self, pipe: int) -> None:
        """Take every line until the pipe's other end is closed; close the pipe."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
        )
        try:
            async for line in _lines(stream):
                self.take(line)
        finally:
            transport.close()

    def close(self) -> None:
        self._file.close()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The stream's lines; one over LONGEST_LINE comes in pieces."""
    rest = b""
    while chunk := await stream.read(LONGEST_LINE):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > LONGEST_LINE:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
