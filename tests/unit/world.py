"""A panel with two clusters, two stacks and somebody in it; and samples for each way in."""

import json
from typing import Any

import pytest
from django.test import Client

from access import declared
from access.models import ApiToken, Grant, User
from access.policy import EVERYWHERE, Action, Role, Scope
from access.tokens import issue_link
from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.models import Operation
from clusters.ports import EngineUnreachable
from tests.unit.entry_points import WITHOUT, EntryPoint, all_of_them
from tests.unit.panel import make_cluster, make_service

# Views of libraries, which cannot declare anything themselves: what they need, and why.
OF_LIBRARIES: dict[str, str] = {}
# Reached by those who hold the action anywhere: what they see there is filtered by their scopes.
WHERE_ANYTHING_IS_HELD = {Action.AUDIT_VIEW, Action.ACCESS_VIEW}

HERE, OTHER_STACK, OTHER_CLUSTER, NOWHERE = "here", "another stack", "another cluster", "nowhere"
SCOPES = {
    HERE: Scope("alpha", "shop"),
    OTHER_STACK: Scope("alpha", "blog"),
    OTHER_CLUSTER: Scope("beta", "shop"),
}
GRANTS = (Scope("alpha", "shop"), Scope("alpha"), EVERYWHERE)
# Of every argument of an address: its value in each place. A function is given the world.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cluster": {HERE: "alpha", OTHER_STACK: "alpha", OTHER_CLUSTER: "beta", NOWHERE: "ghost"},
    "service": {HERE: "wren", OTHER_STACK: "swift", OTHER_CLUSTER: "heron", NOWHERE: "ghost"},
    "task": {
        HERE: "t-wren-1",
        OTHER_STACK: "t-swift-1",
        OTHER_CLUSTER: "t-heron-1",
        NOWHERE: "ghost",
    },
    "operation": {
        HERE: "00000000-0000-4000-8000-000000000001",
        OTHER_STACK: "00000000-0000-4000-8000-000000000002",
        OTHER_CLUSTER: "00000000-0000-4000-8000-000000000003",
        NOWHERE: "00000000-0000-4000-8000-00000000000f",
    },
    "token": {HERE: lambda who: str(ApiToken.objects.filter(user=who).latest("id").pk)},
    "secret": {HERE: lambda who: issue_link(who) if who else "no-such-link"},
}
IN_A_STACK = {"service", "task", "operation"}  # arguments of what has a stack
# The body that each operation of the API takes, by the end of its address.
BODIES: dict[str, Any] = {
    "POST /api/v1/clusters": {"name": "new", "addresses": ["tcp://192.0.2.1:2376"]},
    "POST …/swarm/init": {"advertise": "192.0.2.1"},
    "POST …/scale": {"replicas": 5},
    "POST …/update": {"image": "lab/web:2"},
    "POST …/rollback": {"revision": 1},
    "POST …/cancel": {"how": "stop"},
    "POST /api/v1/access/tokens": {"name": "t"},
}
WITHOUT_BODY = {"restart", "resume"}
# What a page's form is sent with; others are sent empty, which is enough to be refused.
FIELDS: dict[str, dict[str, str]] = {
    "clusters:scale": {"step": "confirm", "replicas": "5", "version": "10"},
    "clusters:restart": {"step": "confirm", "version": "10"},
    "clusters:operation-cancel": {"how": "stop"},
    "clusters:operation-again": {"step": "confirm", "version": "10"},
    "clusters:cluster-register": {"name": "new", "addresses": "tcp://192.0.2.1:2376"},
    "clusters:cluster-remove": {"name": "alpha"},
    "clusters:swarm-init": {"advertise": "192.0.2.1"},
}
# Refused for another reason than a missing right.
NOT_WITH_A_TOKEN = {"POST /api/v1/access/tokens"}

ENTRY_POINTS = all_of_them()
PAGES = [entry for entry in ENTRY_POINTS if entry.kind == "page"]
OPERATIONS = [entry for entry in ENTRY_POINTS if entry.kind == "api"]
KNOWN = {*map(str, Action), *(
    declared.PUBLIC, declared.SIGNED_IN, declared.INTERNAL, declared.AS_ITS_OPERATION,
)}  # fmt: skip


def permission_of(entry: EntryPoint) -> str:
    found = entry.permission
    return OF_LIBRARIES.get(entry.name, found) if found == WITHOUT else found


# --- The world -----------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call to an engine that was tried; none gets through."""
    tried: list[str] = []

    def unreachable(*args: Any, **kwargs: Any) -> Any:
        tried.append(repr(args[1:]))
        raise EngineUnreachable("No engine is here.")

    async def unreachable_stream(*args: Any, **kwargs: Any) -> Any:
        unreachable(*args)

    monkeypatch.setattr(DockerEngine, "_client", unreachable)
    monkeypatch.setattr(DockerStreams, "_open", unreachable_stream)
    return tried


@pytest.fixture
def world(db: None) -> None:
    """Two clusters; in the first two stacks. Whoever owns the operations is none of the actors."""
    owner = User.objects.create_user("owner")
    places = ((HERE, "alpha"), (OTHER_STACK, "alpha"), (OTHER_CLUSTER, "beta"))
    clusters = {name: make_cluster(name) for name in ("alpha", "beta")}
    for place, cluster in places:
        name = ARGUMENTS["service"][place]
        service = make_service(clusters[cluster], name, stack=SCOPES[place].stack)
        Operation.objects.create(
            id=ARGUMENTS["operation"][place], kind="scale", cluster=clusters[cluster], target=name,
            target_id=service.engine_id, stack=service.stack, requested_by=owner,
            change={"replicas": 7}, before=service.spec, after=service.spec,
            state="pending" if place != HERE else "succeeded",
        )  # fmt: skip


def make_person(role: Role | None) -> User:
    person = User.objects.create_user("actor", password="correct horse battery")
    if role:
        Grant.objects.create(user=person, role=role, cluster="nowhere")
    return person


def hold(person: User, scope: Scope) -> None:
    Grant.objects.filter(user=person).update(cluster=scope.cluster, stack=scope.stack)


def places_of(entry: EntryPoint) -> list[str]:
    if IN_A_STACK & {*entry.arguments}:
        return [HERE, OTHER_STACK, OTHER_CLUSTER]
    return [HERE, OTHER_CLUSTER] if "cluster" in entry.arguments else [HERE]


def values_of(entry: EntryPoint, place: str, who: User | None = None) -> dict[str, str]:
    found = {}
    for name in entry.arguments:
        assert name in ARGUMENTS, f"{entry}: give samples of “{name}” in ARGUMENTS"
        value = ARGUMENTS[name].get(place, ARGUMENTS[name][HERE])
        found[name] = value(who) if callable(value) else value
    return found


def absent_values(entry: EntryPoint, place: str) -> dict[str, str]:
    """The address of something that is not there, beside what is at `place`."""
    found = values_of(entry, place)
    last = next(name for name in reversed(entry.arguments) if name in ARGUMENTS)
    return {**found, last: ARGUMENTS[last].get(NOWHERE, "ghost")}


# --- Asking the API ------------------------------------------------------------------------------


def body_of(entry: EntryPoint, method: str) -> Any:
    if method not in ("POST", "PUT", "PATCH") or entry.path.rpartition("/")[2] in WITHOUT_BODY:
        return None
    for ending, body in BODIES.items():
        wanted, _, end = ending.partition(" ")
        if wanted == method and (entry.path == end or entry.path.endswith(end.lstrip("…"))):
            return body
    raise AssertionError(f"{entry}: give a body in BODIES")


def ask(entry: EntryPoint, method: str, path: str, secret: str | None, **more: Any) -> Any:
    body = body_of(entry, method)
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    content = "" if body is None else json.dumps({**body, **more})
    client = Client(raise_request_exception=False)
    return client.generic(method, path, content, "application/json", headers=headers)
