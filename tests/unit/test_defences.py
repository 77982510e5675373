"""The web's own defences: headers, origins, sizes, hosts, logs, and settings that are refused."""

import asyncio
import logging
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.checks import run_checks
from django.test import Client

from access.policy import EVERYWHERE, Role
from access.tokens import issue_link, issue_token
from clusters.forms.update import MOST_ROWS, Pairs
from controlpanel import limits, origins, redaction, safety, sockets
from controlpanel.limits import BodyLimit
from tests.unit.panel import MARKS, make_user
from tests.unit.world import (
    HERE,
    PAGES,
    EntryPoint,
    calls,
    hold,
    make_person,
    permission_of,
    signed_in,
    values_of,
    world,
)

pytestmark = MARKS
__all__ = ["calls", "world"]


# --- What a page is made of ----------------------------------------------------------------------


class Inline(HTMLParser):
    """Collects what a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        data = values.get("type") in ("application/json", "application/ld+json")
        if tag == "style" or (tag == "script" and not values.get("src") and not data):
            self.found.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")):
                self.found.append(f"{tag} {name}")
            if (value or "").strip().lower().startswith(("javascript:", "js:")):
                self.found.append(f"{tag} {name}={value}")
            if name in ("src", "href") and re.match(r"(https?:)?//", value or ""):
                self.found.append(f"{tag} {name}={value}")


def inline(page: str) -> list[str]:
    parser = Inline()
    parser.feed(page)
    return parser.found


def test_what_is_inline_is_found() -> None:
    for bad in (
        "<script>1</script>", "<style></style>", "<p onclick=x>", "<p style='a'>",
        "<a href='javascript:x'>", "<p hx-on:click='x'>", "<script src='//cdn.example/x.js'>",
    ):  # fmt: skip
        assert inline(bad), bad
    assert not inline("<script src='/x.js'></script><a href='/a'>a</a>")


@pytest.mark.parametrize("entry", PAGES, ids=str)
def test_a_page_holds_nothing_inline_and_tells_browsers_what_it_never_does(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    address = entry.at(**values_of(entry, HERE, person))
    for browser in (signed_in(person), Client()):
        answer = browser.get(address)
        if not answer.streaming:
            assert inline(answer.content.decode()) == [], address
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        for directive in (
            "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
            "form-action 'self'", "object-src 'none'",
        ):  # fmt: skip
            assert directive in policy, (address, directive)
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]
        assert "no-store" in answer["Cache-Control"], address


def test_cookies_are_for_the_panel_alone(settings: Any) -> None:
    user = make_user(Role.VIEWER)
    user.set_password("correct horse battery")
    user.save()
    fields = {"username": user.username, "password": "correct horse battery"}
    answer = Client().post("/sign-in/", fields)
    cookie = answer.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    form = Client().get("/sign-in/").cookies[settings.CSRF_COOKIE_NAME]
    assert (form["httponly"], form["samesite"]) == (True, "Lax")


# --- Who may open a socket -----------------------------------------------------------------------

OURS = "panel.example.org:8000"


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in values.items()]


@pytest.mark.parametrize(
    ("sent", "let_in"),
    [
        ({"host": OURS, "origin": f"http://{OURS}"}, True),
        ({"host": OURS, "origin": f"https://{OURS}"}, True),
        ({"host": OURS.upper(), "origin": f"http://{OURS}"}, True),
        ({"host": OURS, "origin": "https://proxy.example.org"}, True),  # trusted by a setting
        ({"host": OURS, "origin": "http://panel.example.org"}, False),  # another port
        ({"host": OURS, "origin": "http://panel.example.org:8001"}, False),
        ({"host": OURS, "origin": "http://other.example.org:8000"}, False),  # a sibling
        ({"host": OURS, "origin": "http://example.org:8000"}, False),
        ({"host": OURS, "origin": f"http://{OURS}.evil.example"}, False),
        ({"host": OURS, "origin": f"http://evil.example?{OURS}"}, False),
        ({"host": OURS, "origin": "null"}, False),
        ({"host": OURS, "origin": ""}, False),
        ({"host": OURS, "origin": f"ftp://{OURS}"}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),  # a rebound name
        ({"origin": f"http://{OURS}"}, False),
        ({"host": OURS}, False),
        ({"host": OURS, "authorization": "Bearer x"}, True),  # no browser: judged by its token
        ({"host": OURS, "authorization": "Bearer x", "origin": "http://evil.example"}, False),
    ],
)
def test_only_our_own_pages_open_a_socket(
    sent: dict[str, str], let_in: bool, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["panel.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://proxy.example.org"]
    assert origins.is_from_us(headers(**sent)) is let_in


def test_an_origin_that_is_sent_twice_is_none(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["panel.example.org"]
    sent = headers(host=OURS, origin=f"http://{OURS}")
    assert not origins.is_from_us([*sent, (b"origin", b"http://evil.example")])
    assert not origins.is_from_us([*sent, (b"host", b"evil.example")])


def test_behind_https_a_page_that_came_unencrypted_opens_no_socket(settings: Any) -> None:
    settings.ALLOWED_HOSTS, settings.SESSION_COOKIE_SECURE = ["panel.example.org"], True
    assert not origins.is_from_us(headers(host=OURS, origin=f"http://{OURS}"))
    assert origins.is_from_us(headers(host=OURS, origin=f"https://{OURS}"))


# --- How much a request may send -----------------------------------------------------------------


class Server:
    """Sends a body in chunks to the limit in front of an application that reads all of it."""

    def __init__(self, *chunks: bytes, length: str | None = None, path: str = "/x/") -> None:
        self.chunks, self.sent, self.read = list(chunks), [], 0
        named = [(b"content-length", length.encode())] if length is not None else []
        self.scope = {"type": "http", "path": path, "headers": named}
        asyncio.run(BodyLimit(self.application)(self.scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        body = self.chunks.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self.chunks)}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.read += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    @property
    def status(self) -> int:
        (start,) = [m["status"] for m in self.sent if m["type"] == "http.response.start"]
        return int(start)

    @property
    def text(self) -> str:
        return b"".join(m.get("body", b"") for m in self.sent).decode()


def test_a_body_within_the_limit_passes(settings: Any) -> None:
    settings.LARGEST_BODY = 10
    assert Server(b"12345", b"67890", length="10").status == 200


@pytest.mark.parametrize("length", ["11", "1" * 40, "-1", "x"])
def test_a_body_that_says_it_is_too_large_is_not_read(settings: Any, length: str) -> None:
    settings.LARGEST_BODY = 10
    server = Server(b"12345", length=length)
    assert (server.status, server.read) == (413, 0)
    assert "too large" in server.text


def test_a_body_that_turns_out_too_large_is_read_no_further(settings: Any) -> None:
    settings.LARGEST_BODY = 10
    server = Server(*[b"12345"] * 100, path="/api/v1/x")
    assert server.status == 413
    assert server.read <= 10
    assert len(server.chunks) > 90
    assert '"status": 413' in server.text


def test_a_form_that_is_too_large_is_told_on_a_page(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    for headers in ({}, {"hx-request": "true"}):
        answer = Client().post(
            "/sign-in/", "username=" + "x" * 200, "application/x-www-form-urlencoded",
            headers=headers,
        )  # fmt: skip
        assert answer.status_code == 413
        assert limits.in_words() in answer.content.decode()
        assert ("<html" in answer.content.decode()) is not bool(headers)


# --- Hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil", "a b"]
)
@pytest.mark.parametrize("path", ["/", "/sign-in/", "/healthz", "/api/v1/clusters", "/docs"])
def test_another_host_is_refused(host: str, path: str) -> None:
    answer = Client().get(path, headers={"host": host})
    assert answer.status_code == 400
    assert host not in answer.content.decode()


def test_a_forwarded_host_is_not_believed() -> None:
    answer = Client().get("/", headers={"x-forwarded-host": "evil.example"})
    assert "evil.example" not in answer["Location"]


def test_a_number_in_a_form_makes_no_thousands_of_rows() -> None:
    """A request of some hundred bytes kept the panel busy for ten seconds."""
    for rows in ("100000000", "1001"):
        data = {"env-TOTAL_FORMS": rows, "env-INITIAL_FORMS": "0"}
        form = Pairs(data, prefix="env")
        assert not form.is_valid()
        assert len(form.forms) <= MOST_ROWS < 1000


# --- Sockets -------------------------------------------------------------------------------------


def test_one_person_has_not_every_socket() -> None:
    """Any viewer could open so many, of topics without end, that nobody else was told anything."""
    ada, bob = make_user(), make_user()
    done = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await done.wait()

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def all_of_them() -> None:
        few = sockets.FewEach(inner)
        people = [ada] * sockets.MOST_SOCKETS + [bob, AnonymousUser()]
        opened = [asyncio.create_task(few({"user": who}, receive, send)) for who in people]
        await asyncio.sleep(0)
        assert sent == []
        await few({"user": ada}, receive, send)
        assert [message.get("code") for message in sent] == [None, 1013]
        done.set()
        await asyncio.gather(*opened)
        await few({"user": ada}, receive, send)  # one of them has ended: there is room again
        assert len(sent) == 2

    asyncio.run(all_of_them())


# --- Logs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Forbidden (CSRF cookie not set.): /sign-in/link/AbC-123_x/", "AbC-123_x"),
        ("Authorization: Bearer ph_abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
        ("token ph_abcdefghijklmnopqrst is unknown", "abcdefghijklmnopqrst"),
        ("GET /api/v1/clusters?token=hunter2&page=1", "hunter2"),
        ("GET /?a=1&access_token=hunter2", "hunter2"),
        ("cannot reach amqp://pilothouse:hunter2@broker//", "hunter2"),
        ("postgres://u:hunter2@db/name failed", "hunter2"),
    ],
)
def test_no_secret_stands_in_a_log(line: str, secret: str) -> None:
    try:
        raise ValueError(line)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s", (line,), None)
        traced = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", (), sys.exc_info())
    for entry in (record, traced):
        told = redaction.Formatter("%(message)s").format(entry)
        assert secret not in told
        assert redaction.HIDDEN in told


@pytest.mark.parametrize("line", ["unix:///run/docker.sock", "http://localhost:8000/x", "phase 3"])
def test_what_is_no_secret_stays(line: str) -> None:
    assert redaction.redacted(line) == line


def test_what_an_engine_says_begins_no_line_of_its_own() -> None:
    said = "refused\n2026-01-01 WARNING access.tasks audit heads: {}\x1b[2J\u2028\x9b\r"
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "It says: %s", (said,), None)
    (line,) = redaction.Formatter("%(message)s").format(record).splitlines()
    assert line.startswith("It says: refused\\n2026-01-01")
    assert line.isprintable()
    try:
        raise ValueError
    except ValueError:
        record.exc_info = sys.exc_info()
    assert len(redaction.Formatter("%(message)s").format(record).splitlines()) > 2


def test_a_refused_sign_in_link_leaves_no_secret_in_the_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = issue_link(make_user(Role.ADMIN))
    handler = logging.StreamHandler()
    handler.setFormatter(redaction.Formatter("%(message)s"))
    with caplog.at_level(logging.INFO):
        Client(enforce_csrf_checks=True).post(f"/sign-in/link/{secret}/")
    told = [handler.format(record) for record in caplog.records]
    assert told
    assert not any(secret in line for line in told)


# --- Settings that are refused -------------------------------------------------------------------

GOOD_KEY = "k3y-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVW"


@pytest.fixture
def production(settings: Any, tmp_path: Path) -> Any:
    settings.HTTPS, settings.DEBUG = True, False
    settings.SECRET_KEY, settings.SECRET_KEY_GIVEN = GOOD_KEY, True
    settings.ALLOWED_HOSTS = ["panel.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://panel.example.org"]
    settings.CELERY_BROKER_URL = "amqp://pilothouse:long-password@broker//"
    settings.DOCKER_HOST = "unix:///var/run/docker.sock"
    settings.STATE_DIR = tmp_path
    settings.ACCEPTED_RISKS = []
    tmp_path.chmod(0o711)
    return settings


def names() -> list[str]:
    return [danger.name for danger in safety.dangers() if danger.fatal]


def test_good_settings_start(production: Any) -> None:
    assert names() == []
    safety.refuse_unsafe()


UNSAFE: list[tuple[str, Any, str]] = [
    ("DEBUG", True, "debug"),
    ("SECRET_KEY_GIVEN", False, "secret-key"),
    ("SECRET_KEY", "short", "secret-key"),
    ("SECRET_KEY", "a" * 60, "secret-key"),
    ("SECRET_KEY", "django-insecure-" + GOOD_KEY, "secret-key"),
    ("SECRET_KEY", "changeme-" + GOOD_KEY, "secret-key"),
    ("ALLOWED_HOSTS", ["*"], "allowed-hosts"),
    ("CSRF_TRUSTED_ORIGINS", ["http://panel.example.org"], "trusted-origins"),
    ("CELERY_BROKER_URL", "redis://redis:6379/0", "broker"),
    ("CELERY_BROKER_URL", "redis://:@redis:6379/0", "broker"),
    ("CELERY_BROKER_URL", "rediss://10.0.0.5/0", "broker"),
    ("CELERY_BROKER_URL", "sentinel://a:26379;sentinel://b:26379", "broker"),
    ("CELERY_BROKER_URL", "amqp://broker//", "broker"),
    ("CELERY_BROKER_URL", "amqp://guest:guest@broker//", "broker"),
    ("CELERY_BROKER_URL", "amqp://u:p@127.0.0.1//;amqp://guest:guest@b//", "broker"),
    ("DOCKER_HOST", "tcp://10.0.0.5:2375", "docker-host"),
    ("DOCKER_HOST", "tcp://engine:2375", "docker-host"),
]


@pytest.mark.parametrize(("setting", "value", "name"), UNSAFE)
def test_an_unsafe_setting_refuses_to_start_and_says_the_way_out(
    production: Any, setting: str, value: Any, name: str
) -> None:
    setattr(production, setting, value)
    assert set(names()) == {name}
    with pytest.raises(SystemExit, match=f"  - {name}: "):
        safety.refuse_unsafe()
    assert any(check.id == f"pilothouse.{name}" and check.hint for check in run_checks(
        tags=["security"], include_deployment_checks=True
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CELERY_BROKER_URL", "redis://localhost:6379/0"),
        ("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"),
        ("CELERY_BROKER_URL", "redis://[::1]:6379/0"),
        ("CELERY_BROKER_URL", "redis+socket:///run/valkey.sock"),
        ("CELERY_BROKER_URL", "redis://:long-password@redis:6379/0"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1//"),
        ("DOCKER_HOST", "tcp://127.0.0.1:2375"),
        ("DOCKER_HOST", "ssh://ops@engine"),
        ("CSRF_TRUSTED_ORIGINS", ["http://localhost:8000"]),
    ],
)
def test_what_stays_on_the_machine_or_has_a_password_starts(
    production: Any, setting: str, value: Any
) -> None:
    setattr(production, setting, value)
    assert names() == []


def test_all_that_is_unsafe_is_said_at_once(production: Any) -> None:
    for setting, value, _ in UNSAFE[:1] + UNSAFE[6:9] + UNSAFE[-1:]:
        setattr(production, setting, value)
    with pytest.raises(SystemExit) as refused:
        safety.refuse_unsafe()
    for name in ("debug", "allowed-hosts", "trusted-origins", "broker", "docker-host"):
        assert f"- {name}: " in str(refused.value)


def test_a_password_is_not_repeated(production: Any) -> None:
    production.CELERY_BROKER_URL = "amqp://guest:guest@broker//;redis://:hunter2@r"
    assert "hunter2" not in str(safety.dangers())


def test_a_state_directory_that_others_read_is_refused(production: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert names() == ["state-directory"]
    tmp_path.chmod(0o711)
    key = tmp_path / "secret-key"
    key.write_text("x")
    key.chmod(0o644)
    assert names() == ["state-directory"]


@pytest.mark.parametrize(
    ("host", "mode", "told"),
    [
        ("db.example.org", None, True),
        ("db.example.org", "prefer", True),
        ("db.example.org", "verify-full", False),
        ("localhost", None, False),
        ("/run/postgresql", None, False),
        ("", None, False),
    ],
)
def test_a_database_elsewhere_without_tls_is_told_and_not_refused(
    host: str, mode: str | None, told: bool
) -> None:
    database = {"HOST": host, "OPTIONS": {"sslmode": mode} if mode else {}}
    found = list(safety.of_the_database(database))
    assert bool(found) is told
    assert not any(danger.fatal for danger in found)


def test_development_needs_no_settings_but_no_open_broker(production: Any) -> None:
    production.HTTPS, production.DEBUG, production.ALLOWED_HOSTS = False, True, ["*"]
    safety.refuse_unsafe()
    production.CELERY_BROKER_URL = "redis://redis:6379/0"
    with pytest.raises(SystemExit, match="broker"):
        safety.refuse_unsafe()


def test_a_risk_can_be_taken_but_not_every_one(production: Any) -> None:
    production.CELERY_BROKER_URL = "redis://redis:6379/0"
    production.ACCEPTED_RISKS = ["broker", "debug"]
    safety.refuse_unsafe()
    production.DEBUG = True
    with pytest.raises(SystemExit, match="debug"):
        safety.refuse_unsafe()


def test_every_danger_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    for name in {name for _, _, name in UNSAFE} | {"state-directory", "database"}:
        assert f"| `{name}`" in documented


# --- Credentials in addresses --------------------------------------------------------------------


@pytest.mark.parametrize("entry", [e for e in PAGES if permission_of(e) != "public"], ids=str)
def test_a_token_in_the_address_of_a_page_is_no_credential(entry: EntryPoint, world: None) -> None:
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    secret = issue_token(person, "test")
    for name in ("token", "access_token", "api_key", "key", "sessionid", "auth"):
        answer = Client().get(entry.at(**values_of(entry, HERE, person)), {name: secret})
        assert answer.status_code in (302, 404, 405), name
