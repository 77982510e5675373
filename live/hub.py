"""The hub of one web process: one subscription to the bus, fan-out inside the process.

Each change is rendered once per topic and permission class, not once per viewer, and what comes out
as it was shown last is not shown again.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DatabaseError, connection

from live import changes
from live.changes import Touched
from live.viewers import Batch, Fragments, Kind, Viewer
from telemetry import series

log = logging.getLogger(__name__)

REVOKED = "pilothouse_revoked"  # the channel on which a user's id asks for a look at their rights
BEAT = 4.0  # seconds: who was told nothing between two beats gets a sign of life
CHECK = 0.5  # seconds between two looks at rights and freshness: what runs out ends within one
AGAIN = 0.25  # seconds before the bus is tried again
MOST_SHOWN = 5000  # elements of one class whose last showing is remembered
MOST_MISSED = 1000  # changes: whoever missed more is quicker served by reading the page anew

Render = Callable[[Any, str, list[Touched] | None], Fragments]  # user, topic, changes (None: all)
Class = tuple[str, Hashable]  # a topic, and the rights of those who look at it
Kinds = dict[Kind, list[Viewer]]
LOST = Batch({})  # in place of fragments that could not be rendered


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
        self._kinds: dict[Kind, set[Viewer]] = {}  # of those that have caught up
        self._sequence = 0
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._clock: dict[str, Hashable] = {}
        self._shown: dict[Class, dict[str, tuple[int, int]]] = {}  # element → hash, sequence
        self._thread = ThreadPoolExecutor(1, "hub")  # one database connection, and one order
        self._tasks: list[asyncio.Task[None]] = []
        series.VIEWERS.set_function(lambda: len(self._viewers))
        series.TOPICS.set_function(
            lambda: len({topic for viewer in list(self._viewers) for topic in viewer.topics})
        )

    def join(self, viewer: Viewer) -> None:
        """Show `viewer` everything that comes after its sequence."""
        if not self._tasks:
            jobs = (self._listen(), self._pump(), self._watch(), self._beat())
            self._tasks = [asyncio.create_task(job) for job in jobs]
        self._viewers.add(viewer)
        self._newcomers.append(viewer)
        self._wake.set()

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        if viewer in self._newcomers:
            self._newcomers.remove(viewer)
        alike = self._kinds.get(viewer.kind, set())
        alike.discard(viewer)
        if not alike:
            self._kinds.pop(viewer.kind, None)

    def _admit(self, viewer: Viewer) -> None:
        """It has caught up: what is delivered from now on is delivered to it as well."""
        viewer.caught_up = True
        if viewer in self._viewers:  # or it left in the meantime
            self._kinds.setdefault(viewer.kind, set()).add(viewer)

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
            newcomers = self._some_newcomers()
            try:
                await self._bring_up(newcomers)
                await self._deliver()
                self._all_behind(False)
                if self._newcomers:
                    self._wake.set()
            except (DatabaseError, psycopg.Error) as error:
                log.warning("The database does not answer: %s", error)
                self._newcomers = newcomers + self._newcomers
                self._all_behind(True)
                await asyncio.sleep(AGAIN)
                self._wake.set()
            except Exception:  # noqa: BLE001 - a fault of ours must not end everybody's live path
                log.exception("The live path failed; every page is read anew")
                self._start_anew(newcomers)
                await asyncio.sleep(AGAIN)
                self._wake.set()

    def _start_anew(self, newcomers: list[Viewer]) -> None:
        """Nobody knows what was shown to whom: all of them read their page."""
        self._shown.clear()
        for viewer in newcomers:
            self._admit(viewer)
        self._reload(list(self._viewers), self._sequence)

    def _some_newcomers(self) -> list[Viewer]:
        """Of each person the first, and those that are shown the same.

        Who comes with many different ones at once keeps others waiting for one.
        """
        first: dict[Any, Viewer] = {}
        for viewer in self._newcomers:
            first.setdefault(viewer.person, viewer)
        taken = [v for v in self._newcomers if _alike(v, first[v.person])]
        self._newcomers = [v for v in self._newcomers if not _alike(v, first[v.person])]
        return taken

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        def guarded() -> Any:
            try:  # with the connection of the call before: to ask whether it lives costs a query
                return call(*args)
            except DatabaseError:
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    async def _bring_up(self, newcomers: list[Viewer]) -> None:
        """What newcomers missed between their page and their socket."""
        if not newcomers:
            return
        if not self._kinds:  # nothing was delivered before now
            self._sequence = await self._in_thread(changes.current)
        by_since: dict[int, list[Viewer]] = {}
        for viewer in newcomers:
            by_since.setdefault(viewer.sequence, []).append(viewer)
        for since, viewers in by_since.items():
            if since < self._sequence:
                touched = await self._in_thread(changes.since, since)
                if _too_much(touched) or len(touched or ()) > MOST_MISSED:
                    self._reload(viewers, self._sequence)
                else:
                    await self._show(_by_kind(viewers), touched, self._sequence)
            for viewer in viewers:
                viewer.joined = self._sequence
                self._admit(viewer)

    async def _deliver(self) -> None:
        """What changed since the last time; told as delivered only once all of it is."""
        if not self._viewers:
            return
        touched = await self._in_thread(changes.since, self._sequence)
        if touched == []:
            return
        # One that joined just now has older changes to get first, and these with them.
        kinds = {kind: list(viewers) for kind, viewers in self._kinds.items()}
        sequence = (
            await self._in_thread(changes.current)
            if touched is None
            else self._sequence + len(touched)
        )
        if _too_much(touched):
            self._reload([viewer for alike in kinds.values() for viewer in alike], sequence)
            self._shown.clear()
        else:
            classes = {(topic, rights) for rights, topics in kinds for topic in topics}
            self._shown = {key: self._shown.get(key, {}) for key in classes}
            await self._show(kinds, touched, sequence, news_alone=True)
        self._sequence = sequence

    def _reload(self, viewers: list[Viewer], sequence: int) -> None:
        for viewer in viewers:
            viewer.sequence = viewer.joined = sequence
        _read_anew(viewers)

    async def _show(
        self, kinds: Kinds, touched: list[Touched], sequence: int, *, news_alone: bool = False
    ) -> None:
        """Render once per topic and permission class; hand the result to all of them.

        At once: whatever is rendered meanwhile is newer, and may not come before it.
        """
        left = {kind: len(kind[1]) for kind in kinds}  # topics to come
        for key, alike in _classes(kinds).items():
            user = kinds[alike[0]][0].user
            whole, news, oldest = await self._news(user, key, touched, sequence, news_alone)
            for kind in alike:
                viewers = kinds[kind]
                left[kind] -= 1
                if not left[kind]:  # only now: a frame may have left between two topics
                    for viewer in viewers:
                        viewer.sequence = sequence
                if whole is LOST:  # or they would show what is no more, and say that it is live
                    _read_anew(viewers)
                if whole.fragments:
                    for viewer in viewers:
                        viewer.put(news if viewer.joined < oldest else whole)

    async def _news(
        self, user: Any, key: Class, touched: list[Touched], sequence: int, alone: bool
    ) -> tuple[Batch, Batch, int]:
        """All fragments; what of them is new, if that is asked for; and for who joined before
        which sequence that is enough."""
        whole = await self._rendered(user, key[0], touched)
        if whole is None:
            return LOST, LOST, 0
        known = self._known(key, whole, touched, sequence) if alone else {}
        all_of_it = Batch(whole)
        if not known:
            return all_of_it, all_of_it, 0
        news = {element: html for element, html in whole.items() if element not in known}
        return all_of_it, Batch(news), min(known.values())

    def _known(
        self, key: Class, whole: Fragments, touched: list[Touched], sequence: int
    ) -> dict[str, int]:
        """The elements that are as this class was shown them last, and at which sequence that was.

        Of several commits at once nothing is known: between them an element may have been another,
        and a page may have been read just then.
        """
        shown = self._shown.setdefault(key, {})  # a tick may have dropped it meanwhile
        if len(shown) > MOST_SHOWN:
            shown.clear()
        one_commit = len({t.at for t in touched}) == 1
        known = {}
        for element, html in whole.items():
            digest, last = hash(html), shown.get(element)
            if one_commit and last and last[0] == digest:
                known[element] = last[1]
            shown[element] = digest, sequence
        return known

    async def _rendered(
        self, user: Any, topic: str, touched: list[Touched] | None
    ) -> Fragments | None:
        """A fragment that cannot be rendered must not end the live path of all the others."""
        timer = series.RENDERING.labels(topic.partition(":")[0]).time()
        try:
            with timer:
                html: Fragments = await self._in_thread(self._hooks.render, user, topic, touched)
        except (DatabaseError, psycopg.Error):
            raise
        except Exception:  # noqa: BLE001
            log.exception("The live fragments of %s cannot be rendered", topic)
            return None
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
        classes: dict[Class, list[Viewer]] = {}
        for viewer in self._viewers:
            # A newcomer's page may be older than the state that was looked at last.
            concerned = moved if viewer.in_time else now.keys()
            for topic in viewer.topics if concerned else ():
                if topic in concerned:
                    classes.setdefault((topic, viewer.rights), []).append(viewer)
            viewer.in_time = True
        for key, members in classes.items():
            self._shown.pop(key, None)
            whole = await self._rendered(members[0].user, key[0], None)
            if whole is None:
                _read_anew(members)
            batch = Batch(whole or {})
            for viewer in members:
                viewer.put(batch)

    async def _beat(self) -> None:
        """Signs of life, whether or not the bus and the database answer."""
        while True:
            await asyncio.sleep(BEAT)
            for viewer in self._viewers:
                if not viewer.spoken_to:
                    viewer.wake.set()
                viewer.spoken_to = False


def _by_kind(viewers: Iterable[Viewer]) -> Kinds:
    found: Kinds = {}
    for viewer in viewers:
        found.setdefault(viewer.kind, []).append(viewer)
    return found


def _classes(kinds: Kinds) -> dict[Class, list[Kind]]:
    """Who looks at each; of every page first what it is about, the first of its topics."""
    found: dict[Class, list[Kind]] = {}
    for place in range(max((len(topics) for _, topics in kinds), default=0)):
        for kind in kinds:
            rights, topics = kind
            if place < len(topics):
                found.setdefault((topics[place], rights), []).append(kind)
    return found


def _read_anew(viewers: Iterable[Viewer]) -> None:
    for viewer in viewers:
        viewer.reload = True
        viewer.wake.set()


def _too_much(touched: list[Touched] | None) -> bool:
    """Whether more changed than is worth telling: pages are read anew."""
    return touched is None or any(t.noun == "reset" for t in touched)


def _alike(one: Viewer, other: Viewer) -> bool:
    """Whether both are shown the same, from the same change on."""
    return (one.sequence, one.kind) == (other.sequence, other.kind)


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
