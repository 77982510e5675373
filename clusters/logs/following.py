"""The present of a log: many tasks' streams as one, bounded whatever comes. No framework here."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from clusters.logs.lines import MOST_STREAMS, Batch, Line, Notice, Source, cancel, choose, line_of
from clusters.ports import EngineError, EngineStreams, ObjectMissing

BATCH_SECONDS = 0.05
BATCH_LINES = 500  # a person reads less, and a browser paints no more
FLOOD_LINES = 10_000  # a second, of all tasks together; above it, only the newest are read
QUIET_SECONDS = 0.3  # how long the tasks' pasts must be quiet to be told in one order
SETTLE_SECONDS = 1.5  # but no longer than this
RETRY_SECONDS = 1.0
LAST_WORDS_SECONDS = 10.0  # for what a task said before its end


class Follower:
    """The lines as they come, in batches, each in the order of time.

    `update` says which tasks there are, as often as that may have changed: new ones are joined,
    ended ones are read to their last line. What is not taken in time is dropped, and counted.
    """

    def __init__(self, streams: EngineStreams, *, tail: int, since: float) -> None:
        self._streams = streams
        self._tail, self._since = tail, since
        self._sources: dict[str, Source] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, str] = {}  # task id → `at` of its last line
        self._ended: dict[str, float] = {}  # task id → when we learnt that it had ended
        self._told: set[Notice] = set()
        self._failures: dict[str, str] = {}  # task id → what was last said of it
        self._buffer = _Buffer(tail)
        self._budget = _Budget(FLOOD_LINES)

    def update(self, sources: Sequence[Source]) -> None:
        """The tasks as they are now, in the order of interest."""
        chosen, notices = choose(sources)
        self._tell(notices)
        for source in sources:
            self._note(source)
        self._join([source.task_id for source in chosen if source.task_id not in self._pumps])
        self._end_silent()

    def tell(self, notice: Notice) -> None:
        """Add a notice of the caller's own."""
        self._buffer.add_notice(notice)

    async def batches(self) -> AsyncIterator[Batch]:
        """Endless; the first holds what was there, in one order over all tasks."""
        await self._buffer.settled()
        yield self._buffer.take(first=True)
        while True:
            await self._buffer.filled.wait()
            await asyncio.sleep(BATCH_SECONDS)
            yield self._buffer.take()

    async def close(self) -> None:
        """Cancel every stream."""
        await cancel(self._pumps.values())

    def _tell(self, notices: Iterable[Notice]) -> None:
        """Each notice once, and again if what it says ceased and came back."""
        now = dict.fromkeys(notices)
        for notice in now:
            if notice not in self._told:
                self._buffer.add_notice(notice)
        self._told = set(now)

    def _join(self, task_ids: list[str]) -> None:
        """Read these too, as far as there is room; those that are being read go on."""
        room = MOST_STREAMS - sum(not pump.done() for pump in self._pumps.values())
        for task_id in task_ids[: max(0, room)]:
            self._pumps[task_id] = asyncio.create_task(self._pump(task_id))

    def _note(self, source: Source) -> None:
        """Keep the task's state, and open its stream anew where the old one is of no more use.

        The engine does not end the stream of a task that ended, and that of a node that was away
        may stay silent for ever.
        """
        before = self._sources.get(source.task_id, source)
        self._sources[source.task_id] = source
        if source.ended:
            self._ended.setdefault(source.task_id, time.monotonic())
        if (source.ended and not before.ended) or (source.node_ready and not before.node_ready):
            pump = self._pumps.pop(source.task_id, None)
            if pump:
                pump.cancel()

    def _end_silent(self) -> None:
        """Give up reading the last lines of tasks that ended, if that takes too long."""
        now = time.monotonic()
        for task_id, ended_at in self._ended.items():
            if now - ended_at > LAST_WORDS_SECONDS and task_id in self._pumps:
                self._pumps[task_id].cancel()

    async def _pump(self, task_id: str) -> None:
        """One task's log into the buffer: opened again when it breaks, until the task ends."""
        flooded = False
        while True:
            source = self._sources[task_id]
            try:
                flooded = await self._stream(source, flooded)
            except ObjectMissing:
                return  # Swarm forgot the task, and its log with it
            except EngineError as error:
                flooded = False
                self._tell_failure(source, str(error))
            else:
                self._failures.pop(task_id, None)
                if source.ended and not flooded:
                    return
            await (self._budget.renewed() if flooded else asyncio.sleep(RETRY_SECONDS))

    async def _stream(self, source: Source, flooded: bool) -> bool:
        """Read a stream to its end; True if it was left before, because of a flood.

        A task that is known to have ended is not followed: its log has an end.
        """
        last = self._last.get(source.task_id, "")
        everything = None if last else self._tail
        log = self._streams.task_log(
            source.task_id,
            tty=source.tty,
            tail=BATCH_LINES if flooded else everything,
            since=_seconds(last) if last else self._since,
            follow=not source.ended,
        )
        async with contextlib.aclosing(log):  # type: ignore[type-var]
            async for raw in log:
                if raw.at > last:  # else the engine repeats it after a break
                    self._last[source.task_id] = raw.at
                    self._buffer.add(line_of(source, raw))
                if self._budget.spent():
                    self._buffer.flooded = True
                    return True
        return False

    def _tell_failure(self, source: Source, text: str) -> None:
        if self._failures.get(source.task_id) != text:
            self._failures[source.task_id] = text
            self._buffer.add_notice(Notice(text, source.task, source.node))


class _Buffer:
    """What came in since the last batch: the newest lines, and how many older ones were dropped."""

    def __init__(self, tail: int) -> None:
        self._limit = tail
        self._lines: list[Line] = []
        self._notices: list[Notice] = []
        self._dropped = 0
        self.flooded = False  # lines were left out that nobody counted
        self.filled = asyncio.Event()

    def add(self, line: Line) -> None:
        self._lines.append(line)
        if len(self._lines) > 2 * self._limit:
            self._shrink()
        self.filled.set()

    def add_notice(self, notice: Notice) -> None:
        self._notices.append(notice)
        del self._notices[:-MOST_STREAMS]
        self.filled.set()

    def _shrink(self) -> None:
        self._lines.sort(key=attrgetter("at"))
        surplus = len(self._lines) - self._limit
        if surplus > 0:
            self._dropped += surplus
            del self._lines[:surplus]

    async def settled(self) -> None:
        """Wait until the first rush is over."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = -1
        while time.monotonic() < deadline and (before != len(self._lines) + self._dropped):
            before = len(self._lines) + self._dropped
            await asyncio.sleep(QUIET_SECONDS)

    def take(self, *, first: bool = False) -> Batch:
        """Everything that is there. Of the past nobody asked for more than the newest lines."""
        self._shrink()
        batch = Batch(self._lines, self._notices)
        if self._dropped and not first:
            batch.notices.append(self._left_out())
        self._lines, self._notices = [], []
        self._dropped, self.flooded, self._limit = 0, False, BATCH_LINES
        self.filled.clear()
        return batch

    def _left_out(self) -> Notice:
        least = "More than " if self.flooded else ""
        return Notice(f"{least}{self._dropped:,} lines were left out: they came too fast to show.")


class _Budget:
    """So many lines a second, so that one log's flood cannot take a whole process."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._spent = 0
        self._since = time.monotonic()

    def spent(self) -> bool:
        """Count one more line; whether it was one too many for this second."""
        now = time.monotonic()
        if now - self._since >= 1:
            self._since, self._spent = now, 0
        self._spent += 1
        return self._spent > self._lines

    async def renewed(self) -> None:
        await asyncio.sleep(max(0.0, self._since + 1 - time.monotonic()))


def _seconds(at: str) -> float:
    """The UNIX time of an RFC 3339 time, cut to microseconds: never later than it is."""
    head, _, fraction = at.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6].ljust(6, '0')}+00:00").timestamp()
