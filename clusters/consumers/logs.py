"""Logs of a service or a task over a WebSocket:

    /live/logs/<cluster>/<service>/?task=<id>&tail=200&since=<seconds ago>

Frames are JSON: {"lines": [{"at", "task", "task_id", "node", "stream", "text"}], "notices":
[{"text", "task", "node"}]}. Closes with 4401 when nobody is signed in (any more), 4403 when the
logs may not be seen, 4404 when there is no such service or task (any more), 4400 when the address
makes no sense, 1013 when the panel's database is away.
"""

import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import InterfaceError, OperationalError
from pydantic import ValidationError

from access import noted
from access.authorize import Forbidden
from access.declared import needs
from access.policy import Action
from access.requests import SignedOut, actor_now, actor_of_scope
from clusters.engines import streams_for
from clusters.logs.following import Follower
from clusters.logs.lines import Notice, cancel
from clusters.logs.sources import Picture, look
from clusters.ports import EngineError
from clusters.problems import NotFound
from clusters.schemas.logs import LogFilter

LOOK_SECONDS = 0.5  # between two looks at the rows, and at the rights, which must end within 1 s
LAST_FRAME_SECONDS = 0.5  # for the last lines of a service that vanished
SIGNED_OUT, FORBIDDEN, GONE, SENSELESS, TRY_LATER = 4401, 4403, 4404, 4400, 1013


class Closing(Exception):
    """The stream must end, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@needs(Action.SERVICE_LOGS)
class LogConsumer(AsyncWebsocketConsumer):
    """One viewer's stream. Everything it opened ends with its socket."""

    _stream: asyncio.Task[None] | None = None
    _opened = False  # the trail tells of the stream, not of every look at the rows

    async def connect(self) -> None:
        try:
            actor_of_scope(self.scope)
        except SignedOut:
            await self.close(SIGNED_OUT)  # before accept: the handshake itself is refused
            return
        await self.accept()
        self._stream = asyncio.create_task(self._run())

    async def disconnect(self, code: int) -> None:
        if self._stream:
            self._stream.cancel()
            await asyncio.wait([self._stream])

    async def _run(self) -> None:
        try:
            await self._follow(_asked(self.scope))
        except Closing as closing:
            await self.close(closing.code, closing.reason)

    async def _follow(self, asked: LogFilter) -> None:
        picture = await self._look(asked)
        try:
            streams = streams_for(picture.cluster)
        except EngineError as error:
            raise Closing(TRY_LATER, str(error)) from error
        since = time.time() - asked.since if asked.since else 0.0
        follower = Follower(streams, tail=asked.tail, since=since)
        sender = asyncio.create_task(self._send_batches(follower))
        try:
            await self._keep_looking(follower, asked, picture)
        finally:
            await cancel([sender])
            await follower.close()
            await streams.close()

    async def _send_batches(self, follower: Follower) -> None:
        async for batch in follower.batches():
            try:
                await self.send(json.dumps(batch.as_json(), ensure_ascii=False))
            except OSError:
                return  # the viewer went away; `disconnect` follows

    async def _keep_looking(self, follower: Follower, asked: LogFilter, picture: Picture) -> None:
        stale = ""
        while True:
            follower.update(picture.sources)
            if picture.stale != stale:
                stale = picture.stale
                follower.tell(Notice(stale or "The picture of the cluster is fresh again."))
            await asyncio.sleep(LOOK_SECONDS)
            try:
                picture = await self._look(asked)
            except Closing as closing:
                if closing.code == GONE:
                    await asyncio.sleep(LAST_FRAME_SECONDS)
                raise

    async def _look(self, asked: LogFilter) -> Picture:
        """The tasks as they are now. Raises Closing when the viewer must go."""
        try:
            return await database_sync_to_async(self._look_up)(asked)
        except SignedOut as error:
            raise Closing(SIGNED_OUT, "You are signed out.") from error
        except Forbidden as error:
            code = FORBIDDEN if error.visible else GONE
            raise Closing(code, "You may not see these logs.") from error
        except NotFound as error:
            raise Closing(GONE, _short(str(error))) from error
        except (OperationalError, InterfaceError) as error:
            raise Closing(TRY_LATER, "The panel's database does not answer.") from error

    def _look_up(self, asked: LogFilter) -> Picture:
        where = self.scope["url_route"]["kwargs"]
        actor = actor_now(self.scope)
        try:
            picture = look(actor, where["cluster"], where["service"], asked.task)
        except (Forbidden, NotFound) as refusal:
            actor_now(self.scope)  # or they were disabled just now, and see nothing because of it
            if isinstance(refusal, Forbidden):
                noted.refused(actor, refusal)
            raise
        if not self._opened:
            self._opened = True
            noted.read(actor, Action.SERVICE_LOGS, picture.scope, where["service"])
        return picture


def _asked(scope: dict[str, Any]) -> LogFilter:
    """What the address asks for. Raises Closing."""
    query = parse_qs(scope["query_string"].decode(errors="replace"), keep_blank_values=True)
    try:
        return LogFilter(**{name: values[-1] for name, values in query.items()})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise Closing(SENSELESS, _short(f"{field}: {first['msg']}")) from error


def _short(reason: str) -> str:
    """A close frame has room for 123 bytes."""
    return reason.encode()[:120].decode(errors="ignore")
