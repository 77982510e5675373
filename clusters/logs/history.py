"""The past of a log, within a bounded time. No framework here."""

import asyncio
import contextlib
from collections.abc import Sequence
from operator import attrgetter

from clusters.logs.lines import Batch, Line, Notice, Source, cancel, choose, line_of, named
from clusters.ports import EngineError, EngineStreams, ObjectMissing

ANSWER_SECONDS = 5.0

Reader = asyncio.Task[None]


async def history(
    streams: EngineStreams,
    sources: Sequence[Source],
    *,
    tail: int,
    since: float,
    wait: float = ANSWER_SECONDS,
) -> Batch:
    """The newest `tail` lines of all tasks together, since a UNIX time (0: ever).

    Takes at most `wait` seconds; of a task that is not through by then, what it said so far.
    Raises EngineError when no task's log could be opened at all.
    """
    chosen, notices = choose(sources)
    found: dict[str, list[Line]] = {source.task_id: [] for source in chosen}
    readers = {
        asyncio.create_task(_read(streams, source, found[source.task_id], tail, since)): source
        for source in chosen
    }
    if readers:
        _, late = await asyncio.wait(readers, timeout=wait)
        await cancel(late)
        notices += _what_went_wrong(readers, late, wait)
    lines = sorted((line for lines in found.values() for line in lines), key=attrgetter("at"))
    return Batch(lines[-tail:], notices)


async def _read(
    streams: EngineStreams, source: Source, found: list[Line], tail: int, since: float
) -> None:
    log = streams.task_log(source.task_id, tty=source.tty, tail=tail, since=since, follow=False)
    async with contextlib.aclosing(log):  # type: ignore[type-var]
        async for raw in log:
            found += [line_of(source, raw)]  # kept one by one: the time may be up at any moment


def _what_went_wrong(readers: dict[Reader, Source], late: set[Reader], wait: float) -> list[Notice]:
    """A notice for each task that was late or failed; raises a failure that is everybody's."""
    notices, failures = [], []
    for reader, source in readers.items():
        error = None if reader in late else reader.exception()
        if reader in late:
            text = f"{named(source.node)} did not answer for {source.task} within {wait:g} s."
            notices.append(Notice(text, source.task, source.node))
        elif isinstance(error, EngineError):
            failures.append(error)
            notices.append(Notice(str(error), source.task, source.node))
        elif error:
            raise error
    real = [error for error in failures if not isinstance(error, ObjectMissing)]
    if real and len(failures) == len(readers):
        raise real[0]
    return notices
