"""The live path's last steps: a real web process, real sockets, and what reaches whom."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from access.authorize import Actor
from access.models import ApiToken, BreakGlass, Grant, User
from access.operations import emergencies, grants, groups, people, tokens
from access.operations.changing import COMMAND_LINE, announce_revoked
from access.policy import Role, Scope
from access.tokens import issue_token
from clusters.models import Cluster, Service
from live import changes
from live.changes import Touched
from live.models import Change
from tests.integration.panel import user
from tests.integration.processes import Processes, database_url
from tests.integration.web import Viewer, Web, session_of, started, web, web_process
from tests.servers.relay import Relay
from tests.unit.panel import browser_of

__all__ = ["web", "web_process"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def shop(transactional_db: None) -> Service:
    """A service in the rows; no engine is needed to look at it."""
    cluster = Cluster.objects.create(name="lab")
    return _service(cluster, "s1", "web", stack="shop")


def _service(cluster: Cluster, key: str, name: str, stack: str = "") -> Service:
    seen = {"version": 1, "spec": {}, "template_hash": "", "created_at": NOW, "updated_at": NOW}
    shown = {"image": "lab/web:1", "mode": "replicated", "health": "running"}
    return Service.objects.create(
        cluster=cluster, engine_id=key, name=name, stack=stack, **seen, **shown
    )


def _touch(service: Service, error: str) -> int:
    """Change a row as the watcher does: in one transaction with its number."""
    with transaction.atomic():
        Service.objects.filter(pk=service.pk).update(last_error=error)
        touched = Touched("lab", "service", service.engine_id, stack=service.stack)
        return changes.record([touched])


# --- Delivery ------------------------------------------------------------------------------------


def test_a_change_reaches_every_viewer_once(web: Web, shop: Service) -> None:
    kim, sam = user("kim"), user("sam", Role.VIEWER)
    viewers = [web.open(who, "services:lab") for who in (kim, kim, sam)]
    for number in range(3):
        last = _touch(shop, f"error-{number}.")
        for viewer in viewers:
            viewer.read_until(last)
            rows = [html for html in viewer.html if f"error-{number}." in html]
            assert len(rows) == 1
            assert not viewer.reload


def test_a_viewer_that_was_away_gets_exactly_what_it_missed(web: Web, shop: Service) -> None:
    who = user()
    blog = _service(shop.cluster, "s2", "blog")
    staying = web.open(who, "services:lab")
    first = web.open(who, "services:lab").read_until(_touch(shop, "before."))
    first.socket.close()
    last = _touch(blog, "meanwhile.")
    staying.read_until(last)
    again = web.open(who, "services:lab", since=first.sequence).read_until(last)
    assert again.count('id="service-s2"') == 1
    assert again.count('id="service-s1"') == 0, "what it has it does not get again"
    assert not again.reload


def test_a_viewer_that_was_away_too_long_is_told_to_reload(web: Web, shop: Service) -> None:
    for number in range(4):
        last = _touch(shop, str(number))
    Change.objects.filter(sequence__lt=last).delete()
    viewer = web.open(user(), "services:lab", since=1).read_until(last)
    assert viewer.reload
    assert viewer.html == []


def test_a_viewer_that_joins_in_a_storm_misses_nothing(web: Web, shop: Service) -> None:
    who = user()
    web.open(who, "services:lab")
    viewers = []
    for number in range(40):
        last = _touch(shop, f"error-{number}.")
        blog = _service(shop.cluster, f"b{number}", f"blog-{number}")
        since = changes.current()
        last = _touch(blog, "x")
        viewers.append((web.open(who, "services:lab", since=since), f'id="service-b{number}"'))
    for viewer, own in viewers:
        viewer.read_until(last)
        assert viewer.count(own) == 1


def test_a_slow_viewer_gets_the_newest_and_not_a_queue(web: Web, shop: Service) -> None:
    unread = {"max_queue": 1, "compression": None}
    slow = web.open(user(), "services:lab", **unread)
    quick = web.open(user("sam"), "services:lab")
    for number in range(60):
        last = _touch(shop, f"error-{number}." + "x" * 200_000)
        quick.read_until(last)
    slow.read_until(last)
    assert quick.count('id="service-s1"') == 60
    assert slow.count('id="service-s1"') < 60, "what was overtaken is not sent"
    assert "error-59." in slow.html[-1] + slow.html[-2]


def test_a_service_that_is_gone_is_taken_off_the_page(web: Web, shop: Service) -> None:
    viewer = web.open(user(), "services:lab")
    with transaction.atomic():
        Service.objects.all().delete()
        last = changes.record([Touched("lab", "service", "s1")])
    viewer.read_until(last)
    assert viewer.count("data-live-remove") == 1


# --- Who may see it ------------------------------------------------------------------------------


def test_a_viewer_of_another_scope_gets_nothing(web: Web, shop: Service) -> None:
    blogger = user("blogger", Role.OPERATOR, cluster="lab", stack="blog")
    stranger = user("stranger", Role.ADMIN, cluster="elsewhere")
    nobody = User.objects.create(username="nobody")
    topics = ("services:lab", "service:lab:s1", "overview", "operations")
    viewers = [web.open(who, *topics) for who in (blogger, stranger, nobody)]
    last = _touch(shop, "the-secret-error.")
    for viewer in viewers:
        viewer.read_until(last)
        assert viewer.count("the-secret-error") == 0
        assert viewer.count("lab/web:1") == 0


def test_nobody_signed_in_gets_nothing(web: Web, shop: Service) -> None:
    anonymous = web.open(None, "services:lab")
    _touch(shop, "x")
    assert anonymous.close_code() == 4401
    assert anonymous.html == []


@pytest.mark.parametrize("origin", ["http://evil.example.net", "null", None])
def test_a_foreign_page_cannot_open_a_socket_in_our_users_name(web: Web, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        web.open(user(), "services:lab", origin=origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("how", "code"),
    [("grant", 4403), ("more", 4403), ("disabled", 4401), ("signed-out", 4401)],
)
def test_rights_that_end_or_change_close_an_idle_socket(web: Web, how: str, code: int) -> None:
    kim = user("kim")
    other = web.open(user("sam"), "services:lab")
    viewer = web.open(kim, "services:lab")
    viewer.read()
    if how == "grant":
        Grant.objects.filter(user=kim).delete()
    elif how == "more":
        Grant.objects.create(user=kim, role=Role.ADMIN)
    elif how == "disabled":
        User.objects.filter(pk=kim.pk).update(is_active=False)
    else:
        keys = [s.session_key for s in Session.objects.all() if _is_of(s, kim)]
        Session.objects.filter(session_key__in=keys).delete()
    with transaction.atomic():
        announce_revoked(kim)
    assert viewer.close_code() == code
    other.read()
    assert other.socket.protocol.state.name == "OPEN"


def _is_of(session: Session, who: User) -> bool:
    return str(session.get_decoded().get(SESSION_KEY)) == str(who.pk)


@pytest.mark.parametrize("how", ["one", "others", "sign-out", "password"])
def test_a_session_that_is_ended_on_the_account_page_falls_silent_within_a_second(
    web: Web, how: str, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick to set
    kim = user("kim")
    kim.set_password("correct horse battery staple")
    kim.save()
    here, there = browser_of(kim), browser_of(kim)
    there.get("/account/")  # it is on the list from then on
    viewer = web.open_in(there.session.session_key, "services:lab")
    viewer.read()
    begun = time.monotonic()
    _end(how, here, there)
    assert viewer.close_code() == 4401
    assert time.monotonic() - begun < 1.0
    assert there.get("/account/").status_code == 302


def _end(how: str, here: Client, there: Client) -> None:
    """End the session of `there`."""
    if how == "one":
        row = UserSession.objects.get(session_key=there.session.session_key)
        here.post(f"/account/sessions/{row.pk}/end/")
    elif how == "others":
        here.post("/account/sessions/end-others/")
    elif how == "sign-out":
        there.post("/sign-out/")
    else:
        old, new = "correct horse battery staple", "another horse battery staple"
        here.post("/account/password/", {"current": old, "password": new, "again": new})


def test_rights_that_end_without_a_word_close_it_as_well(web: Web) -> None:
    """Somebody changed a row by hand: the look at every second finds it."""
    viewer = web.open(user("kim"), "services:lab")
    viewer.read()
    Grant.objects.all().delete()
    assert viewer.close_code() == 4403


# --- Programs with a token -----------------------------------------------------------------------


def test_a_program_gets_what_its_token_may_see(web: Web, shop: Service) -> None:
    kim = user("kim")
    blog = Scope("lab", "blog")
    whole = web.open_with(issue_token(kim, "whole"), "services:lab")
    narrow = web.open_with(issue_token(kim, "narrow", scope=blog), "services:lab")
    last = _touch(shop, "the-secret-error.")
    for viewer in (whole, narrow):
        viewer.read_until(last)
    assert whole.count("the-secret-error") > 0
    assert narrow.count("the-secret-error") == 0


@pytest.mark.parametrize("token", ["", "ph_unknown", "x y"])
def test_a_token_that_is_none_is_refused_even_beside_a_session(web: Web, token: str) -> None:
    headers = {
        "Authorization": f"Bearer {token}",
        "Cookie": f"{settings.SESSION_COOKIE_NAME}={session_of(user())}",
    }
    for origin in (None, web.origin):
        with pytest.raises(InvalidStatus) as refused:
            web._open(headers, "services:lab", origin=origin)
        assert refused.value.response.status_code == 401
        assert "unknown, expired or revoked" in refused.value.response.body.decode()


def test_a_token_in_the_address_lets_nobody_in(web: Web, shop: Service) -> None:
    token = issue_token(user(), "t")
    for name in ("token", "access_token", "authorization"):
        viewer = web.open(None, f"services:lab&{name}={token}")
        assert viewer.close_code() == 4401


def test_another_sites_page_cannot_bring_a_token(web: Web) -> None:
    token = issue_token(user(), "t")
    with pytest.raises(InvalidStatus) as refused:
        web.open_with(token, "services:lab", origin="http://evil.example.net")
    assert refused.value.response.status_code == 403
    web.open_with(token, "services:lab", origin=web.origin).read()


# --- Within a second -----------------------------------------------------------------------------

LONGEST = 1.0  # seconds


def _ends_within_a_second(viewer: Viewer, code: int, since: float) -> None:
    assert viewer.close_code() == code
    assert time.time() - since < LONGEST


@pytest.mark.parametrize(
    ("how", "code"),
    [("revoked", 4401), ("disabled", 4401), ("withdrawn", 4403), ("narrowed", 4403)],
)
def test_a_tokens_open_socket_ends_within_a_second(web: Web, how: str, code: int) -> None:
    kim = user("kim")
    viewer = web.open_with(issue_token(kim, "t"), "services:lab")
    other = web.open_with(issue_token(kim, "other"), "services:lab")
    viewer.read()
    token = ApiToken.objects.get(name="t")
    since = time.time()
    if how == "revoked":
        tokens.revoke(Actor(kim, "browser"), token)
    elif how == "disabled":
        people.disable(COMMAND_LINE, kim)
    elif how == "withdrawn":
        grants.withdraw(COMMAND_LINE, Grant.objects.get(user=kim))
    else:
        ApiToken.objects.filter(pk=token.pk).update(role=Role.VIEWER)
    _ends_within_a_second(viewer, code, since)
    if how == "revoked":
        other.read()
        assert other.socket.protocol.state.name == "OPEN"


def test_a_token_that_runs_out_ends_its_socket_within_a_second(web: Web) -> None:
    viewer = web.open_with(issue_token(user(), "t", timedelta(seconds=3)), "services:lab")
    viewer.read()
    _ends_within_a_second(viewer, 4401, ApiToken.objects.get().expires_at.timestamp())


def test_a_grant_that_runs_out_closes_the_page_within_a_second(web: Web) -> None:
    kim = user("kim")
    until = timezone.now() + timedelta(seconds=3)
    grants.give(COMMAND_LINE, kim, Role.ADMIN, Scope("lab"), expires_at=until)
    viewer = web.open(kim, "services:lab")
    viewer.read()
    _ends_within_a_second(viewer, 4403, until.timestamp())


@pytest.mark.parametrize("how", ["taken out", "group removed", "group's grant withdrawn", "put in"])
def test_a_change_of_groups_closes_the_page_within_a_second(web: Web, how: str) -> None:
    kim, group = user("kim"), groups.make_group(COMMAND_LINE, "ops")
    grant = grants.give(COMMAND_LINE, group, Role.ADMIN, Scope("lab"))
    if how != "put in":
        groups.add_member(COMMAND_LINE, group, kim)
    viewer = web.open(kim, "services:lab")
    viewer.read()
    since = time.time()
    if how == "put in":
        groups.add_member(COMMAND_LINE, group, kim)
    elif how == "taken out":
        groups.remove_member(COMMAND_LINE, group, kim)
    elif how == "group removed":
        groups.remove_group(COMMAND_LINE, group)
    else:
        grants.withdraw(COMMAND_LINE, grant)
    _ends_within_a_second(viewer, 4403, since)


def test_an_emergency_is_told_to_onlookers_and_ends_by_itself(web: Web, shop: Service) -> None:
    kim, onlooker = user("kim", Role.ON_CALL), user("vera", Role.VIEWER)
    stranger = user("sam", Role.ADMIN, cluster="elsewhere")
    watching, apart = web.open(onlooker, "alarms"), web.open(stranger, "alarms")
    own = web.open(kim, "alarms")
    since = time.time()
    actor = Actor(kim, "browser", proven_at=time.time())
    glass = emergencies.break_glass(actor, shop.scope, "The shop is down, all of it.")
    _ends_within_a_second(own, 4403, since)
    last = changes.current()
    for viewer in (watching, apart):
        viewer.read_until(last)
    assert watching.count("all of it.") == 1
    assert apart.count("all of it.") == 0
    own = web.open(kim, "alarms", since=last)
    own.read()
    until = timezone.now() + timedelta(seconds=2)
    BreakGlass.objects.filter(pk=glass.pk).update(until=until)
    Grant.objects.filter(break_glass=glass).update(expires_at=until)
    _ends_within_a_second(own, 4403, until.timestamp())
    while 'class="alarm"' in watching.html[-1]:
        watching.read()
    assert time.time() - until.timestamp() < LONGEST


# --- The database is cut off ---------------------------------------------------------------------


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Relay]:
    """The web process's way to the database."""
    real = Path(str(connection.settings_dict["HOST"])) / ".s.PGSQL.5432"
    with Relay(real, tmp_path / ".s.PGSQL.5432") as relay:
        yield relay


def test_a_cut_database_is_told_and_nothing_is_lost(
    processes: Processes, bridge: Relay, tmp_path: Path, shop: Service
) -> None:
    who, name = user(), database_url().rpartition("/")[2]
    processes.environment["DATABASE_URL"] = f"postgres://postgres@/{tmp_path}/{name}"
    web = started(processes)
    with web.opened:
        _is_cut_and_restored(web.open(who, "services:lab"), bridge, shop)


def _is_cut_and_restored(viewer: Viewer, bridge: Relay, shop: Service) -> None:
    viewer.read_until(_touch(shop, "before."))
    bridge.cut()
    viewer.read_until_behind(True)
    last = _touch(shop, "meanwhile.")
    bridge.restore()
    viewer.read_until(last)
    assert viewer.count("meanwhile.") > 0
    viewer.read_until_behind(False)
    assert not viewer.reload
    assert viewer.read_until(_touch(shop, "after.")).count("after.") > 0
