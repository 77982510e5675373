"""The lab's own programs, started on a free port and asked as the real ones would be."""

import hashlib
import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.image import jaeger, metrics, rabbitmq, redis_cluster
from lab.image.load import Load
from lab.image.metrics import Histogram, Metric
from lab.image.ollama import Ollama
from lab.image.qdrant import Qdrant, fill
from lab.image.qdrant_store import Store
from lab.image.redis_cluster import Node
from lab.image.web import Application, listen

SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+')
BOUNDARY = "a-boundary"


class Asked:
    def __init__(self, port: int) -> None:
        self._port = port

    def raw(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, text = self.raw(method, path, json.dumps(body).encode() if body else None)
        return status, json.loads(text)


@contextmanager
def served(application: Application) -> Iterator[Asked]:
    server = listen(application, 0, "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Asked(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[Asked]:
    store = Store(tmp_path)
    fill(store, "documents:4:25", lambda: 0.5)
    with served(Qdrant(store)) as ask:
        yield ask


def upload(ask: Asked, path: str, content: bytes) -> tuple[int, bytes]:
    head = 'Content-Disposition: form-data; name="snapshot"; filename="a.snapshot"'
    kind = "Content-Type: application/octet-stream"
    start = f"--{BOUNDARY}\r\n{head}\r\n{kind}\r\n\r\n".encode()
    body = start + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return ask.raw("POST", path, body, f"multipart/form-data; boundary={BOUNDARY}")


class TestQdrant:
    def test_it_says_who_it_is_and_that_it_is_ready(self, qdrant: Asked) -> None:
        status, about = qdrant("GET", "/")
        assert (status, about["title"]) == (200, "qdrant - vector search engine")
        assert qdrant.raw("GET", "/healthz") == (200, b"healthz check passed")
        assert qdrant.raw("GET", "/readyz") == (200, b"all shards are ready")

    def test_collections_are_listed_and_described(self, qdrant: Asked) -> None:
        listed = qdrant("GET", "/collections")[1]
        assert listed["result"] == {"collections": [{"name": "documents"}]}
        assert listed["status"] == "ok"
        described = qdrant("GET", "/collections/documents")[1]["result"]
        assert (described["status"], described["points_count"]) == ("green", 25)
        assert described["config"]["params"]["vectors"] == {"size": 4, "distance": "Cosine"}

    def test_a_collection_that_is_not_there_is_told_as_qdrant_does(self, qdrant: Asked) -> None:
        status, answer = qdrant("GET", "/collections/nothing")
        assert status == 404
        assert answer["status"]["error"] == "Not found: Collection `nothing` doesn't exist!"

    def test_points_are_put_counted_and_read_page_by_page(self, qdrant: Asked) -> None:
        new = {"id": "z-1", "vector": [1, 2, 3, 4], "payload": {}}
        assert qdrant("PUT", "/collections/documents/points", {"points": [new]})[0] == 200
        counted = qdrant("POST", "/collections/documents/points/count", {"exact": True})[1]
        assert counted["result"]["count"] == 26
        seen, offset = [], None
        while True:
            asked = {"limit": 10, **({"offset": offset} if offset is not None else {})}
            page = qdrant("POST", "/collections/documents/points/scroll", asked)[1]["result"]
            seen += [point["id"] for point in page["points"]]
            offset = page["next_page_offset"]
            if offset is None:
                break
        assert len(seen) == len(set(seen)) == 26

    def test_a_snapshot_is_made_listed_downloaded_and_recovered_from(self, qdrant: Asked) -> None:
        made = qdrant("POST", "/collections/documents/snapshots")[1]["result"]
        assert qdrant("GET", "/collections/documents/snapshots")[1]["result"] == [made]
        status, content = qdrant.raw("GET", f"/collections/documents/snapshots/{made['name']}")
        assert status == 200
        assert len(content) == made["size"]
        assert hashlib.sha256(content).hexdigest() == made["checksum"]
        qdrant("DELETE", "/collections/documents")
        path = "/collections/copy/snapshots/upload?priority=snapshot"
        assert upload(qdrant, f"{path}&checksum={made['checksum']}", content)[0] == 200
        assert qdrant("GET", "/collections/copy")[1]["result"]["points_count"] == 25

    def test_a_flipped_bit_or_a_truncation_changes_nothing(self, qdrant: Asked) -> None:
        made = qdrant("POST", "/collections/documents/snapshots")[1]["result"]
        _, content = qdrant.raw("GET", f"/collections/documents/snapshots/{made['name']}")
        path = "/collections/documents/snapshots/upload"
        flipped = bytes([content[0] ^ 1]) + content[1:]
        assert upload(qdrant, f"{path}?checksum={made['checksum']}", flipped)[0] == 400
        assert upload(qdrant, path, content[:600])[0] == 400
        assert qdrant("GET", "/collections/documents")[1]["result"]["points_count"] == 25

    def test_no_name_leads_out_of_its_directory(self, qdrant: Asked) -> None:
        assert qdrant("GET", "/collections/%2e%2e%2f%2e%2e")[0] == 404
        assert qdrant("GET", "/collections/documents/snapshots/..%2f..%2fpoints.json")[0] == 404

    def test_it_keeps_its_data(self, tmp_path: Path) -> None:
        fill(Store(tmp_path), "kept:2:3", lambda: 0.1)
        assert len(Store(tmp_path).points("kept")) == 3


def test_ollama_lists_its_models_and_what_it_has_loaded(tmp_path: Path) -> None:
    ollama = Ollama(tmp_path)
    ollama.prepare()
    with served(ollama) as ask:
        assert ask.raw("GET", "/") == (200, b"Ollama is running")
        assert "version" in ask("GET", "/api/version")[1]
        name = ask("GET", "/api/tags")[1]["models"][0]["name"]
        assert ask("GET", "/api/ps")[1] == {"models": []}
        assert ask("POST", "/api/generate", {"model": name, "prompt": "?"})[1]["done"] is True
        assert [model["name"] for model in ask("GET", "/api/ps")[1]["models"]] == [name]
        assert ask("POST", "/api/generate", {"model": "none"})[0] == 404


def span(trace: str, id_: str, parent: str | None = None, **facts: Any) -> dict[str, Any]:
    common = {"name": "GET /chat", "kind": "SERVER", "timestamp": 1_000_000, "duration": 5000}
    link = {"parentId": parent} if parent else {}
    return {"traceId": trace, "id": id_, **common, "localEndpoint": {"serviceName": "ai-agent"},
            **link, **facts}  # fmt: skip


def test_jaeger_takes_zipkins_spans_and_answers_as_its_query_service() -> None:
    traces = jaeger.Traces()
    with served(jaeger.Collector(traces)) as collect, served(jaeger.Query(traces)) as ask:
        spans = [span("aa", "1"), span("aa", "2", parent="1", name="generate"), span("bb", "3")]
        assert collect.raw("POST", "/api/v2/spans", json.dumps(spans).encode())[0] == 202
        assert ask("GET", "/api/services")[1]["data"] == ["ai-agent"]
        operations = ask("GET", "/api/services/ai-agent/operations")[1]
        assert operations["data"] == ["GET /chat", "generate"]
        newest, older = ask("GET", "/api/traces?service=ai-agent")[1]["data"]
        assert (newest["traceID"], older["traceID"]) == ("bb", "aa")
        assert older["processes"]["p1"]["serviceName"] == "ai-agent"
        child = next(found for found in older["spans"] if found["spanID"] == "2")
        assert child["references"][0] == {"refType": "CHILD_OF", "traceID": "aa", "spanID": "1"}
        assert ask("GET", "/api/traces/aa")[1]["data"] == [older]


def test_jaeger_wants_a_service() -> None:
    with served(jaeger.Query(jaeger.Traces())) as ask:
        status, answer = ask("GET", "/api/traces")
    assert (status, answer["data"]) == (400, None)
    assert answer["errors"] == [{"code": 400, "msg": "parameter 'service' is required"}]


def test_metrics_are_prometheus_text_whatever_is_in_a_label() -> None:
    counter, histogram = Metric("things_total", "Things."), Histogram("things_seconds", "Time.")
    counter.add(3, name="a \\ name\nin two lines")
    histogram.observe(0.2, handler="/")
    histogram.observe(99, handler="/")
    for line in metrics.render((counter, histogram)).splitlines():
        assert SAMPLE.fullmatch(line), line


def test_a_quote_in_a_label_is_escaped() -> None:
    counter = Metric("things_total", "Things.")
    counter.add(1, name='"')
    assert metrics.render((counter,)).splitlines()[-1] == 'things_total{name="\\""} 1'


def test_a_histogram_counts_upwards_to_all() -> None:
    histogram = Histogram("t", "T.", buckets=(0.1, 1))
    for seconds in (0.05, 0.5, 5):
        histogram.observe(seconds)
    values = [value for _, _, value in histogram.samples()]
    assert values == [1, 2, 3, 5.55, 3]


def test_a_load_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no load named speed"):
        Load().set({"speed": "9"})
    assert Load().set({"latency": "0.5"})["latency"] == 0.5


def node(id_: str, address: str, *slots: str, flags: str = "master", primary: str = "-") -> Node:
    line = f"{id_} {address}:6379@16379 {flags} {primary} 0 0 1 connected {' '.join(slots)}"
    return Node.parse(line)


class TestRedisCluster:
    @pytest.fixture(autouse=True)
    def is_a_master(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_ROLE", "master")

    def test_the_shares_are_all_slots_once(self) -> None:
        shares = [redis_cluster.share(shard, 3) for shard in (1, 2, 3)]
        slots = [slot for first, last in shares for slot in range(first, last + 1)]
        assert slots == list(range(16384))

    def test_a_master_takes_its_share_if_nobody_has_it(self) -> None:
        own, other = node("a", "10.0.0.1", flags="myself,master"), node("b", "10.0.0.2")
        command = redis_cluster.duty(own, [own, other], "10.0.0.2", (0, 99))
        assert command == ["CLUSTER", "ADDSLOTSRANGE", "0", "99"]

    def test_a_slave_takes_no_slots(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_ROLE", "slave")
        own, other = node("a", "10.0.0.2", flags="myself,master"), node("b", "10.0.0.1")
        assert redis_cluster.duty(own, [own, other], "10.0.0.1", (0, 99)) == []

    def test_who_holds_nothing_becomes_the_replica_of_a_partner_that_does(self) -> None:
        own, other = node("a", "10.0.0.1"), node("b", "10.0.0.2", "0-99")
        command = redis_cluster.duty(own, [own, other], "10.0.0.2", (0, 99))
        assert command == ["CLUSTER", "REPLICATE", "b"]

    def test_what_a_lost_node_still_holds_is_not_taken(self) -> None:
        own, lost = node("a", "10.0.0.1"), node("b", "10.0.0.9", "50-60", flags="master,fail")
        assert redis_cluster.duty(own, [own, lost], None, (0, 99)) == []

    def test_who_has_a_part_keeps_it(self) -> None:
        replica = node("a", "10.0.0.1", flags="myself,slave", primary="b")
        holder = node("b", "10.0.0.2", "0-99")
        assert redis_cluster.duty(replica, [replica, holder], "10.0.0.2", (0, 99)) == []

    def test_a_peer_with_a_new_address_is_met_again(self) -> None:
        nodes = [node("a", "10.0.0.1", flags="myself,master"), node("b", "10.0.0.9")]
        assert redis_cluster.strangers({"redis-slave-1": "10.0.0.2"}, nodes) == {
            "redis-slave-1": "10.0.0.2"
        }
        assert redis_cluster.strangers({"redis-slave-1": "10.0.0.9"}, nodes) == {}


def test_rabbitmqs_definitions_hold_a_hash_and_no_password() -> None:
    definitions = rabbitmq.definitions("sutazai", "correct horse", mirrored=True)
    assert "correct horse" not in json.dumps(definitions)
    assert definitions["users"][0]["hashing_algorithm"] == "rabbit_password_hashing_sha256"


@pytest.mark.parametrize(("version", "mirrors"), [("3.10.8", True), ("4.0.5", False)])
def test_queues_are_mirrored_where_rabbitmq_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, mirrors: bool
) -> None:
    (tmp_path / f"rabbitmq_server-{version}").mkdir()
    monkeypatch.setattr(rabbitmq, "PROGRAMS", tmp_path)
    assert rabbitmq.mirrors() is mirrors
    policies = rabbitmq.definitions("u", "p", mirrored=mirrors)["policies"]
    assert [policy["definition"]["ha-mode"] for policy in policies] == ["all"] * mirrors
