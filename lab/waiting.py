"""Waiting for conditions, never for time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.04


class Timeout(Exception):
    """A condition did not come true before its deadline."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 30.0) -> T:
    """Ask until the answer is neither None nor empty, and hand it back."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {seconds:g} s; last seen {found!r}")
        time.sleep(POLL_SECONDS)
