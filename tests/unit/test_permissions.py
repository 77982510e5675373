"""Each way into the panel declares what it needs, and keeps to it.

Every page and every operation of the API is tried by every role, by somebody without a grant and by
nobody, where their grant reaches and where it does not: another cluster, another stack of the same
cluster, what belongs to somebody else. The API is asked with a token and in a browser that has just
proved who sits there. What one may do works; what one may see but not do is 403; what one may not
see is the same as what is not there, in status and body.

A new entry point is tried without being named here: a sample for an argument or a body that no
table of tests/unit/world.py holds fails by name.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.db.models import Model, Q
from django.test import Client
from django.urls import get_resolver

from access import declared
from access.models import (
    ApiToken,
    AuditEntry,
    BreakGlass,
    Grant,
    Protection,
    SignInLink,
    User,
)
from access.policy import ALLOWED, EVERYWHERE, STEP_UP, Action, Role, Scope
from access.tokens import issue_token
from clusters.models import Approval, Cluster, KeptSecret, Operation
from controlpanel.celery import app
from metrics.models import AskedQuery, SavedPanel, Source
from tests.unit.entry_points import EntryPoint
from tests.unit.panel import MARKS
from tests.unit.world import (
    ENTRY_POINTS,
    FIELDS,
    GRANTS,
    HERE,
    KNOWN,
    NOT_WITH_A_TOKEN,
    NOWHERE,
    OF_ANY_MANAGER,
    OF_ANY_STACK,
    OF_LIBRARIES,
    OPERATIONS,
    PAGES,
    PLACED_BY_WHAT_IS_SENT,
    SOMEBODY_ELSES,
    TO_OTHERS,
    WHERE_ANYTHING_IS_HELD,
    absent_values,
    ask,
    calls,
    hold,
    is_in_a_stack,
    keys_of,
    make_person,
    permission_of,
    places_of,
    scope_of,
    signed_in,
    undone,
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
    signing_in = {entry.name for entry in PAGES if entry.path.startswith("/sign-in/")}
    assert opened - signing_in == {
        "access:sign-out",
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


def promised(entry: EntryPoint, role: Role | None, grant: Scope, place: str, by_token: bool) -> int:
    """200 (may), 403 (may look) or 404 (may not even look)."""
    if place == SOMEBODY_ELSES:
        return 404 if not ends_others(entry, role, grant) else 403 if by_token else 200
    permission = permission_of(entry)
    if permission in (declared.PUBLIC, declared.SIGNED_IN):
        return promised_to_all(entry, role, grant, place, by_token)
    action = Action.SERVICE_SCALE if permission == declared.AS_ITS_OPERATION else Action(permission)
    actions = ALLOWED[role] - (STEP_UP if by_token else frozenset()) if role else frozenset()
    if asks_anywhere(entry, action):
        if action not in actions:
            return 403 if Action.SERVICE_VIEW in actions else 404
        return 200 if not is_in_a_stack(entry) or holds(entry, grant, place) else 404
    if of_any_stack(entry, action) and action in actions and sees(entry, role, grant, place):
        return 200  # of whatever they see in it
    if not holds(entry, grant, place):
        return 404
    return 200 if action in actions else 403 if looking_at(entry) in actions else 404


def promised_to_all(
    entry: EntryPoint, role: Role | None, grant: Scope, place: str, by_token: bool
) -> int:
    """To whoever is signed in, as far as they see the object."""
    if not is_in_a_stack(entry):
        return 200
    if not sees(entry, role, grant, place):
        return 404
    more = TO_OTHERS.get(entry.name)
    actions = ALLOWED[Role(str(role))] - (STEP_UP if by_token else frozenset())
    return 200 if more is None or more in actions else 403


def ends_others(entry: EntryPoint, role: Role | None, grant: Scope) -> bool:
    """Who manages all access ends others' tokens; nobody their sessions or keys."""
    return role == Role.ADMIN and grant == EVERYWHERE and "token" in entry.arguments


def asks_anywhere(entry: EntryPoint, action: Action) -> bool:
    if entry.name in PLACED_BY_WHAT_IS_SENT:
        return False
    return action in WHERE_ANYTHING_IS_HELD or entry.name in OF_ANY_MANAGER


def of_any_stack(entry: EntryPoint, action: Action) -> bool:
    return action in OF_ANY_STACK and not is_in_a_stack(entry)


def holds(entry: EntryPoint, grant: Scope, place: str) -> bool:
    return grant.holds(scope_of(entry, place))


def looking_at(entry: EntryPoint) -> Action:
    """The action of those who know of such objects."""
    views = {"secret": Action.SECRET_VIEW, "config": Action.CONFIG_VIEW}
    return views.get(permission_of(entry).partition(".")[0], Action.SERVICE_VIEW)


def sees(entry: EntryPoint, role: Role | None, grant: Scope, place: str) -> bool:
    """Whether they may know of what the address names: a cluster, by anything in it."""
    if place == SOMEBODY_ELSES:
        return ends_others(entry, role, grant)
    scope, of_a_cluster = scope_of(entry, place), keys_of(entry)[-1:] == ["cluster"]
    inside = of_a_cluster and grant.cluster == scope.cluster
    looks = Action.SERVICE_VIEW if of_a_cluster else looking_at(entry)
    return role is not None and looks in ALLOWED[role] and (inside or grant.holds(scope))


def check(answer: Any, expected: int, said: str) -> None:
    if answer.status_code == 405:
        return  # the address does not know this method, whoever asks
    if expected == 200:
        assert answer.status_code not in (401, 403, 404, 500), (said, answer.content[:300])
        assert not to_sign_in(answer), said
    else:
        assert answer.status_code == expected, (said, expected, answer.content[:300])


def to_sign_in(answer: Any) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith("/sign-in/")


def without_names(answer: Any, *values: dict[str, str]) -> str:
    """The body without what names the asked-for objects, and without what differs each time."""
    text = answer.content.decode()
    for name, value in (pair for named in values for pair in named.items()):
        text = text.replace(value, f"<{name}>")
    text = re.sub(r'(csrf\w*"|X-CSRFToken": )[^>]*|<time.*?</time>', "", text)
    return re.sub(r'data-live-since="\d+"', "", text)


KEPT: dict[type[Model], tuple[str, ...]] = {  # what nobody who was refused may have changed
    Operation: ("state", "cancel"),
    Approval: ("approved",),
    Cluster: ("name", "addresses"),
    KeptSecret: ("name",),
    Source: ("address", "chosen"),
    SavedPanel: ("title", "query", "position", "removed_at"),
    AskedQuery: ("query", "asked_at"),
    User: ("username", "password", "is_active", "groups"),
    Group: ("name",),
    Grant: ("user", "group", "role", "expires_at", "most_replicas"),
    Protection: ("cluster", "stack"),
    BreakGlass: ("ended_at", "reviewed_at"),
    ApiToken: ("name", "revoked_at"),
    SignInLink: ("used_at",),
    UserSession: ("session_key",),
    Authenticator: ("type",),
}


def untouched() -> list[Any]:
    found: list[Any] = [
        list(model._default_manager.order_by("pk", *fields[-1:]).values_list("pk", *fields))
        for model, fields in KEPT.items()
    ]
    events = Q(phase="event", action__regex=r"^(access|cluster|secret|token)\.")
    said = AuditEntry.objects.filter(Q(phase="intent") | events)
    return [*found, list(said.values_list("pk", "action"))]


# --- Pages ---------------------------------------------------------------------------------------

NOT_FOR_PEOPLE = (declared.PUBLIC, declared.METRICS_TOKEN)
TRIED_PAGES = [entry for entry in PAGES if permission_of(entry) not in NOT_FOR_PEOPLE]


def tries(entry: EntryPoint, role: Role | None) -> Iterator[tuple[Scope, str]]:
    for grant in GRANTS if role else GRANTS[:1]:
        for place in places_of(entry):
            if grant != EVERYWHERE or place in (HERE, SOMEBODY_ELSES):
                yield grant, place


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("entry", TRIED_PAGES, ids=str)
def test_a_page_is_for_those_that_it_declares(
    entry: EntryPoint, role: Role | None, world: None, calls: list[str]
) -> None:
    person = make_person(role)
    browser = signed_in(person)
    fields = FIELDS.get(entry.name, {})
    values_of(entry, HERE, person)  # what is their own is there
    before = untouched()
    for grant, place in tries(entry, role):
        hold(person, grant)
        said = f"{entry} as {role} of {grant}, {place}"
        values = values_of(entry, place, person)
        expected = promised(entry, role, grant, place, by_token=False)
        ways: list[Callable[[str], Any]] = [browser.get]
        if expected != 200:
            ways.append(partial(browser.post, data=fields))
        for way in ways:
            answer = way(entry.at(**values))
            check(answer, expected, said)
            if expected != 200 and not sees(entry, role, grant, place):
                compare(entry, way, place, values, answer)
        assert (untouched(), calls) == (before, []) or expected == 200, said


def compare(
    entry: EntryPoint, way: Callable[[str], Any], place: str, values: dict[str, str], answer: Any
) -> None:
    """Forbidden equals absent, in status and body."""
    if not entry.arguments or answer.status_code == 405:
        return
    nothing = absent_values(entry, place)
    same(answer, values, way(entry.at(**nothing)), nothing)


def same(there: Any, values: dict[str, str], absent: Any, nothing: dict[str, str]) -> None:
    assert there.status_code == absent.status_code, values
    names = values, nothing  # both in both: one may stand on every page, as in an alarm
    assert without_names(there, *names) == without_names(absent, *names), values


@pytest.mark.parametrize("entry", TRIED_PAGES, ids=str)
def test_a_page_leads_who_is_not_signed_in_to_signing_in(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    browser = Client()
    addresses = [entry.at(**values_of(entry, place)) for place in (HERE, NOWHERE)]
    before = untouched()
    for address in addresses:
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
    client.cookies = signed_in(person).cookies
    place = entry.at(**values_of(entry, HERE))
    before = untouched()
    answer = client.post(place, FIELDS.get(entry.name, {}))
    if place == "/api/":
        assert answer.status_code == 404
        return
    assert answer.status_code == 403, (place, answer.status_code)
    assert "This form is too old" in answer.content.decode()
    assert untouched() == before


# --- Programs with a token of their own ----------------------------------------------------------


@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_no_person_gets_what_is_for_the_metrics_token(
    role: Role | None, world: None, settings: Any
) -> None:
    settings.METRICS_TOKEN = "of a program, and of nobody"
    person = make_person(role)
    hold(person, EVERYWHERE)
    token = {"authorization": f"Bearer {issue_token(person, 'test')}"}
    told = [entry for entry in PAGES if permission_of(entry) == declared.METRICS_TOKEN]
    assert [entry.path for entry in told] == ["/metrics"]
    for answer in (
        signed_in(person).get("/metrics"),
        Client().get("/metrics", headers=token),
        Client().get("/metrics"),
    ):
        assert answer.status_code == 401
        assert "alpha" not in answer.content.decode()


# --- The API -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("by", ["token", "session"])
@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_an_operation_is_for_those_that_it_declares(
    entry: EntryPoint, by: str, role: Role | None, world: None, calls: list[str]
) -> None:
    person = make_person(role)
    browser, secret = None, None
    if by == "token":
        secret = issue_token(person, "test")
    else:
        browser = signed_in(person)
    values_of(entry, HERE, person)  # what is their own is there
    before = untouched()
    for method, (grant, place) in product(entry.methods, tries(entry, role)):
        hold(person, grant)
        said = f"{method} {entry} by {by} as {role} of {grant}, {place}"
        values = values_of(entry, place, person)
        expected = promised(entry, role, grant, place, by_token=by == "token")
        if by == "token" and f"{method} {entry.path}" in NOT_WITH_A_TOKEN:
            expected = 403
        with undone():
            answer = ask(entry, method, values, secret, place=place, browser=browser)
            check(answer, expected, said)
            assert expected == 200 or (untouched(), calls) == (before, []), said
        calls.clear()
        if expected == 200 or not entry.arguments or sees(entry, role, grant, place):
            continue
        nothing = absent_values(entry, place)
        absent = ask(entry, method, nothing, secret, place=place, browser=browser)
        same(answer, values, absent, nothing)


@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_an_operation_is_nobodys_without_a_credential(
    entry: EntryPoint, world: None, calls: list[str]
) -> None:
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    secret = issue_token(person, "test")
    before = untouched()
    for method in entry.methods:
        for query in ("", f"?token={secret}", f"?access_token={secret}"):
            for place in (HERE, NOWHERE):
                values = values_of(entry, place, person)
                answer = ask(entry, method, values, query=query)
                assert answer.status_code == 401, (method, values)
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
