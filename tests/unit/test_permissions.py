"""Each way into the panel declares what it needs, and keeps to it.

Every page and every operation of the API is tried by every role, by somebody without a grant and by
nobody, where their grant reaches and where it does not: another cluster, another stack of the same
cluster. What one may do works; what one may see but not do is 403; what one may not see is the
same as what is not there, in status and body. A new entry point is tried without being named here:
a sample for an argument or a body that no table holds fails by name.
"""

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
from access.tokens import issue_token
from clusters.models import Cluster, Operation
from controlpanel.celery import app
from tests.unit.entry_points import EntryPoint
from tests.unit.panel import MARKS, browser_of
from tests.unit.world import (
    ENTRY_POINTS,
    FIELDS,
    GRANTS,
    HERE,
    IN_A_STACK,
    KNOWN,
    NOT_WITH_A_TOKEN,
    NOWHERE,
    OF_LIBRARIES,
    OPERATIONS,
    PAGES,
    SCOPES,
    WHERE_ANYTHING_IS_HELD,
    absent_values,
    ask,
    calls,
    hold,
    make_person,
    permission_of,
    places_of,
    values_of,
    world,
)

pytestmark = MARKS
__all__ = ["calls", "world"]

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
