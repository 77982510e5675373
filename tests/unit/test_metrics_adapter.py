"""How the adapter asks Prometheus, and what it says when there is no answer."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusters.ports import NOT_ENGINES
from metrics import ports
from metrics.adapters.prometheus import Prometheus
from metrics.ports import Access, MetricsAway, TooMuch, WrongQuery
from tests.servers.certificates import Authority
from tests.servers.daemon import free_port

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)
Reply = Callable[[BaseHTTPRequestHandler], None]


class Fake:
    """Answers every request by `reply`, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[BaseHTTPRequestHandler] = []
        self.reply: Reply = says(vector())
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.asked.append(self)
                fake.reply(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.asked[-1].path).query)


def says(body: Any, status: int = 200, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return reply


def result(kind: str, found: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": found}, **more}


def vector(*values: str) -> dict[str, Any]:
    entries = [{"metric": {"n": str(n)}, "value": [1.5, v]} for n, v in enumerate(values)]
    return result("vector", entries)


def error(kind: str, text: str) -> dict[str, Any]:
    return {"status": "error", "errorType": kind, "error": text}


@pytest.fixture
def fake() -> Iterator[Fake]:
    running = Fake()
    yield running
    running.server.shutdown()
    running.server.server_close()


def asking(fake: Fake, **of: Any) -> Prometheus:
    return Prometheus(Access(fake.url, **{"timeout": 2.0, **of}))


# --- What is sent --------------------------------------------------------------------------------


def test_a_range_is_asked_for_in_whole_seconds_with_a_time_limit(fake: Fake) -> None:
    asking(fake).range('up{a="b"}', START, END, 60)
    assert fake.query() == {
        "query": ['up{a="b"}'], "start": ["1767225600"], "end": ["1767229200"], "step": ["60"],
        "timeout": ["2s"],
    }  # fmt: skip


def test_an_address_may_have_a_path(fake: Fake) -> None:
    Prometheus(Access(f"{fake.url}/prom/", timeout=2)).instant("up")
    assert urlsplit(fake.asked[-1].path).path == "/prom/api/v1/query"


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({}, None),
        ({"token": "t0ken"}, "Bearer t0ken"),
        ({"username": "ada", "password": "sésame"}, "Basic YWRhOnPDqXNhbWU="),
    ],
)
def test_credentials_are_sent_as_they_were_given(
    fake: Fake, given: dict[str, str], header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody else has a say
    asking(fake, **given).instant("up")
    assert fake.asked[-1].headers.get("Authorization") == header


# --- What comes back -----------------------------------------------------------------------------


def test_what_is_no_number_is_none(fake: Fake) -> None:
    fake.reply = says(vector("1.25", "NaN", "+Inf", "-Inf"))
    answer = asking(fake).instant("x")
    assert [series.points for series in answer.series] == [
        ((1.5, 1.25),), ((1.5, None),), ((1.5, None),), ((1.5, None),)
    ]  # fmt: skip
    assert answer.series[0].labels == {"n": "0"}


def test_a_scalar_is_one_series_without_labels(fake: Fake) -> None:
    fake.reply = says(result("scalar", [7, "42"]))
    (series,) = asking(fake).instant("42").series
    assert (series.labels, series.points) == ({}, ((7.0, 42.0),))


def test_two_series_are_not_taken_for_a_scalar(fake: Fake) -> None:
    fake.reply = says(vector("1", "2"))
    assert len(asking(fake).instant("x").series) == 2


def test_warnings_are_kept(fake: Fake) -> None:
    fake.reply = says(result("vector", [], warnings=["one store did not answer"]))
    client = asking(fake)
    assert client.instant("x").warnings == ("one store did not answer",)
    fake.reply = says(vector())
    assert client.instant("x").warnings == ()


# --- What can go wrong ---------------------------------------------------------------------------


def test_a_wrong_query_says_where(fake: Fake) -> None:
    said = 'invalid parameter "query": 1:8: parse error: unexpected right parenthesis'
    fake.reply = says(error("bad_data", said), 400)
    with pytest.raises(WrongQuery, match="unexpected right") as raised:
        asking(fake).instant("sum(up))")
    assert (raised.value.line, raised.value.column) == (1, 8)


def test_a_query_that_cannot_be_carried_out_is_wrong_too(fake: Fake) -> None:
    said = "found duplicate series for the match group"
    fake.reply = says(error("execution", said), 422)
    with pytest.raises(WrongQuery, match="duplicate series") as raised:
        asking(fake).instant("a * b")
    assert raised.value.column == 0


@pytest.mark.parametrize(
    ("kind", "said", "status"),
    [
        ("bad_data", "exceeded maximum resolution of 11,000 points per timeseries.", 400),
        ("execution", "query processing would load too many samples into memory", 422),
        ("timeout", "query timed out in expression evaluation", 503),
    ],
)
def test_too_much_for_prometheus(fake: Fake, kind: str, said: str, status: int) -> None:
    fake.reply = says(error(kind, said), status)
    with pytest.raises(TooMuch, match="shorter range"):
        asking(fake).instant("x")


def test_too_many_points_are_not_even_asked_for(fake: Fake) -> None:
    with pytest.raises(TooMuch, match="longer step"):
        asking(fake).range("x", datetime(2025, 1, 1, tzinfo=UTC), END, 60)
    assert fake.asked == []


def test_too_many_series_and_too_many_bytes(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.adapters.prometheus.MOST_SERIES", 2)
    fake.reply = says(vector("1", "2", "3"))
    with pytest.raises(TooMuch, match="3 series"):
        asking(fake).instant("x")
    bomb = gzip.compress(b" " * (ports.MOST_BYTES + 1))
    fake.reply = says(bomb, Content_Encoding="gzip")
    with pytest.raises(TooMuch, match="larger than 16 MiB"):
        asking(fake).instant("x")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (says(b"no", 401), "refused the panel"),
        (says(b"no", 403), "give a token"),
        (says(b"no", 404), "path missing"),
        (says(b"<html>", 200), "not as Prometheus does"),
        (says(b"", 302, Location="http://127.0.0.1:1/"), "redirect, which is not followed"),
        (says(b"oh", 500), r"failed \(500\)"),
        (says(error("internal", "compaction"), 500), "compaction"),
        (says(b"oh", 502), r"failed \(502\)"),
    ],
)
def test_a_source_that_answers_otherwise_is_away(fake: Fake, reply: Reply, words: str) -> None:
    fake.reply = reply
    with pytest.raises(MetricsAway, match=words) as raised:
        asking(fake).instant("x")
    assert fake.url in str(raised.value)
    assert len(fake.asked) == 1  # nothing is tried again


def test_nobody_listens() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MetricsAway, match="cannot be reached.*refused.*run there"):
        Prometheus(Access(address)).instant("x")


def test_a_silent_and_a_dripping_source_cost_no_more_than_the_timeout(fake: Fake) -> None:
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not stop.wait(0.1):
            try:
                request.wfile.write(b" ")
            except OSError:
                return

    for reply in (lambda _: stop.wait(5), drip):
        fake.reply = reply
        began = time.monotonic()
        with pytest.raises(MetricsAway, match="within 0.5 s"):
            asking(fake, timeout=0.5).instant("x")
        assert time.monotonic() - began < 2
    stop.set()


@pytest.mark.parametrize("address", ["http://169.254.169.254", "http://[::ffff:169.254.169.254]"])
def test_an_address_of_the_surroundings_is_not_connected_to(address: str) -> None:
    with pytest.raises(MetricsAway, match="does not connect to"):
        Prometheus(Access(address, refused=NOT_ENGINES)).instant("x")


def test_a_private_ca_is_trusted_for_its_source_alone(fake: Fake, tmp_path: Any) -> None:
    ours, other = Authority("ours"), Authority("other")
    context = ours.server(tmp_path)
    context.verify_mode = __import__("ssl").CERT_NONE
    fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True)
    address = fake.url.replace("http", "https")
    assert Prometheus(Access(address, ca=ours.pem)).instant("x").series == ()
    for ca in (other.pem, ""):
        with pytest.raises(MetricsAway, match="certificate is not trusted"):
            Prometheus(Access(address, ca=ca)).instant("x")
