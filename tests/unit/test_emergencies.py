"""Break-glass: an hour, in sight of everybody, and never without a review by somebody else."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from access import audit
from access.authorize import Actor, allowed, emergency_of, may
from access.models import AuditEntry, BreakGlass, Grant, Protection, User
from access.operations import emergencies
from access.policy import EMERGENCY, EVERYWHERE, Action, Role, Scope
from access.rights import rights_of
from access.tasks import tend
from access.tokens import find_token, issue_token
from clusters import fragments
from clusters.changes import Scale, Update
from clusters.models import Approval, Service
from clusters.operations import approvals
from clusters.operations.requests import request
from live import changes
from live.changes import Touched
from tests.unit.panel import (
    MARKS,
    ApiClient,
    browser_of,
    make_cluster,
    make_service,
    make_user,
)

pytestmark = MARKS
WHY = "The shop is down and nobody answers."


@pytest.fixture(autouse=True)
def shop() -> Service:
    make_cluster("test")
    return make_service(make_cluster("prod"), stack="shop")


@pytest.fixture
def kim() -> User:
    return make_user(Role.ON_CALL, cluster="prod")


@pytest.fixture
def admin() -> User:
    return make_user(Role.ADMIN)


def take(user: User, place: str = "prod/", reason: str = WHY) -> Any:
    return browser_of(user).post("/access/emergencies/new/", {"place": place, "reason": reason})


def taken(user: User) -> BreakGlass:
    assert take(user).status_code == 302
    return BreakGlass.objects.get()


def home(user: User) -> str:
    return str(browser_of(user).get("/").content.decode())


def run_out(glass: BreakGlass) -> None:
    past = Now() - timedelta(seconds=1)
    BreakGlass.objects.filter(pk=glass.pk).update(until=past)
    Grant.objects.filter(break_glass=glass).update(expires_at=past)


def test_it_gives_all_work_in_its_scope_for_an_hour(kim: User) -> None:
    glass = taken(kim)
    assert allowed(kim, Scope("prod", "shop")) >= EMERGENCY
    assert not may(kim, Action.SERVICE_VIEW, Scope("test"))
    assert timedelta(minutes=59) < glass.until - glass.started_at <= timedelta(minutes=60)
    run_out(glass)
    assert not may(kim, Action.SERVICE_UPDATE, Scope("prod"))


def test_it_reaches_neither_access_nor_the_audit_trail(kim: User) -> None:
    taken(kim)
    client = browser_of(kim)
    for path in ("/access/", "/access/grants/new/", "/access/who/", "/audit/"):
        assert client.get(path).status_code in (403, 404), path
    own = {"holder_name": f"user:{kim}", "role": "admin", "place": "prod/"}
    assert client.post("/access/grants/new/", own).status_code in (403, 404)


@pytest.mark.parametrize("reason", ["", "too short", " " * 40, "x" + " " * 30 + "y"])
def test_it_wants_a_reason(kim: User, reason: str) -> None:
    assert take(kim, reason=reason).status_code == 422
    assert not BreakGlass.objects.exists()


@pytest.mark.parametrize("place", ["/", "test/"])
def test_it_is_taken_where_one_may_take_it_alone(kim: User, place: str) -> None:
    assert take(kim, place).status_code == 422
    assert not BreakGlass.objects.exists()


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.AUDITOR])
def test_it_is_not_for_who_has_no_work_to_do(role: Role | None) -> None:
    assert take(make_user(role, cluster="prod")).status_code in (403, 404)
    assert not BreakGlass.objects.exists()


def test_it_wants_a_fresh_proof(kim: User) -> None:
    client = Client()
    client.force_login(kim)
    data = {"place": "prod/", "reason": WHY}
    assert client.post("/access/emergencies/new/", data).status_code == 403
    assert not BreakGlass.objects.exists()


def test_it_is_not_taken_twice_nor_for_nothing(kim: User, admin: User) -> None:
    taken(kim)
    assert take(kim).status_code == 422
    assert take(admin).status_code == 422
    assert BreakGlass.objects.count() == 1


def by_token(user: User, secret: str) -> User:
    """The user as one who came with the token."""
    token = find_token(secret)
    assert token
    return token.user


@pytest.mark.parametrize("role", ["", Role.ADMIN])
def test_no_token_carries_what_an_emergency_gave(kim: User, shop: Service, role: str) -> None:
    """It is for a person who proved who they are; a token is a program, and may be a leaked one."""
    old = issue_token(kim, "ci", role=role)
    before = allowed(by_token(kim, old), shop.scope)
    taken(kim)
    assert may(kim, Action.SERVICE_UPDATE, shop.scope)
    for secret in (old, issue_token(kim, "new", role=role)):
        user = by_token(kim, secret)
        assert allowed(user, shop.scope) == before
        assert emergency_of(user, shop.scope) is None
    told = rights_of(kim, [EVERYWHERE])
    rights = [right for place in told.places for right in place.rights]
    assert not next(r for r in rights if r.action == Action.SERVICE_UPDATE).by_token
    assert next(r for r in rights if r.action == Action.SERVICE_SCALE).by_token
    carried = {r.action for t in told.tokens for place in t.places for r in place.rights}
    assert carried == before


PLACES = [EVERYWHERE, Scope("prod"), Scope("prod", "shop"), Scope("prod", "blog"), Scope("test")]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("held", PLACES, ids=str)
def test_it_is_held_where_its_grant_holds(held: Scope, place: Scope, kim: User) -> None:
    """The question that the trail asks has the rule of scopes once more, in SQL."""
    soon = Now() + timedelta(hours=1)
    where = {"cluster": held.cluster, "stack": held.stack}
    glass = BreakGlass.objects.create(user=kim, reason=WHY, until=soon, **where)
    Grant.objects.create(user=kim, role="admin", break_glass=glass, expires_at=soon, **where)
    Grant.objects.create(user=kim, role="admin", expires_at=soon)  # a lasting one is none
    assert emergency_of(kim, place) == (glass.pk if held.holds(place) else None)
    run_out(glass)
    assert emergency_of(kim, place) is None


def test_a_token_waits_for_a_second_person_while_its_owner_broke_the_glass(
    kim: User, shop: Service
) -> None:
    secret = issue_token(kim, "ci")
    Protection.objects.create(cluster="prod")
    taken(kim)
    actor = Actor(by_token(kim, secret), "api")
    operation = request(actor, shop, Scale(replicas=5), wake=lambda _: None)
    assert operation.awaiting
    assert "break_glass" not in AuditEntry.objects.get(operation=operation.id).detail
    Approval.objects.all().delete()  # as if the scope had been protected only afterwards
    operation.refresh_from_db()
    assert not approvals.stands(operation)


def test_everybody_whom_it_concerns_reads_it_on_every_page(kim: User) -> None:
    taken(kim)
    concerned = [
        make_user(Role.VIEWER),
        make_user(Role.VIEWER, cluster="prod"),
        make_user(Role.VIEWER, cluster="prod", stack="shop"),
    ]
    others = [make_user(), make_user(Role.ADMIN, cluster="test"), make_user(Role.AUDITOR)]
    for user in concerned:
        for path in ("/", "/operations/", "/account/", "/nowhere/"):
            page = browser_of(user).get(path).content.decode()
            assert WHY in page
            assert kim.username in page
    for user in others:
        assert WHY not in home(user)


def test_what_is_done_under_it_is_marked_and_nothing_else(kim: User, shop: Service) -> None:
    before = audit.record(Actor(kim, "browser"), "x", AuditEntry.Phase.EVENT, scope=shop.scope)
    glass = taken(kim)
    change = Update(image="lab/web:9")
    operation = request(Actor(kim, "browser"), shop, change, wake=lambda _: None)
    elsewhere = audit.record(
        Actor(kim, "browser"), "x", AuditEntry.Phase.EVENT, scope=Scope("test")
    )
    intent = AuditEntry.objects.get(operation=operation.id)
    assert intent.detail["break_glass"] == glass.pk
    assert "break_glass" not in before.detail
    assert "break_glass" not in elsewhere.detail
    run_out(glass)
    result = audit.record(
        Actor(kim, "browser"), "x", AuditEntry.Phase.RESULT, scope=shop.scope,
        operation=operation.id,
    )  # fmt: skip
    assert result.detail["break_glass"] == glass.pk


def test_what_runs_out_by_itself_is_noted_once_whoever_looks(kim: User) -> None:
    glass = taken(kim)
    tend()
    assert not AuditEntry.objects.filter(action="access.run-out").exists(), "it still runs"
    run_out(glass)
    taken_anew = BreakGlass.objects.create(user=kim, reason=WHY, until=Now() + timedelta(hours=1))
    Grant.objects.create(
        user=kim, role=Role.ADMIN, break_glass=taken_anew, expires_at=Now() + timedelta(hours=1)
    )
    since = changes.current()
    tend()
    tend()
    entry = AuditEntry.objects.get(action="access.run-out")
    assert (entry.actor_name, entry.via, entry.target) == ("panel", "schedule", kim.username)
    assert (entry.cluster, entry.detail["break_glass"]) == ("prod", glass.pk)
    assert changes.since(since) == [Touched("prod", "alarm", str(glass.pk))]
    glass.refresh_from_db()
    assert glass.ended_at == glass.until
    assert not glass.given_back


def test_two_workers_that_look_at_once_note_its_end_once(kim: User) -> None:
    run_out(taken(kim))
    first, second = BreakGlass.objects.get(), BreakGlass.objects.get()
    emergencies.note_end(first)
    emergencies.note_end(second)
    assert AuditEntry.objects.filter(action="access.run-out").count() == 1


def test_what_was_given_back_did_not_run_out(kim: User) -> None:
    glass = taken(kim)
    browser, path = browser_of(kim), f"/access/emergencies/{glass.pk}/"
    browser.post(f"{path}end/")
    assert "before its time" in browser.get(path).content.decode()
    run_out(glass)
    tend()
    assert not AuditEntry.objects.filter(action="access.run-out").exists()


def test_whoever_is_on_its_page_sees_it_end(kim: User, admin: User) -> None:
    glass = taken(kim)
    topics = [f"emergency:{glass.pk}", "emergencies"]
    page = browser_of(admin).get(f"/access/emergencies/{glass.pk}/").content.decode()
    assert f'data-live-topics="emergency:{glass.pk} ' in page
    assert 'id="emergency" class="card-part" data-running' in page
    before = fragments.clock(topics)
    run_out(glass)
    assert all(fragments.clock(topics)[topic] != before[topic] for topic in topics)
    for touched in (None, [Touched("prod", "alarm", str(glass.pk))]):
        shown = fragments.render(admin, topics[0], touched)["emergency"]
        assert "data-running" not in shown
        assert "Load this page anew" in shown
        row = fragments.render(admin, topics[1], touched)[f"emergency-{glass.pk}"]
        assert "Waits for its review" in row
        onlooker = fragments.render(make_user(Role.VIEWER), topics[0], touched)["emergency"]
        assert "Load this page anew" not in onlooker
        for stranger in (make_user(), make_user(Role.ADMIN, cluster="test")):
            assert all(fragments.render(stranger, topic, touched) == {} for topic in topics)
    assert fragments.render(admin, topics[0], [Touched("prod", "alarm", "0")]) == {}
    for nonsense in ("", "x", "1:2", "9" * 40):
        assert fragments.render(admin, f"emergency:{nonsense}", None) == {}


def test_it_is_given_back_at_once(kim: User) -> None:
    glass = taken(kim)
    assert "Give them back now" in home(kim)
    browser_of(kim).post(f"/access/emergencies/{glass.pk}/end/")
    assert not may(kim, Action.SERVICE_UPDATE, Scope("prod"))
    assert not Grant.objects.filter(break_glass=glass).exists()
    assert "Give them back now" not in home(kim)
    assert AuditEntry.objects.get(action="access.give-back").detail["break_glass"] == glass.pk


def test_an_administrator_ends_it_and_an_onlooker_cannot(kim: User, admin: User) -> None:
    glass = taken(kim)
    path = f"/access/emergencies/{glass.pk}/end/"
    assert browser_of(make_user(Role.OPERATOR)).post(path).status_code == 403
    assert may(kim, Action.SERVICE_UPDATE, Scope("prod"))
    browser_of(admin).post(path)
    assert not may(kim, Action.SERVICE_UPDATE, Scope("prod"))


@pytest.mark.parametrize("how", ["given back", "run out"])
def test_it_waits_for_a_review_by_somebody_else(kim: User, admin: User, how: str) -> None:
    Grant.objects.create(user=kim, role=Role.ADMIN, cluster="test")
    glass = taken(kim)
    path = f"/access/emergencies/{glass.pk}/"
    text = {"review": "It was needed; the grant for the night shift is widened."}
    assert browser_of(admin).post(path, text).status_code == 422, "it still runs"
    if how == "given back":
        browser_of(kim).post(f"{path}end/")
    else:
        run_out(glass)
    asked = "Somebody else must review it"
    assert asked in home(admin)
    assert asked not in home(make_user(Role.OPERATOR))
    Grant.objects.create(user=kim, role=Role.ADMIN)
    assert browser_of(kim).post(path, text).status_code == 403, "nobody reviews their own"
    assert browser_of(make_user(Role.OPERATOR)).post(path, text).status_code == 403
    assert browser_of(admin).post(path, {"review": " "}).status_code == 422
    assert browser_of(admin).post(path, text).status_code == 302
    glass.refresh_from_db()
    assert glass.reviewed_by == admin
    assert asked not in home(admin)
    assert AuditEntry.objects.get(action="access.review").detail["break_glass"] == glass.pk


def test_the_reviewer_sees_what_was_done(kim: User, admin: User, shop: Service) -> None:
    glass = taken(kim)
    request(Actor(kim, "browser"), shop, Update(image="lab/web:9"), wake=lambda _: None)
    path = f"/access/emergencies/{glass.pk}/"
    assert "service.update" in browser_of(admin).get(path).content.decode()
    onlooker = browser_of(make_user(Role.VIEWER)).get(path).content.decode()
    assert WHY in onlooker
    assert "service.update" not in onlooker
    assert browser_of(make_user(Role.ADMIN, cluster="test")).get(path).status_code == 404


# --- The API -------------------------------------------------------------------------------------

API, JSON = "/api/v1/access/emergencies", "application/json"


def test_the_api_takes_ends_and_reviews_it_in_a_session(kim: User, admin: User) -> None:
    asked = {"cluster": "prod", "reason": WHY}
    answer = browser_of(kim).post(API, asked, JSON)
    told = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, f"{API}/{told['id']}")
    assert (told["user"], told["running"], told["reason"]) == (kim.username, True, WHY)
    assert may(kim, Action.SERVICE_UPDATE, Scope("prod"))
    assert browser_of(kim).post(API, asked, JSON).status_code == 422, "it runs already"
    one, found = f"{API}/{told['id']}", {"review": "It was needed."}
    assert browser_of(admin).post(f"{one}/review", found, JSON).status_code == 422, "it still runs"
    assert browser_of(make_user(Role.VIEWER)).post(f"{one}/end").status_code == 403
    ended = browser_of(kim).post(f"{one}/end").json()
    assert (ended["running"], may(kim, Action.SERVICE_UPDATE, Scope("prod"))) == (False, False)
    assert browser_of(kim).post(f"{one}/end").json() == ended, "again changes nothing"
    reviewed = browser_of(admin).post(f"{one}/review", found, JSON).json()
    assert (reviewed["reviewed_by"], reviewed["review"]) == (admin.username, "It was needed.")
    assert browser_of(admin).post(f"{one}/review", found, JSON).status_code == 422, "once"
    assert browser_of(admin).get(API).json()["items"] == [reviewed]
    for stranger in (make_user(), make_user(Role.ADMIN, cluster="test")):
        assert browser_of(stranger).get(API).json()["items"] == []
        assert browser_of(stranger).get(one).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"reason": "too short"}, {"reason": WHY, "cluster": "nowhere"}, {"cluster": "prod"},
        {"reason": WHY, "cluster": "prod", "hours": 5}, {"reason": WHY, "stack": "shop"},
    ],
)  # fmt: skip
def test_the_api_refuses_what_makes_no_sense(asked: dict[str, Any]) -> None:
    everywhere = make_user(Role.ON_CALL)
    assert browser_of(everywhere).post(API, asked, JSON).status_code == 422
    assert not BreakGlass.objects.exists()


def test_the_api_asks_for_a_fresh_proof(kim: User, admin: User) -> None:
    client = Client()
    client.force_login(kim)
    told = client.post(API, {"cluster": "prod", "reason": WHY}, JSON)
    assert (told.status_code, told.json()["action"]) == (403, "access.break-glass")
    assert told.json()["type"].endswith("proof-needed")
    assert not BreakGlass.objects.exists()


def test_a_token_breaks_no_glass_and_reviews_nothing_but_gives_back(kim: User, admin: User) -> None:
    mine, theirs = ApiClient(kim), ApiClient(admin)
    answer = mine.post("/access/emergencies", {"cluster": "prod", "reason": WHY})
    assert "No token can do “access.break-glass”" in answer.json()["detail"]
    glass = taken(kim)
    path = f"/access/emergencies/{glass.pk}"
    assert theirs.post(f"{path}/end").status_code == 403
    assert mine.get(path).json()["running"] is True
    assert mine.post(f"{path}/end").json()["running"] is False
    assert theirs.post(f"{path}/review", {"review": "Fine."}).status_code == 403


def test_a_token_sees_the_emergencies_of_its_scope(kim: User, admin: User) -> None:
    glass = taken(kim)
    for who, cluster, seen in ((kim, "test", 0), (kim, "prod", 1), (admin, "test", 0)):
        secret = issue_token(who, "ci", scope=Scope(cluster))
        headers = {"authorization": f"Bearer {secret}"}
        assert Client().get(API, headers=headers).json()["total"] == seen
        status = Client().get(f"{API}/{glass.pk}", headers=headers).status_code
        assert status == (200 if seen else 404)
