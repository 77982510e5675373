"""A bare WebSocket server: it sends what is posted to it to everybody. The baseline of viewers."""

import asyncio
from typing import Any

_sockets: set[Any] = set()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _socket(receive, send)
    elif scope["type"] == "http":
        await _send_to_all(receive, send)


async def _socket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    _sockets.add(send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    _sockets.discard(send)


async def _send_to_all(receive: Any, send: Any) -> None:
    text, more = b"", True
    while more:
        message = await receive()
        text += message.get("body", b"")
        more = message.get("more_body", False)
    frame = {"type": "websocket.send", "text": text.decode()}
    await asyncio.gather(*(each(frame) for each in list(_sockets)))
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
