"""Rows as the watcher would write them, people, and a client of the API."""

import json
import re
import time
from typing import Any

import pytest
from allauth.account.internal.flows.login import (
    _AUTHENTICATION_METHODS_USER_SESSION_KEY,
    AUTHENTICATION_METHODS_SESSION_KEY,
)
from django.test import Client
from django.utils import timezone

from access.models import Grant, User
from access.policy import Role
from access.tokens import issue_token
from clusters import readings, specs
from clusters.models import Cluster, Config, Node, Revision, Secret, Service, SwarmTask
from tests.unit import raw

ANSWER = Any
MARKS = [
    pytest.mark.django_db,
]


def make_user(role: Role | None = None, *, cluster: str = "", stack: str = "") -> User:
    user = User.objects.create_user(f"{role or 'nobody'}-{User.objects.count()}")
    if role:
        Grant.objects.create(user=user, role=role, cluster=cluster, stack=stack)
    return user


def make_cluster(name: str = "local", state: str = Cluster.State.READY) -> Cluster:
    cluster = Cluster.objects.create(
        name=name, addresses=["unix:///nowhere.sock"], state=state, seen_at=timezone.now()
    )
    Node.objects.create(
        cluster=cluster, engine_id="n1", hostname="node-1", role="manager",
        availability="active", state="ready",
    )  # fmt: skip
    return cluster


def make_service(cluster: Cluster, name: str = "web", **of: Any) -> Service:
    """A service of three running tasks; `stack`, `version` and the container's fields as given."""
    stack, version, health = of.pop("stack", ""), of.pop("version", 10), of.pop("health", "running")
    spec = {**raw.spec(**of), "Name": name}
    if stack:
        spec["Labels"] = {readings.STACK_LABEL: stack}
    taken = raw.service(version=version, spec=spec)
    service = Service.objects.create(
        cluster=cluster, engine_id=f"id-{name}", running=3, desired=3, health=health,
        **readings.service_fields(taken),
    )  # fmt: skip
    for slot in (1, 2, 3):
        make_task(service, slot)
    keep_revision(service, 1)
    return service


def make_secret(cluster: Cluster, name: str = "password", **of: Any) -> Secret:
    return Secret.objects.create(cluster=cluster, **_object_fields(name, of), **of)


def make_config(
    cluster: Cluster, name: str = "settings", data: bytes = b"a\nb\n", **of: Any
) -> Config:
    return Config.objects.create(cluster=cluster, data=data, **_object_fields(name, of), **of)


def _object_fields(name: str, of: dict[str, Any]) -> dict[str, Any]:
    """What both have; `stack` becomes a label, too."""
    now, labels = timezone.now(), of.pop("labels", {})
    if of.get("stack"):
        labels = {**labels, readings.STACK_LABEL: of["stack"]}
    return {
        "engine_id": f"id-{name}", "name": name, "labels": labels, "version": 5,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


def mounted(*found: Secret | Config) -> dict[str, Any]:
    """The container's fields of a service that mounts them."""
    fields: dict[str, Any] = {}
    for one in found:
        title = one.noun.title()
        file = {"Name": one.name, "UID": "33", "GID": "44", "Mode": 0o440}
        reference = {"File": file, f"{title}ID": one.engine_id, f"{title}Name": one.name}
        fields.setdefault(f"{title}s", []).append(reference)
    return fields


def make_task(service: Service, slot: int, **of: Any) -> SwarmTask:
    now = timezone.now()
    fields = {
        "service_engine_id": service.engine_id, "node_engine_id": "n1", "state": "running",
        "desired_state": "running", "container_id": f"c-{service.name}-{slot}", "version": 1,
        "template_hash": service.template_hash, "created_at": now, "state_at": now,
        "engine_id": f"t-{service.name}-{slot}", **of,
    }  # fmt: skip
    return SwarmTask.objects.create(cluster=service.cluster, slot=slot, **fields)


def keep_revision(service: Service, number: int, spec: dict[str, Any] | None = None) -> Revision:
    spec = spec or service.spec
    return Revision.objects.create(
        cluster=service.cluster, service_engine_id=service.engine_id, number=number,
        version=service.version, spec=spec, spec_hash=specs.spec_hash(spec),
    )  # fmt: skip


def change_elsewhere(service: Service, **of: Any) -> Service:
    """Somebody else updates the service, and the watcher sees it."""
    service.spec = {**raw.spec(**of), "Name": service.name}
    service.version += 5
    service.save()
    keep_revision(service, 2)
    return service


def browser_of(user: User, **options: Any) -> Client:
    """A signed-in browser whose person has just proved who they are."""
    client = Client(**options)
    client.force_login(user)
    note_proof(client, user)
    return client


def note_proof(client: Client, user: User, method: str = "password", ago: float = 0.0) -> None:
    """The browser's person proved so many seconds ago who they are, and not since."""
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": method, "at": time.time() - ago}]
    session[_AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
    session.save()


def inputs(answer: Any) -> dict[str, str]:
    """Everything that a browser would send of the update form as it came."""
    page = answer.content.decode().split("<template>")
    html = "".join([page[0], *(rest.split("</template>", 1)[1] for rest in page[1:])])
    tags = re.findall(r"<input ([^>]*)>", html)
    found = {}
    for tag in tags:
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="checkbox"' not in tag:
            found[name[1]] = value[1] if value else ""
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    areas = re.findall(r'<textarea name="([^"]+)".*?>\n?(.*?)</textarea>', html, re.DOTALL)
    return found | dict(areas)


class ApiClient:
    """Speaks to /api/v1 with a token of the user's; None for nobody's."""

    def __init__(self, user: User | None) -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"authorization": f"Bearer {issue_token(user, 'test')}"} if user else {}

    def get(self, path: str, **query: Any) -> ANSWER:
        return self._client.get(f"/api/v1{path}", query, headers=self._headers)

    def post(self, path: str, body: Any = None, **headers: str) -> ANSWER:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.post(
            f"/api/v1{path}", content, content_type="application/json",
            headers={**self._headers, **names},
        )  # fmt: skip

    def request(self, method: str, path: str, body: Any = None) -> ANSWER:
        content = "" if body is None else json.dumps(body)
        return self._client.generic(
            method, f"/api/v1{path}", content, content_type="application/json",
            headers=self._headers,
        )  # fmt: skip


def client_of(role: Role | None, **scope: str) -> ApiClient:
    return ApiClient(make_user(role, **scope))
