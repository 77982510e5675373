"""A panel with two clusters, two stacks and somebody in it; and samples for each way in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.utils import timezone

from access import declared
from access.models import ApiToken, BreakGlass, Grant, Protection, User
from access.policy import EVERYWHERE, Action, Role, Scope
from access.tokens import issue_link, issue_token
from access.vault import seal
from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.models import KeptSecret, Operation
from clusters.ports import EngineUnreachable
from metrics.adapters.prometheus import Prometheus
from metrics.models import SavedPanel, Source
from metrics.ports import MetricsAway
from tests.unit.entry_points import WITHOUT, EntryPoint, all_of_them
from tests.unit.panel import (
    browser_of,
    make_cluster,
    make_config,
    make_secret,
    make_service,
    note_proof,
)
from tests.unit.signing import give_app, give_recovery_codes

# Views of libraries, which cannot declare anything themselves: what they need, and why.
OF_LIBRARIES: dict[str, str] = {}
# Reached by those who hold the action anywhere: what they see there is filtered by their scopes.
WHERE_ANYTHING_IS_HELD = {Action.AUDIT_VIEW, Action.ACCESS_VIEW, Action.BREAK_GLASS}
# Of what manages access, these are for whoever manages any place; people and groups are not.
OF_ANY_MANAGER = {
    "access:grant-new", "access:grant-withdraw", "access:unprotect", "withdraw", "unprotect",
}  # fmt: skip
# A cluster, its lists and what adds to them: for those who may in any stack of it.
OF_ANY_STACK = {
    Action.CLUSTER_VIEW,
    Action.SECRET_VIEW, Action.SECRET_WRITE, Action.CONFIG_VIEW, Action.CONFIG_WRITE,
}  # fmt: skip
# Operations of the API whose place stands in what is sent.
PLACED_BY_WHAT_IS_SENT = {"give", "protect", "who", "create_secret", "create_config", "break_glass"}
# For those who are signed in and see the object, if they may do this to what is somebody else's.
TO_OTHERS: dict[str, Action] = dict.fromkeys(
    ("access:emergency-end", "end_emergency", "review_emergency"), Action.ACCESS_MANAGE
)

HERE, OTHER_STACK, OTHER_CLUSTER, NOWHERE = "here", "another stack", "another cluster", "nowhere"
SOMEBODY_ELSES = "somebody else's"
SCOPES = {
    HERE: Scope("alpha", "shop"),
    OTHER_STACK: Scope("alpha", "blog"),
    OTHER_CLUSTER: Scope("beta", "shop"),
}
GRANTS = (Scope("alpha", "shop"), Scope("alpha"), EVERYWHERE)


def _placed(pattern: str, *values: str, nowhere: str = "ghost") -> dict[str, Any]:
    """A value for each place, and one for none."""
    found = dict(zip(SCOPES, values or ("wren", "swift", "heron"), strict=True))
    return {place: pattern.format(value) for place, value in {**found, NOWHERE: nowhere}.items()}


def _numbered(first: int) -> dict[str, Any]:
    """Numbers that stand nowhere else on a page."""
    return _placed("{}", *(str(first + n) for n in range(3)), nowhere="987654321")


def _own_session(who: User | None) -> str:
    key = {"user": _somebody(who), "session_key": "another browser"}
    return str(UserSession.objects.get_or_create(**key, defaults={"ip": "192.0.2.1"})[0].pk)


def _own_token(who: User | None) -> str:
    user = _somebody(who)
    if not ApiToken.objects.filter(user=user).exists():
        issue_token(user, "own")
    return str(ApiToken.objects.filter(user=user).latest("id").pk)


def _own_key(who: User | None) -> str:
    key = {"user": _somebody(who), "type": Authenticator.Type.WEBAUTHN}
    return str(Authenticator.objects.get_or_create(**key, defaults={"data": {"name": "B"}})[0].pk)


def _somebody(who: User | None) -> User:
    return who or User.objects.get(username="kim")


# Of every argument of an address, by its name alone or after the word before it: its value in each
# place. A function is given whoever asks.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cluster": {HERE: "alpha", OTHER_STACK: "alpha", OTHER_CLUSTER: "beta", NOWHERE: "ghost"},
    "service": _placed("{}"),
    "task": _placed("t-{}-1"),
    "operation": _placed("00000000-0000-4000-8000-{:0>12}", "1", "2", "3", nowhere="f"),
    "secrets/name": _placed("{}-key"),
    "secrets/secret": _placed("{}-key"),
    "kept-secrets/name": _placed("{}-kept"),
    "configs/name": _placed("{}-settings"),
    "configs/config": _placed("{}-settings"),
    "groups/name": _placed("{}-team"),
    "grant": _numbered(411001),
    "protection": _numbered(422001),
    "emergency": _numbered(433001),
    "stack": {HERE: "shop", OTHER_STACK: "blog", OTHER_CLUSTER: "shop", NOWHERE: "ghost"},
    "panel": _numbered(477001),
    "people/name": {HERE: "kim", NOWHERE: "ghost"},
    "users/name": {HERE: "kim", NOWHERE: "ghost"},
    "members/user": {HERE: "kim", NOWHERE: "ghost"},
    "token": {HERE: _own_token, SOMEBODY_ELSES: "444001", NOWHERE: "987654321"},
    "session": {HERE: _own_session, SOMEBODY_ELSES: "455001", NOWHERE: "987654321"},
    "pk": {HERE: _own_key, SOMEBODY_ELSES: "466001", NOWHERE: "987654321"},
    "link/secret": {HERE: lambda who: issue_link(who) if who else "no-such-link"},
}
IN_A_STACK = {  # arguments of what has a stack, or is of one
    "service", "task", "operation", "secrets/name", "secrets/secret", "kept-secrets/name",
    "configs/name", "configs/config", "groups/name", "grant", "protection", "emergency", "stack",
}  # fmt: skip
ONES_OWN = {"token", "session", "pk"}  # arguments of what belongs to one person
# The body that each operation of the API takes, by the end of its address. A function is given the
# scope that it is asked for in.
BODIES: dict[str, Any] = {
    "POST /api/v1/clusters": {"name": "new", "addresses": ["tcp://192.0.2.1:2376"]},
    "POST …/swarm/init": {"advertise": "192.0.2.1"},
    "POST …/scale": {"replicas": 5},
    "POST …/update": {"image": "lab/web:2"},
    "POST …/services/{service}/rollback": {"revision": 1},
    "POST …/cancel": {"how": "stop"},
    "POST …/approve": {"note": "fine"},
    "POST …/decline": {"note": "not now"},
    "POST …/secrets": lambda scope: {"name": "new", "value": "x", "stack": scope.stack},
    "POST …/configs": lambda scope: {"name": "new", "value": "x", "stack": scope.stack},
    "POST …/rotate": {"value": "another"},
    "POST …/panels": {"title": "new", "query": "up"},
    "PATCH …/panels/{panel}": {"title": "other"},
    "PUT …/metrics/source": {"address": "http://192.0.2.1:9090"},
    "PUT …/metrics/mapping": {"cpu": "cpu_seconds_total"},
    "POST /api/v1/access/tokens": {"name": "t"},
    "POST /api/v1/access/users": {"username": "new"},
    "PATCH /api/v1/access/users/{name}": {"is_active": False},
    "POST /api/v1/access/groups": {"name": "new"},
    "POST /api/v1/access/grants": lambda scope: {"user": "kim", "role": "admin", **asdict(scope)},
    "POST /api/v1/access/protections": lambda scope: asdict(scope),
    "POST /api/v1/access/emergencies": lambda scope: {"reason": "All is down.", **asdict(scope)},
    "POST …/review": {"review": "It was needed."},
}
WITHOUT_BODY = {"restart", "resume", "link", "{user}", "end"}
# What an address is asked with.
QUERIES: dict[str, Any] = {
    "who": lambda scope: f"?action=service.scale&cluster={scope.cluster}&stack={scope.stack}",
}
NO_LABELS = {"labels-TOTAL_FORMS": "0", "labels-INITIAL_FORMS": "0"}
# What a page's form is sent with; others are sent empty, which is all that they take.
FIELDS: dict[str, dict[str, str]] = {
    "clusters:scale": {"step": "confirm", "replicas": "5", "version": "10"},
    "clusters:restart": {"step": "confirm", "version": "10"},
    "clusters:operation-cancel": {"how": "stop"},
    "clusters:operation-decide": {"answer": "approve"},
    "clusters:operation-again": {"step": "confirm", "version": "10"},
    "clusters:cluster-register": {"name": "new", "addresses": "tcp://192.0.2.1:2376"},
    "clusters:cluster-remove": {"name": "alpha"},
    "clusters:swarm-init": {"advertise": "192.0.2.1"},
    "clusters:secret-create": {"name": "new", "value": "x", **NO_LABELS},
    "clusters:secret-rotate": {"step": "preview", "value": "x"},
    "clusters:secret-remove": {"name": "wren-key"},
    "clusters:secret-forget": {"name": "wren-kept"},
    "clusters:config-create": {"name": "new", "value": "x", **NO_LABELS},
    "clusters:config-rotate": {"step": "preview", "value": "x"},
    "clusters:config-remove": {"name": "wren-settings"},
    "metrics:panel-new": {"title": "new", "query": "up", "unit": "none"},
    "metrics:panel-edit": {"title": "other", "query": "up", "unit": "none"},
    "metrics:panel-move": {"by": "1"},
    "metrics:source": {"address": "http://192.0.2.1:9090"},
    "metrics:mapping": {"cpu": "cpu_seconds_total"},
    "access:person-new": {"username": "new"},
    "access:group-new": {"name": "new"},
    "access:member-add": {"user": "owner"},
    "access:grant-new": {"holder_name": "user:kim", "role": "admin", "place": "alpha/shop"},
    "access:protections": {"place": "alpha/"},
    "access:emergency-new": {"place": "alpha/shop", "reason": "The shop sells nothing at all."},
    "access:emergency": {"review": "It was needed."},
    "access:token-new": {"name": "t", "days": "1", "place": "/"},
    "mfa_edit_webauthn": {"name": "another"},
    "access:password": {"password": "a new horse battery", "again": "a new horse battery"},
}
# Refused for another reason than a missing right.
NOT_WITH_A_TOKEN = {"POST /api/v1/access/tokens"}

ENTRY_POINTS = all_of_them()
PAGES = [entry for entry in ENTRY_POINTS if entry.kind == "page"]
OPERATIONS = [entry for entry in ENTRY_POINTS if entry.kind == "api"]
KNOWN = {*map(str, Action), *(
    declared.PUBLIC, declared.SIGNED_IN, declared.INTERNAL, declared.AS_ITS_OPERATION,
    declared.METRICS_TOKEN,
)}  # fmt: skip


def keys_of(entry: EntryPoint) -> list[str]:
    """Of each argument the key in ARGUMENTS."""
    found = []
    for name in entry.arguments:
        before = entry.path.partition(f"/{{{name}}}")[0].rpartition("/")[2]
        keys = (f"{before}/{name}", name)
        key = next((key for key in keys if key in ARGUMENTS), None)
        assert key, f"{entry}: give samples of “{name}” in ARGUMENTS"
        found.append(key)
    return found


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

    def no_source(*args: Any, **kwargs: Any) -> Any:
        raise MetricsAway("No source is here.")

    monkeypatch.setattr(DockerEngine, "_client", unreachable)
    for question in ("instant", "range", "values", "labels"):
        monkeypatch.setattr(Prometheus, question, no_source)
    monkeypatch.setattr(DockerStreams, "_open", unreachable_stream)
    return tried


@pytest.fixture
def world(db: None) -> None:
    """Two clusters; in the first two stacks. Whoever owns the operations is none of the actors."""
    owner, kim = User.objects.create_user("owner"), User.objects.create_user("kim")
    clusters = {name: make_cluster(name) for name in ("alpha", "beta")}
    for name, cluster in clusters.items():
        Source.objects.create(cluster=cluster, address=f"http://{name}.invalid:9090")
    for place, scope in SCOPES.items():
        cluster = clusters[scope.cluster]
        service = make_service(cluster, ARGUMENTS["service"][place], stack=scope.stack)
        SavedPanel.objects.create(
            pk=ARGUMENTS["panel"][place], cluster=cluster, stack=scope.stack, title=f"P {place}",
            query=f"{service.name}_total",
        )  # fmt: skip
        make_secret(cluster, ARGUMENTS["secrets/name"][place], stack=scope.stack)
        make_config(cluster, ARGUMENTS["configs/name"][place], stack=scope.stack)
        KeptSecret.objects.create(
            cluster=cluster, name=ARGUMENTS["kept-secrets/name"][place], stack=scope.stack,
            sealed=seal("eA=="), kept_by=owner,
        )  # fmt: skip
        Operation.objects.create(
            id=ARGUMENTS["operation"][place], kind="scale", cluster=cluster, target=service.name,
            target_id=service.engine_id, stack=service.stack, requested_by=owner,
            change={"replicas": 7}, before=service.spec, after=service.spec,
            state="pending" if place != HERE else "succeeded",
        )  # fmt: skip
        _give_access(place, kim, owner)
    _own_things(kim)


def _give_access(place: str, kim: User, owner: User) -> None:
    """A grant, a team, a protection and an emergency of this place."""
    where = asdict(SCOPES[place])
    Grant.objects.create(pk=ARGUMENTS["grant"][place], user=kim, role=Role.ON_CALL, **where)
    team = Group.objects.create(name=ARGUMENTS["groups/name"][place])
    team.user_set.add(kim)
    Grant.objects.create(group=team, role=Role.VIEWER, **where)
    Protection.objects.create(pk=ARGUMENTS["protection"][place], **where)
    BreakGlass.objects.create(
        pk=ARGUMENTS["emergency"][place], user=owner, reason="All was down.",
        until=timezone.now() + timedelta(hours=1), **where,
    )  # fmt: skip


def _own_things(kim: User) -> None:
    soon = timezone.now() + timedelta(days=1)
    numbers = {key: ARGUMENTS[key][SOMEBODY_ELSES] for key in ONES_OWN}
    ApiToken.objects.create(pk=numbers["token"], user=kim, name="k", digest="k", expires_at=soon)
    UserSession.objects.create(pk=numbers["session"], user=kim, ip="192.0.2.1", session_key="k")
    Authenticator.objects.create(pk=numbers["pk"], user=kim, type="webauthn", data={"name": "K"})


def make_person(role: Role | None) -> User:
    person = User.objects.create_user("actor", password="correct horse battery")
    if role:
        Grant.objects.create(user=person, role=role, cluster="nowhere")
    give_app(person)
    give_recovery_codes(person)
    return person


def signed_in(person: User) -> Client:
    """The browser of one who has just shown their second factor."""
    browser = browser_of(person)
    note_proof(browser, person, "mfa")
    return browser


def hold(person: User, scope: Scope) -> None:
    Grant.objects.filter(user=person).update(cluster=scope.cluster, stack=scope.stack)


# --- Where an entry point can be asked -----------------------------------------------------------


def for_managers_of_everything(entry: EntryPoint) -> bool:
    """What is done to people and groups reaches everywhere."""
    if permission_of(entry) != Action.ACCESS_MANAGE:
        return False
    return entry.name not in OF_ANY_MANAGER | PLACED_BY_WHAT_IS_SENT


def is_in_a_stack(entry: EntryPoint) -> bool:
    if for_managers_of_everything(entry):
        return False
    return entry.name in PLACED_BY_WHAT_IS_SENT or bool(IN_A_STACK & {*keys_of(entry)})


def places_of(entry: EntryPoint) -> list[str]:
    if is_in_a_stack(entry):
        return [HERE, OTHER_STACK, OTHER_CLUSTER]
    if ONES_OWN & {*keys_of(entry)}:
        return [HERE, SOMEBODY_ELSES]
    return [HERE, OTHER_CLUSTER] if "cluster" in entry.arguments else [HERE]


def scope_of(entry: EntryPoint, place: str) -> Scope:
    if is_in_a_stack(entry):
        return SCOPES[place]
    return Scope(SCOPES[place].cluster) if "cluster" in entry.arguments else EVERYWHERE


def values_of(entry: EntryPoint, place: str, who: User | None = None) -> dict[str, str]:
    found = {}
    for name, key in zip(entry.arguments, keys_of(entry), strict=True):
        value = ARGUMENTS[key].get(place, ARGUMENTS[key][HERE])
        found[name] = value(who) if callable(value) else value
    return found


def absent_values(entry: EntryPoint, place: str) -> dict[str, str]:
    """The address of something that is not there, beside what is at `place`."""
    last = keys_of(entry)[-1]
    return {**values_of(entry, place), entry.arguments[-1]: ARGUMENTS[last].get(NOWHERE, "ghost")}


# --- Asking the API ------------------------------------------------------------------------------


def body_of(entry: EntryPoint, method: str, place: str = HERE) -> Any:
    if method not in ("POST", "PUT", "PATCH") or entry.path.rpartition("/")[2] in WITHOUT_BODY:
        return None
    for ending, body in BODIES.items():
        wanted, _, end = ending.partition(" ")
        fits = entry.path.endswith(end[1:]) if end.startswith("…") else entry.path == end
        if wanted == method and fits:
            return body(SCOPES[place]) if callable(body) else body
    raise AssertionError(f"{entry}: give a body in BODIES")


def query_of(entry: EntryPoint, place: str) -> str:
    query = QUERIES.get(entry.name)
    return str(query(SCOPES[place])) if query else ""


def ask(
    entry: EntryPoint,
    method: str,
    values: dict[str, str],
    secret: str | None = None,
    *,
    place: str = HERE,
    browser: Client | None = None,
    query: str = "",
) -> Any:
    """Ask the API, with a token or in somebody's browser."""
    place = place if place in SCOPES else HERE
    body = body_of(entry, method, place)
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    content = "" if body is None else json.dumps(body)
    client = browser or Client()
    client.raise_request_exception = False
    address = entry.at(**values) + (query or query_of(entry, place))
    return client.generic(method, address, content, "application/json", headers=headers)


@contextmanager
def undone() -> Iterator[None]:
    """What is done within is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
