"""A secret's value is found nowhere: the panel's own processes, with planted canaries."""

import base64
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
import requests
import websockets.sync.client
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from access.policy import Role
from clusters.models import KeptSecret, Operation
from tests.contract.swarm_api import service_spec
from tests.engines import wait_for, wait_until
from tests.integration.panel import BRISK, Panel, user
from tests.integration.processes import Processes
from tests.integration.rotating import SERVES, consume, find, keeper, mounted, rotate, until_mounted
from tests.integration.test_faults_processes import SLOW
from tests.servers.daemon import free_port
from tests.unit.panel import note_proof

State = Operation.State


@pytest.fixture
def sam(panel: Panel) -> Iterator[Panel]:
    with keeper(panel) as ready:
        yield ready


class Person:
    """Somebody's browser without a screen, against the real web process. Keeps all it is told."""

    def __init__(self, name: str, role: Role, url: str) -> None:
        client = Client()
        person = user(name, role)
        client.force_login(person)
        note_proof(client, person)
        session = client.session
        self.url, self._http = url, requests.Session()
        self._http.cookies.set("sessionid", str(session.session_key))
        self.told: list[str] = []
        self.frames: list[str] = []

    def get(self, path: str) -> str:
        answer = self._http.get(self.url + path, timeout=20)
        self.told.append(answer.text)
        return answer.text

    def post(self, path: str, status: int = 200, **fields: str) -> str:
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        form = {"csrfmiddlewaretoken": token[1], **fields}
        answer = self._http.post(self.url + path, form, timeout=20)
        self.told.append(answer.text)
        assert answer.status_code == status, answer.text
        return answer.text

    def watch(self, *topics: str) -> None:
        """Everything that the live socket says, from now on."""
        query = "&".join(f"topics={topic}" for topic in topics)
        cookie = {"Cookie": f"sessionid={self._http.cookies['sessionid']}"}
        address = f"{self.url.replace('http', 'ws')}/live/?since=0&{query}"

        def listen() -> None:
            with (
                suppress(websockets.ConnectionClosed),
                websockets.sync.client.connect(
                    address, additional_headers=cookie, origin=self.url
                ) as socket,
            ):
                while True:
                    self.frames.append(str(socket.recv()))

        threading.Thread(target=listen, daemon=True).start()


def broker_says(url: str, heard: list[str]) -> None:
    """Write down every command that the broker gets."""

    def listen() -> None:
        with (
            suppress(redis.ConnectionError),  # at its end
            redis.Redis.from_url(url, encoding="latin-1", socket_timeout=None).monitor() as monitor,
        ):
            heard.append("listening")
            while True:
                heard.append(str(monitor.next_command()["command"]))

    threading.Thread(target=listen, daemon=True).start()
    wait_until(lambda: bool(heard), "the broker is listened to")


def unwrapped(text: str) -> str:
    """The text, and after it what stands in it as Base64: Celery wraps its messages' bodies."""
    found = [text]
    for encoded in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text):
        with suppress(ValueError):
            found.append(base64.b64decode(encoded, validate=True).decode("latin-1"))
    return "\n".join(found)


def everything_in_the_database() -> str:
    """Every column of every table as text; bytes in hexadecimal, sessions decoded."""
    found = [str(session.get_decoded()) for session in Session.objects.all()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
        columns = cursor.fetchall()
        for table, column in columns:
            cursor.execute(f'SELECT "{column}"::text FROM "{table}"')
            found += [f"{table}.{column}: {row[0]}" for row in cursor.fetchall()]
    assert any("clusters_keptsecret.sealed" in text for text in found), "the keep is among it"
    return "\n".join(found)


def traces(text: str, canary: str) -> list[str]:
    """Where the canary stands in the text: as it is, in Base64, or in hexadecimal."""
    encoded = base64.b64encode(canary.encode()).decode()
    ways = (canary, encoded.rstrip("="), canary.encode().hex(), encoded.encode().hex())
    return [text[max(0, at - 100) : at + 100] for way in ways if (at := text.find(way)) >= 0]


def test_a_planted_value_is_found_nowhere(
    sam: Panel, processes: Processes, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = [f"canary-{secrets.token_hex(12)}" for _ in range(3)]
    heard: list[str] = []
    broker_says(redis_url, heard)
    processes.environment |= {"CELERY_BROKER_URL": redis_url, "PILOTHOUSE_LOG_LEVEL": "DEBUG"}
    port = free_port()
    for start in (processes.watcher, processes.worker, processes.beat):
        start()
    processes.web(port)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(url), "the web process answers", 60)
    person, auditor = Person("sam", Role.ADMIN, url), Person("ann", Role.AUDITOR, url)
    person.watch("tray", "operations", "overview", "objects:secret:lab", "services:lab")
    path = "/clusters/lab/secrets/password/"
    labels = {"labels-TOTAL_FORMS": "0", "labels-INITIAL_FORMS": "0"}

    person.post("/clusters/lab/new-secret/", 422, name="a b", value=canaries[0], **labels)
    typed = {"name": "password", "keep": "on", **labels}
    person.post("/clusters/lab/new-secret/", value=canaries[0], **typed)
    person.post("/clusters/lab/new-secret/", 422, value=canaries[2], **typed)  # there is one
    wait_until(lambda: "/rotate/" in person.get(path), "the secret is there", 30)
    found = find_by_name(sam, "password")
    container = {"Command": SERVES, "Init": True, **mounted(found)}
    spec = service_spec(replicas=2, container=container, UpdateConfig=BRISK)
    service_id, name = sam.swarm.start(spec), spec["Name"]
    until_mounted(sam, service_id, canaries[0].encode())
    wait_until(lambda: name in person.get(path), "its service, too", 30)

    shown = person.post(f"{path}rotate/", step="preview", value=canaries[1], keep="on")
    sealed, key = (
        re.search(f'name="{field}" value="([^"]+)"', shown)[1]  # type: ignore[index]
        for field in ("sealed", "key")
    )
    person.post(f"{path}rotate/", step="confirm", sealed=sealed, key=key, keep="on")
    operation = Operation.objects.get()

    def ended() -> bool:
        operation.refresh_from_db()
        return not operation.active

    wait_until(ended, "the rotation", 60)
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    until_mounted(sam, service_id, canaries[1].encode())
    assert KeptSecret.objects.get().name == "password_v2"

    new = "/clusters/lab/secrets/password_v2/"
    wait_until(lambda: "password_v2" in person.get("/clusters/lab/secrets/"), "the new one", 30)
    for page in (
        "/", "/operations/", f"/operations/{operation.pk}/", "/clusters/lab/", new,
        f"{new}rotate/", f"{new}remove/", f"/clusters/lab/services/{name}/spec/",
        f"/clusters/lab/services/{name}/revisions/", "/api/v1/clusters/lab/secrets",
        "/api/v1/clusters/lab/secrets/password_v2", f"/api/v1/operations/{operation.pk}",
        f"/api/v1/clusters/lab/services/{name}", "/palette/?q=password",
    ):  # fmt: skip
        person.get(page)
    for page in ("/audit/", "/api/v1/audit?page_size=200"):
        assert "secret.write" in auditor.get(page)
    assert any("object-" in frame for frame in person.frames), person.frames
    messages = unwrapped("\n".join(heard))
    assert f'["{operation.pk}"]' in messages, "wake-ups on the broker, their bodies read"
    logs = "\n".join(log.read_text(errors="replace") for log in processes.folder.glob("*.log"))
    assert "/clusters/lab/new-secret/" in logs
    places = {
        "pages, frames and answers": "\n".join([*person.told, *person.frames, *auditor.told]),
        "logs": logs + caplog.text,
        "broker": messages,
        "database": everything_in_the_database(),
    }
    for place, text in places.items():
        for canary in canaries:
            assert traces(text, canary) == [], place


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def find_by_name(panel: Panel, name: str) -> Any:
    """The row that the panel's own watcher wrote."""
    return wait_for(lambda: panel.cluster.secrets.filter(name=name).first(), f"the row of {name}")


def test_another_worker_ends_the_rotation_of_a_killed_one(
    sam: Panel, processes: Processes, redis_url: str
) -> None:
    processes.environment |= {"CELERY_BROKER_URL": redis_url, "PILOTHOUSE_OPERATION_LEASE": "2"}
    sam.swarm.post("/secrets/create", {"Name": "password", "Data": "Zmlyc3Q=", "Labels": {}})
    found = find(sam, "secret", "password")
    services = [consume(sam, found, SERVES, replicas=2, UpdateConfig=SLOW) for _ in range(2)]
    before = {s.engine_id: sam.swarm.service(s.engine_id)["Spec"] for s in services}
    operation = rotate(sam, found)
    processes.beat()
    doomed = processes.worker()

    def half_way() -> bool:
        operation.refresh_from_db()
        return operation.done == 1

    wait_until(half_way, "the first service has the new version", 60)
    doomed.kill()
    processes.worker()

    def ended() -> bool:
        operation.refresh_from_db()
        return not operation.active

    wait_until(ended, "another worker ends it", 60)
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    for service in services:
        until_mounted(sam, service.engine_id, b"second")
        after = sam.swarm.service(service.engine_id)
        assert after["PreviousSpec"] == before[service.engine_id], "each was written once"
