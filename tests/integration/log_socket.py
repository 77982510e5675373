"""A viewer's WebSocket of logs, open in a thread of its own while the test does other things."""

import asyncio
import json
import threading
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections

from access.models import User
from clusters.routing import websocket_urlpatterns
from tests.engines import wait_until

PATIENCE = 60.0


class LogSocket:
    """`lines` and `notices` grow as frames come in; `closed` is the close code, 0 before."""

    def __init__(self, user: User | None, cluster: str, service: str, **query: Any) -> None:
        self.session = SessionStore()
        self.session.create()
        self.frames: list[dict[str, Any]] = []
        self.accepted, self.closed = False, 0
        self._scope = {
            "type": "websocket",
            "path": f"/live/logs/{cluster}/{service}/",
            "query_string": urlencode(query).encode(),
            "headers": [],
            "user": user or AnonymousUser(),
            "session": self.session,
        }
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "LogSocket":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the consumer does not end with its socket"

    @property
    def lines(self) -> list[dict[str, str]]:
        return [line for frame in list(self.frames) for line in frame["lines"]]

    @property
    def texts(self) -> list[str]:
        return [line["text"] for line in self.lines]

    @property
    def notices(self) -> list[str]:
        return [n["text"] for frame in list(self.frames) for n in frame["notices"]]

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until a line or a notice holds the text."""

        def said() -> bool:
            return any(text in entry for entry in (*self.texts, *self.notices))

        wait_until(said, f"“{text}” in the log", seconds)

    def wait_closed(self, code: int, seconds: float = 10) -> None:
        wait_until(lambda: bool(self.closed), "the socket is closed", seconds)
        assert self.closed == code

    async def _run(self) -> None:
        socket = ApplicationCommunicator(URLRouter(websocket_urlpatterns), self._scope)
        await socket.send_input({"type": "websocket.connect"})
        try:
            while not self._leaving.is_set() and not self.closed:
                if not socket.output_queue.empty():
                    self._take(await socket.receive_output())
                await asyncio.sleep(0.01)
        finally:
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
            await socket.wait(PATIENCE)
            await database_sync_to_async(connections.close_all)()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            self.accepted = True
        elif message["type"] == "websocket.close":
            self.closed = message["code"]
        else:
            self.frames.append(json.loads(message["text"]))
