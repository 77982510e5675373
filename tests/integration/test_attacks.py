"""Attacks that take real processes: pages of another origin, forged messages, unsafe settings."""

import json
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from kombu import Connection as Broker
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from access.models import User
from access.policy import Role
from access.tokens import issue_link, issue_token
from clusters.changes import Scale
from clusters.models import Operation
from controlpanel.supervisor.plan import panel_commands
from tests.engines import wait_until
from tests.integration.panel import Panel, user
from tests.integration.processes import ROOT, Process, Processes
from tests.servers.daemon import free_port


def web(processes: Processes) -> int:
    port = free_port()
    processes.web(port)
    wait_until(lambda: status(port, "/readyz") == 200, processes.logs, 60)
    return port


def status(port: int, path: str, **headers: str) -> int:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return 0


def session_of(who: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(who.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = who.get_session_auth_hash()
    session.save()
    return str(session.session_key)


# --- Pages of another origin ---------------------------------------------------------------------


def test_a_page_of_another_origin_opens_no_socket(processes: Processes) -> None:
    """Argo CVE-2024-22424: the browser sends its cookie with any page's socket."""
    port = web(processes)
    cookie = {"Cookie": f"sessionid={session_of(user(role=Role.OPERATOR))}"}
    ours = f"http://127.0.0.1:{port}"
    for path in ("/live/", "/live/logs/lab/web/"):
        with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=cookie, origin=ours):
            pass
        for origin in (f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}", "null",
                       f"http://panel.127.0.0.1:{port}", "https://evil.example", None):  # fmt: skip
            with pytest.raises(InvalidStatus) as refused:
                connect(f"ws://127.0.0.1:{port}{path}", additional_headers=cookie, origin=origin)
            assert refused.value.response.status_code == 403, (path, origin)


def test_a_viewer_has_nothing_to_say(processes: Processes) -> None:
    """What it says all the same is not read into memory, megabyte after megabyte."""
    port = web(processes)
    token = {"Authorization": f"Bearer {issue_token(user(role=Role.OPERATOR), 't')}"}
    address = f"ws://127.0.0.1:{port}/live/?topics=tray"
    with connect(address, additional_headers=token) as socket:
        socket.recv(timeout=10)
        socket.send("x" * 10_000)
        with pytest.raises(ConnectionClosed, match="1009"):
            while True:
                socket.recv(timeout=10)


def test_no_credential_in_an_address_opens_anything_or_reaches_a_log(processes: Processes) -> None:
    """Portainer CVE-2026-44883: tokens in addresses, and so in the logs of every proxy."""
    port = web(processes)
    admin = user(role=Role.ADMIN)
    secret, link, session = issue_token(admin, "t"), issue_link(admin), session_of(admin)
    for name, value in (("token", secret), ("access_token", secret), ("sessionid", session)):
        assert status(port, f"/api/v1/clusters?{name}={value}") == 401
        address = f"ws://127.0.0.1:{port}/live/?{name}={value}"
        ended = pytest.raises(ConnectionClosed, match="4401")
        with connect(address, origin=f"http://127.0.0.1:{port}") as socket, ended:
            socket.recv(timeout=10)
    assert status(port, "/api/v1/clusters", Authorization=f"Bearer {secret}") == 200
    assert status(port, "/api/v1/clusters", Authorization=f"Bearer {secret}x") == 401
    body = urllib.request.Request(f"http://127.0.0.1:{port}/sign-in/link/{link}/", data=b"x=1")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(body, timeout=10)
    told = "".join(log.read_text(errors="replace") for log in processes.folder.glob("*.log"))
    assert "/sign-in/link/" in told  # that it was refused is told
    for value in (secret, link, session):
        assert value not in told


def test_a_body_without_end_is_read_to_the_limit_alone(processes: Processes) -> None:
    port = web(processes)
    assert status(port, "/sign-in/", **{"Content-Length": str(10**12)}) == 413

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 2**20

    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/sign-in/", data=endless(), method="POST"
    )
    asked.add_header("Transfer-Encoding", "chunked")
    with pytest.raises((urllib.error.HTTPError, OSError)) as refused:
        urllib.request.urlopen(asked, timeout=30)
    if isinstance(refused.value, urllib.error.HTTPError):
        assert refused.value.code == 413
    assert status(port, "/readyz") == 200


# --- Forged messages -----------------------------------------------------------------------------


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def send(broker: str, body: Any, task: str, **properties: Any) -> None:
    """Put a message into Celery's queue as anybody who reaches the broker could."""
    options = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
    headers = {"task": task, "id": str(uuid.uuid4()), "lang": "py", "argsrepr": "", "retries": 0,
               "eta": None, "expires": None, "group": None, "root_id": None, "parent_id": None,
               "timelimit": [None, None], "kwargsrepr": "{}", "origin": "x"}  # fmt: skip
    with Broker(broker) as link, link.Producer() as producer:
        producer.publish(
            body, routing_key="celery", exchange="", headers=headers, serializer=None, **options
        )


@pytest.mark.services
def test_a_forged_message_does_nothing(
    panel: Panel, processes: Processes, redis_url: str, tmp_path: Path
) -> None:
    """Argo CVE-2024-31989: whoever reached the broker could have anything done."""
    service = panel.start()
    operation = panel.request(service, Scale(replicas=2))
    Operation.objects.filter(pk=operation.pk).update(
        state="cancelled", finished_at="2026-01-01T00:00Z"
    )
    before = panel.raw(service)
    processes.environment["CELERY_BROKER_URL"] = redis_url
    worker = processes.worker()
    fired = tmp_path / "fired"
    bomb = pickle.dumps([(), Bomb(fired), {}])
    send(redis_url, bomb, "clusters.tasks.carry_on",
         content_type="application/x-python-serialize", content_encoding="binary")  # fmt: skip
    yaml = f'!!python/object/apply:os.system ["touch {fired}"]'
    send(redis_url, yaml, "clusters.tasks.carry_on", content_type="application/x-yaml")
    for task in ("os.system", "clusters.operations.requests.request", "celery.exec", "__import__"):
        send(redis_url, json.dumps([[f"touch {fired}"], {}, {}]), task)
    for name in (str(operation.pk), str(uuid.uuid4()), "x' OR 1=1", "", None, {"$ne": 1}, 7):
        send(redis_url, json.dumps([[name], {}, {}]), "clusters.tasks.carry_on")
        send(redis_url, json.dumps([[name], {}, {}]), "access.tasks.prove")
    send(redis_url, json.dumps([[], {"engine": "tcp://evil"}, {}]), "clusters.tasks.carry_on")
    with Broker(redis_url) as link:
        Celery(broker=redis_url).control.broadcast("shutdown", connection=link)
    last = panel.request(service, Scale(replicas=3))
    send(redis_url, json.dumps([[str(last.pk)], {}, {}]), "clusters.tasks.carry_on")

    def done() -> bool:
        last.refresh_from_db()
        return not last.active

    wait_until(done, "the worker goes on with what is due", 60)
    assert worker.running
    assert not fired.exists()
    operation.refresh_from_db()
    assert operation.state == "cancelled"
    assert operation.accepted_version is None
    assert panel.raw(service)["TaskTemplate"] == before["TaskTemplate"]


# --- Unsafe settings -----------------------------------------------------------------------------

UNSAFE = {
    "PILOTHOUSE_HTTPS": "true",
    "PILOTHOUSE_DEBUG": "true",
    "PILOTHOUSE_SECRET_KEY": "short",
    "PILOTHOUSE_ALLOWED_HOSTS": "*",
    "PILOTHOUSE_TRUSTED_ORIGINS": "http://panel.example.org",
    "CELERY_BROKER_URL": "redis://redis.invalid:6379/0",
    "DOCKER_HOST": "tcp://192.0.2.1:2375",
}


@pytest.mark.parametrize("name", ["web", "watcher", "worker", "beat"])
def test_no_process_starts_with_unsafe_settings(name: str, processes: Processes) -> None:
    command = panel_commands("127.0.0.1", free_port(), processes.folder / "beat")[name]
    process: Process = processes.start(sys.executable, *command, **UNSAFE)
    wait_until(lambda: not process.running, f"{name} ends", 60)
    told = process.log.read_text()
    assert process.returncode != 0
    for danger in (
        "DEBUG",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "TRUSTED_ORIGINS",
        "broker",
        "DOCKER_HOST",
    ):
        assert danger in told, (name, danger, told)


def test_the_check_of_a_deployment_says_the_same() -> None:
    told = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"], cwd=ROOT, text=True,
        env={**os.environ, **UNSAFE}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode != 0
    for name in ("debug", "secret-key", "allowed-hosts", "broker", "docker-host"):
        assert f"pilothouse.{name}" in told.stderr
