"""No request's body is read beyond a limit: Django would put all of it on the disk first."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[None]]

WORDS = "This is too large: the panel takes at most {most} in one request. Nothing was done."


def in_words() -> str:
    return WORDS.format(most=f"{settings.LARGEST_BODY / 2**20:g} MB")


class BodyLimit:
    """Answers 413 to a request that says it is too large, or turns out to be."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = next((v for name, v in scope["headers"] if name.lower() == b"content-length"), b"0")
        if not told.isdigit() or int(told) > settings.LARGEST_BODY:
            await _refuse(scope, send)
            return
        read = 0
        answered = False

        async def counted() -> Message:
            nonlocal read, answered
            message = await receive()
            read += len(message.get("body", b""))
            if read <= settings.LARGEST_BODY or answered:
                return message
            answered = True
            await _refuse(scope, send)
            return {"type": "http.disconnect"}  # nobody is there any more for whoever reads

        async def unless_answered(message: Message) -> None:
            if not answered:
                await send(message)

        await self.application(scope, counted, unless_answered)


async def _refuse(scope: Scope, send: Send) -> None:
    """A problem document for programs, a page for people."""
    path = scope["path"]
    if path.startswith("/api/"):
        media_type = "application/problem+json"
        content = json.dumps(
            {
                "type": "about:blank",
                "title": "Content Too Large",
                "status": 413,
                "detail": in_words(),
                "instance": path,
            }
        )
    else:
        media_type = "text/html; charset=utf-8"
        content = render_to_string(
            "errors/plain.html", {"status": 413, "title": "Too large", "message": in_words()}
        )
    headers = [
        (b"content-type", media_type.encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": content.encode()})
