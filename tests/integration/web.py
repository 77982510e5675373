"""A real web process, and the pages that are open in it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from access.models import User
from tests.engines import wait_until
from tests.integration.processes import Processes, environment
from tests.servers.daemon import free_port


@dataclass
class Web:
    """A web process, and the pages that are open in it."""

    port: int
    pid: int = 0
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self, who: User | None, *topics: str, since: int = 0, **options: Any) -> "Viewer":
        return self.open_in(session_of(who) if who else "", *topics, since=since, **options)

    def open_in(self, session: str, *topics: str, since: int = 0, **options: Any) -> "Viewer":
        """As a browser with this session does."""
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"} if session else {}
        options = {"origin": self.origin, **options}
        return self._open(headers, *topics, since=since, **options)

    def open_with(self, token: str, *topics: str, **options: Any) -> "Viewer":
        """As a program does: no cookie, and no origin unless one is given."""
        return self._open({"Authorization": f"Bearer {token}"}, *topics, **options)

    def _open(
        self, headers: dict[str, str], *topics: str, since: int = 0, **options: Any
    ) -> "Viewer":
        query = "&".join([f"since={since}", *(f"topics={topic}" for topic in topics)])
        url = f"ws://127.0.0.1:{self.port}/live/?{query}"
        link = connect(url, additional_headers=headers, close_timeout=0.5, **options)
        return Viewer(self.opened.enter_context(link))


def session_of(who: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(who.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = who.get_session_auth_hash()
    session.save()
    return str(session.session_key)


@dataclass
class Viewer:
    """One open page: what it has been sent so far."""

    socket: ClientConnection
    sequence: int = 0
    html: list[str] = field(default_factory=list)
    reload: bool = False
    behind: list[bool] = field(default_factory=list)

    def read(self, timeout: float = 15) -> None:
        """Take in one frame."""
        header, _, html = str(self.socket.recv(timeout)).partition("\n")
        told = json.loads(header)
        self.sequence = told["sequence"]
        self.reload |= told.get("reload", False)
        self.behind.append(told.get("behind", False))
        if html:
            self.html.append(html)

    def read_until(self, sequence: int) -> "Viewer":
        while self.sequence < sequence:
            self.read()
        return self

    def read_until_behind(self, behind: bool) -> None:
        while self.behind[-1:] != [behind]:
            self.read()

    def count(self, text: str) -> int:
        return sum(html.count(text) for html in self.html)

    def close_code(self) -> int:
        """Read until the server closes; the code it gave."""
        deadline = time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                self.read()
            raise AssertionError("the server does not close the socket")
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


@pytest.fixture(scope="module")
def web_process(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    processes = Processes(tmp_path_factory.mktemp("web"), environment())
    yield started(processes)
    processes.end()


@pytest.fixture
def web(web_process: Web, transactional_db: None) -> Iterator[Web]:
    """A web process that answers, and in which nobody looks at anything."""
    yield web_process
    web_process.opened.close()


def started(processes: Processes) -> Web:
    web = Web(free_port())
    web.pid = processes.web(web.port).pid

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", web.port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_until(answers, "the web process answers", 30)
    return web
