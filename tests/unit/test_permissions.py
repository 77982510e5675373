"""Each way into the panel declares what it needs, and keeps to it.

Every page and every operation of the API is tried by every role, by somebody without a grant and by
nobody, where their grant reaches and where it does not: another cluster, another stack of the same
cluster. What one may do works; what one may see but not do is 403; what one may not see is the
same as what is not there, in status and body. A new entry point is tried without being named here:
a sample for an argument or a body that no table holds fails by name.
"""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import get_resolver

from access import declared
from access.models import ApiToken, AuditEntry, Grant, SignInLink, User
from access.policy import ALLOWED, EVERYWHERE, STEP_UP, Action, Role, Scope
from access.tokens import issue_link, issue_token
from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.models import Cluster, Operation
from clusters.ports import EngineUnreachable
from controlpanel.celery import app
from tests.unit.entry_points import WITHOUT, EntryPoint, all_of_them
from tests.unit.panel import MARKS, browser_of, make_cluster, make_service

pytestmark = MARKS

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


# --- Declarations --------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRY_POINTS, ids=str)
def test_an_entry_point_declares_what_it_needs(entry: EntryPoint) -> None:
    assert permission_of(entry) in KNOWN, f"{entry} ({entry.handler}) lacks @needs(…)"


def test_there_are_entry_points_of_every_kind() -> None:
    assert {entry.kind for entry in ENTRY_POINTS} == {"page", "api", "socket", "task"}
    assert len(ENTRY_POINTS) > 50


def test_nothing_but_signing_in_and_health_is_open_to_anybody() -> None:
    opened = {entry.name for entry in ENTRY_POINTS if permission_of(entry) == declared.PUBLIC}
    assert {name for name in opened if not name.startswith("access:sign-in")} == {
        "controlpanel.health.healthz",
        "controlpanel.health.readyz",
        "controlpanel.problems.unknown_address",  # says 404 of every address that is none
    }


def test_a_task_takes_nothing_but_an_id() -> None:
    for entry in ENTRY_POINTS:
        if entry.kind == "task":
            assert all(name.endswith("_id") for name in entry.arguments), entry
            assert len(entry.arguments) <= 1, entry


def test_the_list_of_libraries_views_names_only_what_is_there() -> None:
    assert OF_LIBRARIES.keys() <= {entry.name for entry in PAGES}


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


# --- What the declarations promise ---------------------------------------------------------------


def scope_of(entry: EntryPoint, place: str) -> Scope:
    if IN_A_STACK & {*entry.arguments}:
        return SCOPES[place]
    return Scope(SCOPES[place].cluster) if "cluster" in entry.arguments else EVERYWHERE


def promised(entry: EntryPoint, role: Role | None, grant: Scope, place: str, by_token: bool) -> int:
    """200 (may), 403 (may look) or 404 (may not even look)."""
    permission = permission_of(entry)
    if permission in (declared.PUBLIC, declared.SIGNED_IN):
        return 200
    action = Action.SERVICE_SCALE if permission == declared.AS_ITS_OPERATION else Action(permission)
    actions = ALLOWED[role] - (STEP_UP if by_token else frozenset()) if role else frozenset()
    scope = scope_of(entry, place)
    if action in WHERE_ANYTHING_IS_HELD and action in actions:
        return 200
    if action == Action.CLUSTER_VIEW:  # of whatever they see in it
        return 200 if sees(entry, role, grant, place) else 404
    if not grant.holds(scope):
        return 404
    return 200 if action in actions else 403 if Action.SERVICE_VIEW in actions else 404


def sees(entry: EntryPoint, role: Role | None, grant: Scope, place: str) -> bool:
    """Whether they may know of what the address names: a cluster, by anything in it."""
    scope = scope_of(entry, place)
    inside = not scope.stack and grant.cluster == scope.cluster
    looks = role is not None and Action.SERVICE_VIEW in ALLOWED[role]
    return looks and (inside or grant.holds(scope))


def check(answer: Any, expected: int, said: str) -> None:
    if answer.status_code == 405:
        return  # the address does not know this method, whoever asks
    if expected == 200:
        assert answer.status_code not in (401, 403, 404), (said, answer.status_code)
        assert not to_sign_in(answer), said
    else:
        assert answer.status_code == expected, (said, expected, answer.content[:300])


def to_sign_in(answer: Any) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith("/sign-in/")


def without_names(answer: Any, values: dict[str, str]) -> str:
    """The body without what names the asked-for object, and without what differs each time."""
    text = answer.content.decode()
    for name, value in values.items():
        text = text.replace(value, f"<{name}>")
    text = re.sub(r'(csrf\w*"|X-CSRFToken": )[^>]*', "", text)
    return re.sub(r'data-live-since="\d+"', "", text)


def untouched() -> tuple[Any, ...]:
    """What nobody who was refused may have changed."""
    return (
        *Operation.objects.order_by("pk").values_list("pk", "state", "cancel"),
        *Cluster.objects.order_by("pk").values_list("name", "addresses"),
        *User.objects.order_by("pk").values_list("username", "password", "is_active"),
        *Grant.objects.order_by("pk").values_list("user", "group", "role", "cluster", "stack"),
        *ApiToken.objects.order_by("pk").values_list("name", "revoked_at"),
        *SignInLink.objects.order_by("pk").values_list("pk", "used_at"),
        *Group.objects.order_by("pk").values_list("name"),
        *AuditEntry.objects.filter(phase="intent").values_list("pk"),
    )


# --- Pages ---------------------------------------------------------------------------------------


class Browser:
    """A signed-in browser with the CSRF token that its pages hold."""

    def __init__(self, person: User | None) -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        if person:
            self.client.cookies = browser_of(person).cookies
        token = self.client.get("/account/password/" if person else "/sign-in/")
        self.token = token.context["csrf_token"] if token.context else ""

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, fields: dict[str, str]) -> Any:
        return self.client.post(path, fields, headers={"X-CSRFToken": str(self.token)})


TRIED_PAGES = [
    entry
    for entry in PAGES
    if permission_of(entry) != declared.PUBLIC and entry.name != "access:sign-out"
]


def tries(entry: EntryPoint, role: Role | None) -> Iterator[tuple[Scope, str]]:
    for grant in GRANTS if role else GRANTS[:1]:
        for place in places_of(entry):
            if grant != EVERYWHERE or place == HERE:
                yield grant, place


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("entry", TRIED_PAGES, ids=str)
def test_a_page_is_for_those_that_it_declares(
    entry: EntryPoint, role: Role | None, world: None, calls: list[str]
) -> None:
    person = make_person(role)
    browser = Browser(person)
    fields = FIELDS.get(entry.name, {})
    for grant, place in tries(entry, role):
        hold(person, grant)
        said = f"{entry} as {role} of {grant}, {place}"
        values = values_of(entry, place, person)
        expected = promised(entry, role, grant, place, by_token=False)
        check(browser.get(entry.at(**values)), expected, f"GET {said}")
        if expected == 200:
            continue
        before = untouched()
        answer = browser.post(entry.at(**values), fields)
        check(answer, expected, f"POST {said}")
        assert untouched() == before, f"POST {said}"
        if entry.arguments and not sees(entry, role, grant, place):
            nothing = absent_values(entry, place)
            for method in (browser.get, lambda path: browser.post(path, fields)):
                there, absent = method(entry.at(**values)), method(entry.at(**nothing))
                assert there.status_code == absent.status_code, said
                assert without_names(there, values) == without_names(absent, nothing), said
        assert calls == [], said


@pytest.mark.parametrize("entry", TRIED_PAGES, ids=str)
def test_a_page_leads_who_is_not_signed_in_to_signing_in(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    browser = Browser(None)
    before = untouched()
    for place in (HERE, NOWHERE):
        address = entry.at(**values_of(entry, place))
        answers = browser.get(address), browser.post(address, FIELDS.get(entry.name, {}))
        for answer in answers:
            assert answer.status_code == 405 or to_sign_in(answer), (address, answer.status_code)
    assert (untouched(), calls) == (before, [])


@pytest.mark.parametrize("entry", PAGES, ids=str)
def test_a_form_without_its_csrf_token_is_refused(entry: EntryPoint, world: None) -> None:
    """Argo CVE-2024-22424: another site's form must not act with somebody's session."""
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    client = Client(enforce_csrf_checks=True)
    client.cookies = browser_of(person).cookies
    before = untouched()
    place = entry.at(**values_of(entry, HERE))
    answer = client.post(place, FIELDS.get(entry.name, {}))
    if place == "/api/":
        assert answer.status_code == 404
        return
    assert answer.status_code == 403, (place, answer.status_code)
    assert "This form is too old" in answer.content.decode()
    assert untouched() == before


# --- The API -------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_an_operation_is_for_those_that_it_declares(
    entry: EntryPoint, role: Role | None, world: None, calls: list[str]
) -> None:
    person = make_person(role)
    for method in entry.methods:
        for grant, place in tries(entry, role):
            secret = issue_token(person, "test")
            hold(person, grant)
            said = f"{method} {entry} as {role} of {grant}, {place}"
            values = values_of(entry, place, person)
            expected = promised(entry, role, grant, place, by_token=True)
            if f"{method} {entry.path}" in NOT_WITH_A_TOKEN:
                expected = 403
            before = untouched()
            answer = ask(entry, method, entry.at(**values), secret)
            check(answer, expected, said)
            if expected == 200:
                calls.clear()
                continue
            assert (untouched(), calls) == (before, []), said
            if entry.arguments and not sees(entry, role, grant, place):
                nothing = absent_values(entry, place)
                absent = ask(entry, method, entry.at(**nothing), secret)
                assert absent.status_code == 404, said
                assert without_names(answer, values) == without_names(absent, nothing), said


@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_an_operation_is_nobodys_without_a_credential(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    person = make_person(Role.ADMIN)
    secret = issue_token(person, "test")
    before = untouched()
    for method in entry.methods:
        for query in ("", f"?token={secret}", f"?access_token={secret}"):
            for place in (HERE, NOWHERE):
                address = entry.at(**values_of(entry, place, person))
                answer = ask(entry, method, address + query, None)
                assert answer.status_code == 401, (method, address)
    assert (untouched(), calls) == (before, [])


# --- Sockets and tasks ---------------------------------------------------------------------------


def test_a_socket_is_mounted_nowhere_else() -> None:
    """What the pages' resolver answers is no socket, and the other way round."""
    paths = {entry.path for entry in ENTRY_POINTS if entry.kind == "socket"}
    assert not paths & {entry.path for entry in PAGES}
    assert get_resolver().url_patterns


@pytest.mark.parametrize("entry", [e for e in ENTRY_POINTS if e.kind == "task"], ids=str)
def test_a_task_that_is_told_of_nothing_does_nothing(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    """A forged message can wake what is due, and can name what is not: neither changes anything."""
    Operation.objects.exclude(state="succeeded").delete()
    before = untouched()
    for value in (str(uuid.uuid4()), "0", "not an id", "' OR 1=1 --"):
        app.tasks[entry.name](*[value for _ in entry.arguments])
    assert (untouched(), calls) == (before, [])
