"""A STAND-IN for Qdrant: its HTTP API for collections, points and snapshots, without search.

COLLECTIONS="documents:64:2000" makes a collection of 2,000 points in 64 dimensions at first.
"""

import email
import email.policy
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.image import metrics
from lab.image.metrics import Metric
from lab.image.qdrant_store import Damaged, Missing, Store
from lab.image.web import (
    Application,
    Refused,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    log,
    serve,
    wait_for_the_end,
)

PORT = int(os.environ.get("PORT", "6333"))
DATA = Path(os.environ.get("DATA", "/data"))
VERSION = "1.13.4"
PAGE_OF_POINTS = 10


class Qdrant(Application):
    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        about = {"title": "qdrant - vector search engine", "version": VERSION}
        self.route("GET /", lambda request: as_json(about))
        self.route("GET /healthz", lambda request: as_text("healthz check passed"))
        self.route("GET /livez", lambda request: as_text("healthz check passed"))
        self.route("GET /readyz", lambda request: as_text("all shards are ready"))
        self.route("GET /metrics", self._metrics)
        self._add_collections()
        self._add_snapshots()

    def _add_collections(self) -> None:
        one = "/collections/{collection}"
        self.route("GET /collections", self._list)
        self.route(f"GET {one}", self._describe)
        self.route(f"PUT {one}", self._create)
        self.route(f"DELETE {one}", lambda request, name: result(self._store.delete(name)))
        self.route("GET /aliases", lambda request: result({"aliases": []}))
        self.route(f"GET {one}/aliases", lambda request, name: result({"aliases": []}))
        self.route(f"PUT {one}/points", self._upsert)
        self.route(f"POST {one}/points/count", self._count)
        self.route(f"POST {one}/points/scroll", self._scroll)

    def _add_snapshots(self) -> None:
        all_, store = "/collections/{collection}/snapshots", self._store
        one = f"{all_}/{{snapshot}}"
        self.route(f"POST {all_}/upload", self._recover)
        self.route(f"POST {all_}", lambda request, name: result(store.snapshot(name)))
        self.route(f"GET {all_}", lambda request, name: result(store.snapshots(name)))
        self.route(f"GET {one}", self._download)
        self.route(f"DELETE {one}", self._delete_snapshot)

    def answer(self, request: Request) -> Response:
        try:
            return super().answer(request)
        except Missing as error:
            return self.refuse(Refused(404, f"Not found: {error}"))
        except Damaged as error:
            return self.refuse(Refused(400, f"Bad request: {error}"))

    def refuse(self, refused: Refused) -> Response:
        return as_json({"status": {"error": str(refused)}, "time": 0.0}, refused.status)

    def _list(self, request: Request) -> Response:
        return result({"collections": [{"name": name} for name in self._store.names()]})

    def _describe(self, request: Request, name: str) -> Response:
        params, points = self._store.config(name), len(self._store.points(name))
        state = {"status": "green", "optimizer_status": "ok", "segments_count": 1}
        counts = {"indexed_vectors_count": 0, "points_count": points}
        return result({**state, **counts, "config": {"params": params}, "payload_schema": {}})

    def _create(self, request: Request, name: str) -> Response:
        wanted: dict[str, Any] = request.json()
        if "vectors" not in wanted:
            raise Refused(400, "Format error in JSON body: missing field `vectors`")
        if not self._store.create(name, wanted):
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        return result(True)

    def _upsert(self, request: Request, name: str) -> Response:
        self._store.upsert(name, request.json().get("points", []))
        return result({"operation_id": 0, "status": "completed"})

    def _count(self, request: Request, name: str) -> Response:
        return result({"count": len(self._store.points(name))})

    def _scroll(self, request: Request, name: str) -> Response:
        asked = request.json()
        points = sorted(self._store.points(name).values(), key=lambda point: str(point["id"]))
        rest = [p for p in points if str(p["id"]) >= str(asked.get("offset", ""))]
        limit = int(asked.get("limit", PAGE_OF_POINTS))
        following = rest[limit]["id"] if len(rest) > limit else None
        return result({"points": rest[:limit], "next_page_offset": following})

    def _download(self, request: Request, name: str, file: str) -> Response:
        content = self._store.snapshot_content(name, file)
        disposition = {"Content-Disposition": f'attachment; filename="{file}"'}
        return Response(content, kind="application/octet-stream", headers=disposition)

    def _delete_snapshot(self, request: Request, name: str, file: str) -> Response:
        self._store.delete_snapshot(name, file)
        return result(True)

    def _recover(self, request: Request, name: str) -> Response:
        content = uploaded(request, "snapshot")
        self._store.recover(name, content, request.query.get("checksum"))
        return result(True)

    def _metrics(self, request: Request) -> Response:
        info = Metric("app_info", "information about qdrant server", "gauge")
        info.set(1, name="qdrant", version=VERSION)
        names = self._store.names()
        total = Metric("collections_total", "number of collections", "gauge")
        total.set(len(names))
        vectors = Metric("collections_vector_total", "total number of vectors", "gauge")
        vectors.set(sum(len(self._store.points(name)) for name in names))
        return as_text(metrics.render((info, total, vectors)), metrics.KIND)


def result(content: Any) -> Response:
    return as_json({"result": content, "status": "ok", "time": 0.0})


def uploaded(request: Request, name: str) -> bytes:
    """A file's content out of a multipart form."""
    kind = request.headers.get("content-type", "")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    for part in form.iter_parts() if form.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == name:
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    raise Refused(400, f"Multipart error: field `{name}` is missing")


def fill(store: Store, wanted: str, random_number: Callable[[], float]) -> None:
    for entry in wanted.split():
        name, size, count = entry.split(":")
        if store.create(name, {"vectors": {"size": int(size), "distance": "Cosine"}}):
            store.upsert(name, [_point(n, int(size), random_number) for n in range(int(count))])
            log("filled", collection=name, points=int(count))


def _point(number: int, size: int, random_number: Callable[[], float]) -> dict[str, Any]:
    vector = [round(random_number(), 6) for _ in range(size)]
    return {"id": number, "vector": vector, "payload": {"tenant_id": number % 10}}


def main() -> None:
    end_on_sigterm()
    began, store = time.monotonic(), Store(DATA)
    same_everywhere = random.Random(1)  # noqa: S311 - data, not a secret
    fill(store, os.environ.get("COLLECTIONS", ""), same_everywhere.random)
    serve(Qdrant(store), PORT)
    log("ready", seconds=round(time.monotonic() - began, 1))
    wait_for_the_end()


if __name__ == "__main__":
    main()
