"""An engine that hangs: it accepts connections and does not answer."""

import asyncio
import time

from aiohttp import web


class Hang:
    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    async def pass_or_wait(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            await asyncio.sleep(left)


HANG: web.AppKey[Hang] = web.AppKey("hang", Hang)
