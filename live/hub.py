"""The hub of one web process: one subscription to the bus, fan-out inside the process.

Each change is rendered once per topic and permission class, not once per viewer. A viewer holds the
latest fragment of each element that it has not sent yet, so a slow one is coalesced and never a
queue that grows.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import DatabaseError, close_old_connections, connection

from live import changes
from live.changes import Touched

log = logging.getLogger(__name__)

REVOKED = "pilothouse_revoked"  # the channel on which a user's id asks for a look at their rights
BEAT = 5.0  # seconds between two signs of life on an idle socket
CHECK = 0.5  # seconds between two looks at rights and freshness: what runs out ends within one
AGAIN = 1.0  # seconds before the bus is tried again

Fragments = dict[str, str]  # an element's id → its HTML
Render = Callable[[Any, str, list[Touched] | None], Fragments]  # user, topic, changes (None: all)


@dataclass(eq=False)
class Viewer:
    """One open socket: whose it is, what it shows, and what it has yet to be sent."""

    user: Any
    rights: Hashable  # the permission class: viewers of one class see the same fragments
    topics: frozenset[str]
    session: str = ""
    sequence: int = 0
    closing: int = 0  # a WebSocket close code, once the viewer must go
    reload: bool = False
    behind: bool = False  # the bus or the database is away: what is shown may be old
    caught_up: bool = False  # has what came between its page and its socket
    in_time: bool = False  # the same of what changes without a numbered change
    pending: Fragments = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _told: int = 0  # the sequence of the last frame that was whole

    def put(self, fragments: Fragments) -> None:
        for element, html in fragments.items():
            self.pending.pop(element, None)
            self.pending[element] = html
        if fragments:
            self.wake.set()

    def close(self, code: int) -> None:
        self.closing = code
        self.wake.set()

    def frames(self) -> list[str]:
        """What is to be sent now, the newest of each element; a sign of life if there is nothing.

        A frame is a JSON header line and HTML. Table rows come in a frame of their own: HTML knows
        them only inside a table. The new sequence is told by the last frame alone.
        """
        html, self.pending = self.pending, {}
        rows = [text for text in html.values() if text.lstrip().startswith("<tr")]
        others = [text for text in html.values() if not text.lstrip().startswith("<tr")]
        parts = ["".join(part) for part in (rows, others) if part] or [""]
        last = len(parts) - 1
        frames = [self._frame(part, whole=number == last) for number, part in enumerate(parts)]
        self.reload = False
        return frames

    def _frame(self, html: str, *, whole: bool) -> str:
        if whole:
            self._told = self.sequence
        header: dict[str, Any] = {"sequence": self._told, "reload": self.reload}
        if self.behind:
            header["behind"] = True
        return f"{json.dumps(header)}\n{html}"


@dataclass(frozen=True)
class Hooks:
    """What the hub is told by those who know the product."""

    render: Render
    # The viewers among these whose rights ended (4401) or changed (4403).
    rights: Callable[[list[Viewer]], dict[Viewer, int]]
    # Topics that can change without a numbered change (a picture grows old): their present state.
    clock: Callable[[Iterable[str]], dict[str, Hashable]]


class Hub:
    """Started with the first viewer; lives as long as the process's event loop."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._viewers: set[Viewer] = set()
        self._newcomers: list[Viewer] = []
        self._sequence = 0
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._clock: dict[str, Hashable] = {}
        self._thread = ThreadPoolExecutor(1, "hub")  # one database connection, and one order
        self._tasks: list[asyncio.Task[None]] = []

    def join(self, viewer: Viewer) -> None:
        """Show `viewer` everything that comes after its sequence."""
        if not self._tasks:
            jobs = (self._listen(), self._pump(), self._watch())
            self._tasks = [asyncio.create_task(job) for job in jobs]
        self._viewers.add(viewer)
        self._newcomers.append(viewer)
        self._wake.set()

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    # --- The bus ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Wake the pump for every announced change; after a break, read what was missed."""
        while True:
            try:
                async with await _bus() as bus:
                    await bus.execute(f"LISTEN {changes.CHANNEL}")
                    await bus.execute(f"LISTEN {REVOKED}")
                    self._wake.set()
                    async for note in bus.notifies():
                        (self._look if note.channel == REVOKED else self._wake).set()
            except (psycopg.Error, OSError) as error:
                log.warning("The bus does not answer: %s", error)
            self._all_behind(True)
            await asyncio.sleep(AGAIN)

    def _all_behind(self, behind: bool) -> None:
        for viewer in self._viewers:
            if viewer.behind != behind:
                viewer.behind = behind
                viewer.wake.set()

    # --- From changes to fragments ---------------------------------------------------------------

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            newcomers, self._newcomers = self._newcomers, []
            try:
                await self._bring_up(newcomers)
                await self._deliver()
                self._all_behind(False)
            except (DatabaseError, psycopg.Error) as error:
                log.warning("The database does not answer: %s", error)
                self._newcomers = newcomers + self._newcomers
                self._all_behind(True)
                await asyncio.sleep(AGAIN)
                self._wake.set()

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        def guarded() -> Any:
            close_old_connections()
            try:
                return call(*args)
            except DatabaseError:
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    async def _bring_up(self, newcomers: list[Viewer]) -> None:
        """What newcomers missed between their page and their socket."""
        if not newcomers:
            return
        if not any(v.caught_up for v in self._viewers):  # nothing was delivered before now
            self._sequence = await self._in_thread(changes.current)
        missed: dict[int, list[Touched] | None] = {}
        for viewer in newcomers:
            since = viewer.sequence
            if since < self._sequence:
                if since not in missed:
                    missed[since] = await self._in_thread(changes.since, since)
                await self._show([viewer], missed[since], self._sequence)
            viewer.caught_up = True

    async def _deliver(self) -> None:
        """What changed since the last time; told as delivered only once all of it is."""
        if not self._viewers:
            return
        touched = await self._in_thread(changes.since, self._sequence)
        if touched == []:
            return
        sequence = (
            await self._in_thread(changes.current)
            if touched is None
            else self._sequence + len(touched)
        )
        # One that joined just now has older changes to get first, and these with them.
        await self._show([v for v in self._viewers if v.caught_up], touched, sequence)
        self._sequence = sequence

    async def _show(
        self, viewers: list[Viewer], touched: list[Touched] | None, sequence: int
    ) -> None:
        """Render once per topic and permission class; hand the result to all of them."""
        if touched is None:
            for viewer in viewers:
                viewer.reload, viewer.sequence = True, sequence
                viewer.wake.set()
            return
        classes: dict[tuple[str, Hashable], list[Viewer]] = {}
        for viewer in viewers:
            for topic in viewer.topics:
                classes.setdefault((topic, viewer.rights), []).append(viewer)
        left = {viewer: len(viewer.topics) for viewer in viewers}
        for (topic, _), members in classes.items():
            fragments = await self._rendered(members[0].user, topic, touched)
            for viewer in members:
                left[viewer] -= 1
                if not left[viewer]:  # only now: a frame may have left between two topics
                    viewer.sequence = sequence
                viewer.put(fragments)

    async def _rendered(self, user: Any, topic: str, touched: list[Touched] | None) -> Fragments:
        """A fragment that cannot be rendered must not end the live path of all the others."""
        try:
            html: Fragments = await self._in_thread(self._hooks.render, user, topic, touched)
        except (DatabaseError, psycopg.Error):
            raise
        except Exception:  # noqa: BLE001
            log.exception("The live fragments of %s cannot be rendered", topic)
            return {}
        return html

    # --- What changes without a change ------------------------------------------------------------

    async def _watch(self) -> None:
        """Now and then, or when told: whose rights ended, and whose picture has grown old."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), CHECK)
            self._look.clear()
            if not self._viewers:
                continue
            try:
                await self._close_the_revoked()
                await self._tick()
            except (DatabaseError, psycopg.Error) as error:
                log.debug("The database does not answer: %s", error)

    async def _close_the_revoked(self) -> None:
        ended = await self._in_thread(self._hooks.rights, list(self._viewers))
        for viewer, code in ended.items():
            viewer.close(code)

    async def _tick(self) -> None:
        topics = {topic for viewer in self._viewers for topic in viewer.topics}
        if await self._in_thread(changes.current) != self._sequence:
            self._wake.set()  # an announcement was lost: the bus broke without saying so
        now = await self._in_thread(self._hooks.clock, topics)
        moved = {topic for topic, state in now.items() if self._clock.get(topic, state) != state}
        self._clock = now
        classes: dict[tuple[str, Hashable], list[Viewer]] = {}
        for viewer in self._viewers:
            # A newcomer's page may be older than the state that was looked at last.
            for topic in viewer.topics & (moved if viewer.in_time else now.keys()):
                classes.setdefault((topic, viewer.rights), []).append(viewer)
            viewer.in_time = True
        for (topic, _), members in classes.items():
            fragments = await self._rendered(members[0].user, topic, None)
            for viewer in members:
                viewer.put(fragments)


def announce_revoked(user: int | None) -> None:
    """Let every web process look at once whose sockets must close, when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [REVOKED, str(user or "")])


async def _bus() -> psycopg.AsyncConnection[Any]:
    """A connection of its own, to listen on."""
    settings = connection.get_connection_params()
    settings.pop("cursor_factory", None)
    settings.pop("context", None)
    return await psycopg.AsyncConnection.connect(**settings, autocommit=True)
