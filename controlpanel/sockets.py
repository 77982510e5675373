"""Who is let in to a WebSocket: a page of ours with its session, or a program with a token."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack

from access import noted
from access.requests import actor_of_scope
from access.tokens import find_token
from controlpanel.problems import CHALLENGE, MEDIA_TYPE

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
MOST_SOCKETS = 100  # of one person: many tabs, and some programs
TRY_LATER = 1013
REFUSED = "The token is unknown, expired or revoked."


class Sockets:
    """Whoever sends `Authorization` is judged by it alone, as in the API; else by the session.

    `controlpanel.origins` has turned other sites' pages away. A token in the address is no
    credential.
    """

    def __init__(self, inner: App) -> None:
        few = FewEach(inner)
        self._of_program = _bearer(few)
        self._of_page = AuthMiddlewareStack(few)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        by_token = any(name == b"authorization" for name, _ in scope["headers"])
        await (self._of_program if by_token else self._of_page)(scope, receive, send)


class FewEach:
    """So many sockets of one person at a time, in this process.

    Each asks for topics to be rendered, or for logs to be read, while all the others wait.
    """

    def __init__(self, inner: App) -> None:
        self._inner = inner
        self._open: Counter[int] = Counter()  # by person

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        person = getattr(scope.get("user"), "pk", None)
        if person is None:
            await self._inner(scope, receive, send)
        elif self._open[person] >= MOST_SOCKETS:
            await _try_later(receive, send)
        else:
            await self._counted(person, scope, receive, send)

    async def _counted(self, person: int, scope: Scope, receive: Any, send: Any) -> None:
        self._open[person] += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._open[person] -= 1
            self._open += Counter()  # without those who have none left


async def _try_later(receive: Any, send: Any) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})  # a browser learns the code of an accepted one alone
    await send({"type": "websocket.close", "code": TRY_LATER, "reason": "You have too many open."})


def _bearer(inner: App) -> App:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        kind, _, secret = dict(scope["headers"])[b"authorization"].decode("latin-1").partition(" ")
        token = None
        if kind.lower() == "bearer":
            token = await sync_to_async(find_token)(secret.strip())
        if token is None:
            await _refuse(scope, receive, send)
            return
        scope = {**scope, "user": token.user}
        await sync_to_async(noted.token_used)(actor_of_scope(scope))
        await inner(scope, receive, send)

    return app


async def _refuse(scope: Scope, receive: Any, send: Any) -> None:
    """401 in words where the server can say so; else the handshake just fails."""
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4401})
        return
    document = {"type": "urn:pilothouse:problem:signed-out", "title": "Unauthorized"}
    body = json.dumps({**document, "status": 401, "detail": REFUSED, "instance": scope["path"]})
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"www-authenticate", CHALLENGE.encode()),
    ]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body.encode()})
