"""A small HTTP server for the lab's programs: routes, log lines in JSON, a quick end on SIGTERM."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

QUIET = ("/health", "/healthz", "/livez", "/readyz", "/metrics")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in small letters
    body: bytes = b""

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"Bad request: {error}") from error


@dataclass(frozen=True)
class Response:
    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def as_json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content).encode(), status)


def as_text(content: str, kind: str = "text/plain; charset=utf-8") -> Response:
    return Response(content.encode(), kind=kind)


Handle = Callable[..., Response]  # the request, then the parts of the path in the route's braces


class Application:
    """Routes like `GET /collections/{name}`; whoever subclasses it says how errors are worded."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handle]] = []

    def route(self, route: str, handle: Handle) -> None:
        method, _, path = route.partition(" ")
        pattern = re.sub(r"\{\w+\}", "([^/]+)", path)
        self._routes.append((method, re.compile(pattern), handle))

    def answer(self, request: Request) -> Response:
        try:
            handle, parts = self._find(request)
            return handle(request, *parts)
        except Refused as refused:
            return self.refuse(refused)

    def refuse(self, refused: Refused) -> Response:
        return as_json({"error": str(refused)}, refused.status)

    def _find(self, request: Request) -> tuple[Handle, list[str]]:
        for method, pattern, handle in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return handle, [unquote(part) for part in match.groups()]
        raise Refused(404, "page not found")


def log(message: str, **facts: Any) -> None:
    """One line of JSON, as everything in the lab logs."""
    line = {"time": round(time.time(), 3), "host": socket.gethostname(), "message": message}
    print(json.dumps({**line, **facts}), flush=True)


def handler(application: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def _answer(self) -> None:
            response = application.answer(self._request())
            self.send_response(response.status)
            for name, value in _headers(response):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def _request(self) -> Request:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            return Request(
                method="GET" if self.command == "HEAD" else self.command,
                path=address.path,
                query=dict(parse_qsl(address.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
            )

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            path = urlsplit(self.path).path
            if path not in QUIET:
                log("request", method=self.command, path=path, status=int(code))

        def log_message(self, format: str, *arguments: object) -> None:
            log(format % arguments)

    return Handler


def _headers(response: Response) -> Iterator[tuple[str, str]]:
    yield "Content-Type", response.kind
    yield "Content-Length", str(len(response.body))
    yield from response.headers.items()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a stack trace."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            log("a request failed", error=repr(error))


def listen(application: Application, port: int, host: str = "") -> Server:
    return Server((host, port), handler(application))


def serve(application: Application, port: int) -> None:
    """In a thread of its own."""
    server = listen(application, port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log("listening", port=server.server_port)


def end_on_sigterm(last: Callable[[], None] = lambda: None) -> None:
    """Process 1 ignores SIGTERM by default, and Swarm waits out the grace period for it."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        last()
        log("leaving")
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def wait_for_the_end() -> NoReturn:
    while True:
        signal.pause()


def secret(name: str, default: str = "") -> str:
    """A Swarm secret, which is a file; outside a Swarm there may be none."""
    try:
        with open(f"/run/secrets/{name}") as file:
            return file.read().strip()
    except FileNotFoundError:
        return default
