"""A STAND-IN for Jaeger: its query API over spans that are kept in memory.

Spans come in as the real one takes them from Zipkin's clients (POST /api/v2/spans on :9411) and go
out as its query service answers (on :16686).
"""

import collections
import os
import threading
from collections.abc import Iterable
from typing import Any

from lab.image.web import (
    Application,
    Refused,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    serve,
    wait_for_the_end,
)

QUERY_PORT = int(os.environ.get("PORT", "16686"))
COLLECTOR_PORT = int(os.environ.get("COLLECTOR_PORT", "9411"))
MOST_TRACES = 1000
MOST_BY_DEFAULT = 20
PAGE = "<!doctype html><title>Jaeger UI</title><p>A stand-in for Jaeger's query service."
Span = dict[str, Any]


class Traces:
    """The last traces, by their id."""

    def __init__(self) -> None:
        self._traces: collections.OrderedDict[str, list[Span]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def add(self, spans: Iterable[Span]) -> None:
        with self._lock:
            for span in spans:
                self._traces.setdefault(str(span["traceId"]), []).append(span)
            while len(self._traces) > MOST_TRACES:
                self._traces.popitem(last=False)

    def newest_first(self) -> list[tuple[str, list[Span]]]:
        with self._lock:
            return [(trace, list(spans)) for trace, spans in reversed(self._traces.items())]

    def services(self) -> list[str]:
        return sorted({service(span) for _, spans in self.newest_first() for span in spans})

    def operations(self, name: str) -> list[str]:
        spans = [span for _, spans in self.newest_first() for span in spans]
        return sorted({str(span["name"]) for span in spans if service(span) == name})


class Query(Application):
    def __init__(self, traces: Traces) -> None:
        super().__init__()
        self._traces = traces
        self.route("GET /", lambda request: as_text(PAGE, "text/html; charset=utf-8"))
        self.route("GET /search", lambda request: as_text(PAGE, "text/html; charset=utf-8"))
        self.route("GET /api/services", lambda request: _answer(traces.services()))
        self.route("GET /api/services/{service}/operations", self._operations)
        self.route("GET /api/traces", self._search)
        self.route("GET /api/traces/{trace}", self._one)

    def refuse(self, refused: Refused) -> Response:
        error = {"code": refused.status, "msg": str(refused)}
        empty = {"data": None, "total": 0, "limit": 0, "offset": 0}
        return as_json({**empty, "errors": [error]}, refused.status)

    def _operations(self, request: Request, name: str) -> Response:
        return _answer(self._traces.operations(name))

    def _search(self, request: Request) -> Response:
        if "service" not in request.query:
            raise Refused(400, "parameter 'service' is required")
        found = [t for t in self._traces.newest_first() if _matches(t[1], request.query)]
        limit = int(request.query.get("limit", MOST_BY_DEFAULT))
        return _answer([trace_as_jaeger(*trace) for trace in found[:limit]], total=0)

    def _one(self, request: Request, wanted: str) -> Response:
        for trace, spans in self._traces.newest_first():
            if trace.lstrip("0") == wanted.lstrip("0"):
                return _answer([trace_as_jaeger(trace, spans)], total=0)
        raise Refused(404, "trace not found")


class Collector(Application):
    def __init__(self, traces: Traces) -> None:
        super().__init__()
        self._traces = traces
        self.route("POST /api/v2/spans", self._take)

    def _take(self, request: Request) -> Response:
        self._traces.add(request.json())
        return Response(b"", 202)


def _answer(data: list[Any], total: int | None = None) -> Response:
    number = len(data) if total is None else total
    return as_json({"data": data, "total": number, "limit": 0, "offset": 0, "errors": None})


def _matches(spans: list[Span], query: dict[str, str]) -> bool:
    """Times in microseconds, as the query service takes them."""
    start, end = int(query.get("start", 0)), float(query.get("end", "inf"))
    return any(
        service(span) == query["service"]
        and query.get("operation", span["name"]) == span["name"]
        and start <= span["timestamp"] <= end
        for span in spans
    )


def service(span: Span) -> str:
    return str((span.get("localEndpoint") or {}).get("serviceName", "unknown"))


def trace_as_jaeger(trace: str, spans: list[Span]) -> dict[str, Any]:
    names = sorted({service(span) for span in spans})
    processes = {name: f"p{number}" for number, name in enumerate(names, 1)}
    return {
        "traceID": trace,
        "spans": [_span(trace, span, processes) for span in spans],
        "processes": {key: {"serviceName": name, "tags": []} for name, key in processes.items()},
        "warnings": None,
    }


def _span(trace: str, span: Span, processes: dict[str, str]) -> dict[str, Any]:
    tags = {"span.kind": str(span.get("kind", "")).lower(), **(span.get("tags") or {})}
    parent = {"refType": "CHILD_OF", "traceID": trace, "spanID": span.get("parentId")}
    return {
        "traceID": trace,
        "spanID": span["id"],
        "operationName": span["name"],
        "references": [parent] if span.get("parentId") else [],
        "startTime": span["timestamp"],
        "duration": span["duration"],
        "tags": [{"key": key, "type": "string", "value": value} for key, value in tags.items()],
        "logs": [],
        "processID": processes[service(span)],
        "warnings": None,
    }


def main() -> None:
    end_on_sigterm()
    traces = Traces()
    serve(Collector(traces), COLLECTOR_PORT)
    serve(Query(traces), QUERY_PORT)
    wait_for_the_end()


if __name__ == "__main__":
    main()
