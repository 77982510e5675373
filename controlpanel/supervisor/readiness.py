"""Waiting until something answers."""

import asyncio
import http.client
from collections.abc import Callable
from http import HTTPStatus

from controlpanel.supervisor.failures import CannotStart
from controlpanel.supervisor.processes import SupervisedProcess

LOOK_AGAIN = 0.05  # seconds


async def wait_until(
    question: Callable[[], bool], *, by: SupervisedProcess, timeout: float = 60.0
) -> None:
    """Ask the (blocking) question until it answers True.

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
        await asyncio.sleep(LOOK_AGAIN)


def _failed(process: SupervisedProcess, what: str) -> CannotStart:
    tail = "\n".join(f"  {line}" for line in process.log.tail)
    return CannotStart(
        f"{process.program.name} {what}. The end of its log, {process.log.path}:\n{tail}"
    )


def page_answers(host: str, port: int, path: str, host_header: str) -> bool:
    """Whether `GET path` answers with something other than an error."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host_header})
        return connection.getresponse().status < HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
