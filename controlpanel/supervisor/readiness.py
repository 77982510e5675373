"""Waiting until something answers."""

import asyncio
import http.client
import urllib.request
from collections.abc import Callable

from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.processes import SupervisedProcess

PAGE_TIMEOUT = 10.0  # seconds
WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def wait_until(
    question: Callable[[], bool],
    *,
    by: SupervisedProcess,
    timeout: float = 60.0,
    pause: float = 0.05,
) -> None:
    """Ask the (blocking) question every `pause` seconds until it answers True.

    Raises CannotStart with the last lines of the process's log if it keeps dying, or does not
    get ready within `timeout` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not await asyncio.to_thread(question):
        if by.keeps_dying:
            raise _failed(by, "keeps dying")
        if loop.time() > deadline:
            raise _failed(by, f"was not ready after {timeout:g} s")
        await asyncio.sleep(pause)


def _failed(process: SupervisedProcess, what: str) -> CannotStart:
    tail = "\n".join(f"  {line}" for line in process.log.tail)
    return CannotStart(
        f"{process.program.name} {what}. The end of its log, {process.log.path}:\n{tail}"
    )


def page_answers(url: str, host_header: str) -> bool:
    """Whether `GET url`, redirects followed, answers with a page and not with an error."""
    request = urllib.request.Request(url, headers={"Host": host_header})  # noqa: S310 - http://
    try:
        with WITHOUT_PROXY.open(request, timeout=PAGE_TIMEOUT):
            return True
    except (OSError, http.client.HTTPException):  # an error page is an HTTPError, an OSError
        return False
