"""Sends spans to Jaeger in Zipkin's format, which it takes; spans are lost when it is away."""

import http.client
import json
import os
import queue
import secrets
import threading
import time
from typing import Any

from lab.image.web import log

FLUSH_SECONDS = 2.0
MOST_WAITING = 500
Span = dict[str, Any]


class Tracer:
    def __init__(self, service: str) -> None:
        self._service = service
        self._collector = os.environ.get("ZIPKIN_COLLECTOR", "")
        self._waiting: queue.Queue[Span] = queue.Queue(MOST_WAITING)

    def start(self) -> None:
        if self._collector:
            threading.Thread(target=self._send_for_ever, daemon=True).start()

    def trace(self, name: str, started: float, seconds: float, **tags: str) -> None:
        """A request, and below it the model's part of it."""
        trace, root = secrets.token_hex(8), secrets.token_hex(8)
        self._add(self._span(trace, root, name, "SERVER", (started, seconds), tags))
        part = (started, seconds * 0.8)
        model = self._span(trace, secrets.token_hex(8), "generate", "CLIENT", part, {})
        self._add({**model, "parentId": root})

    def _span(
        self,
        trace: str,
        id_: str,
        name: str,
        kind: str,
        when: tuple[float, float],
        tags: dict[str, str],
    ) -> Span:
        return {
            "traceId": trace,
            "id": id_,
            "name": name,
            "kind": kind,
            "timestamp": int(when[0] * 1e6),
            "duration": max(int(when[1] * 1e6), 1),
            "localEndpoint": {"serviceName": self._service},
            "tags": tags,
        }

    def _add(self, span: Span) -> None:
        if self._collector and not self._waiting.full():
            self._waiting.put(span)

    def _send_for_ever(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            spans = [self._waiting.get() for _ in range(self._waiting.qsize())]
            if spans:
                self._send(spans)

    def _send(self, spans: list[Span]) -> None:
        connection = http.client.HTTPConnection(self._collector, timeout=2)
        try:
            connection.request("POST", "/api/v2/spans", json.dumps(spans))
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            log("spans lost", number=len(spans), error=str(error))
        finally:
            connection.close()
