"""Somebody with a session, on one kept connection, without a browser's own cost."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT = 30.0  # seconds
KEPT = 3.0  # seconds of silence after which the server may close a kept connection
NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Answer:
    """An answer as it came over the wire. Times are seconds since the request was sent."""

    status: int
    first_byte: float
    complete: float
    content: bytes


class Visitor:
    """`post` sends forms with the token against forged requests, as the pages do."""

    def __init__(self, url: str) -> None:
        self.cookies: dict[str, str] = {}
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
        self._used = 0.0

    def sign_in(self, username: str, password: str) -> "Visitor":
        self.get("/sign-in/")
        self.post("/sign-in/", {"username": username, "password": password})
        self.get("/account/")  # refused to whoever is not signed in
        return self

    def get(self, path: str, headers: Mapping[str, str] = NONE) -> Answer:
        return self._send("GET", path, None, headers)

    def json(self, path: str) -> Any:
        return json.loads(self.get(path).content)

    def post(self, path: str, fields: dict[str, str], headers: Mapping[str, str] = NONE) -> Answer:
        form = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-CSRFToken": self.cookies.get("csrftoken", ""),
        }
        return self._send("POST", path, urlencode(fields), {**form, **headers})

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """Send it; redirects are answers. Raises AssertionError for errors of ours or yours."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        start = time.perf_counter()
        if start - self._used > KEPT:
            self._connection.close()
        self._connection.request(method, path, body, {"Cookie": cookie, **headers})
        response = self._connection.getresponse()
        first = time.perf_counter() - start
        content = response.read()
        self._used = time.perf_counter()
        for line in response.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        if response.status >= 400 or "/sign-in/" in response.headers.get("Location", ""):
            raise AssertionError(f"{method} {path}: {response.status} {content[:2000]!r}")
        return Answer(response.status, first, self._used - start, content)
