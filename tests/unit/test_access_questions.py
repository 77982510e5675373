"""Who may do this, and what may this person do?"""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from access.authorize import allowed, may
from access.models import Grant, User
from access.policy import ALLOWED, STEP_UP, Action, Role, Scope
from access.rights import rights_of, who_may
from access.tokens import find_token, issue_token
from access.words import ACTIONS, ROLES
from tests.unit.panel import MARKS, browser_of, client_of, make_cluster, make_service, make_user

pytestmark = MARKS
SHOP = Scope("prod", "shop")
PLACES = [Scope(), Scope("prod"), SHOP, Scope("prod", "blog"), Scope("test")]


def names(action: Action, scope: Scope) -> list[str]:
    return [holder.user.username for holder in who_may(action, scope)]


@pytest.fixture
def people() -> list[User]:
    """One of each role in each place, by a grant of their own and by a group's; and the ended."""
    for number, scope in enumerate(PLACES):
        for role in Role:
            user = User.objects.create(username=f"{role}-{number}")
            of = {"role": role, "cluster": scope.cluster, "stack": scope.stack}
            if number % 2:
                group = Group.objects.create(name=f"{role} {number}")
                user.groups.add(group)
                Grant.objects.create(group=group, **of)
            else:
                Grant.objects.create(user=user, **of)
    ended = User.objects.create(username="ended")
    Grant.objects.create(user=ended, role=Role.ADMIN, expires_at=timezone.now())
    disabled = User.objects.create(username="disabled", is_active=False)
    Grant.objects.create(user=disabled, role=Role.ADMIN)
    disabled.groups.add(*Group.objects.all())
    return list(User.objects.all())


@pytest.mark.parametrize("scope", PLACES)
def test_the_answer_is_what_authorize_says(people: list[User], scope: Scope) -> None:
    for action in Action:
        expected = sorted(user.username for user in people if may(user, action, scope))
        assert names(action, scope) == expected, action


@pytest.mark.parametrize("scope", PLACES)
def test_a_persons_rights_are_what_authorize_says(people: list[User], scope: Scope) -> None:
    for user in people:
        found = [p for p in rights_of(user, [Scope()]).places if p.scope.holds(scope)]
        told = {right.action for place in found for right in place.rights}
        assert told == allowed(user, scope), user


def test_the_way_is_named() -> None:
    team = Group.objects.create(name="night shift")
    kim = User.objects.create(username="kim")
    kim.groups.add(team)
    Grant.objects.create(group=team, role=Role.ON_CALL, cluster="prod")
    Grant.objects.create(user=kim, role=Role.OPERATOR, cluster="prod", stack="shop")
    (holder,) = who_may(Action.SERVICE_SCALE, SHOP)
    assert {(way.role, way.group) for way in holder.ways} == {
        ("on-call", "night shift"),
        ("operator", ""),
    }


def test_a_tokens_rights_are_what_authorize_says() -> None:
    kim = User.objects.create(username="kim")
    Grant.objects.create(user=kim, role=Role.ADMIN, cluster="prod")
    secrets = [
        issue_token(kim, "all"),
        issue_token(kim, "narrow", role=Role.VIEWER, scope=SHOP),
        issue_token(kim, "elsewhere", scope=Scope("test")),
        issue_token(kim, "ended", timedelta(seconds=-1)),
    ]
    told = {t.token.name: t.places for t in rights_of(kim, [Scope()]).tokens}
    assert set(told) == {"all", "narrow", "elsewhere"}
    for secret in secrets[:3]:
        token = find_token(secret)
        assert token
        for scope in PLACES:
            places = [place for place in told[token.name] if place.scope.holds(scope)]
            actions = {right.action for place in places for right in place.rights}
            assert actions == allowed(token.user, scope), (token.name, scope)
            assert not actions & STEP_UP


def test_who_asks_of_a_cluster_is_told_of_that_cluster_alone() -> None:
    kim = User.objects.create(username="kim")
    Grant.objects.create(user=kim, role=Role.VIEWER)
    Grant.objects.create(user=kim, role=Role.ADMIN, cluster="test")
    found = rights_of(kim, [Scope("prod")])
    assert [place.scope for place in found.places] == [Scope("prod")]
    assert {right.action for right in found.places[0].rights} == ALLOWED[Role.VIEWER]


def test_every_role_and_action_has_its_words() -> None:
    assert set(ROLES) == set(Role)
    assert set(ACTIONS) == set(Action)


def test_the_page_and_the_api_answer_the_same() -> None:
    make_service(make_cluster("prod"), stack="shop")
    operator = make_user(Role.OPERATOR, cluster="prod")
    query = {"action": "service.update", "place": "prod/shop"}
    admin = make_user(Role.ADMIN)
    page = browser_of(admin).get("/access/who/", query).content.decode()
    assert operator.username in page
    answer = client_of(Role.ADMIN, cluster="prod").get(
        "/access/who", action="service.update", cluster="prod", stack="shop"
    )
    people = {person["user"]: person["through"] for person in answer.json()["people"]}
    assert people[operator.username] == [
        {"role": "operator", "group": None, "cluster": "prod", "stack": "", "expires_at": None}
    ]


def test_nobody_is_told_of_a_cluster_that_they_do_not_manage() -> None:
    make_cluster("prod")
    make_cluster("test")
    client = client_of(Role.ADMIN, cluster="prod")
    assert client.get("/access/who", action="service.view", cluster="test").status_code == 404
    assert client.get("/access/who", action="service.view").status_code == 404
