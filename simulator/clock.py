"""Time: wall-clock stamps as Docker writes them, and delays that a speed factor shortens."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

NANOSECONDS = 1_000_000_000


def now() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns()


def rfc3339(nanoseconds: int, fixed: bool = False) -> str:
    """As Go writes a time: UTC, nanoseconds without their trailing zeros unless `fixed`."""
    seconds, fraction = divmod(nanoseconds, NANOSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}" if fixed else f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


class Clock:
    """Delays in simulated seconds: at speed 10 a second passes in a tenth of one."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds / self.speed, callback)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def elapsed_since(self, stamp: int) -> float:
        """Simulated seconds since a stamp of `now`."""
        return (now() - stamp) / NANOSECONDS * self.speed
