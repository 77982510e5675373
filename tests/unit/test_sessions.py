"""Rules of listing and ending one's sessions."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from access.models import AuditEntry, User
from access.operations.changing import COMMAND_LINE
from access.operations.first import ensure_admin
from access.operations.people import disable
from access.policy import Role
from clusters.templatetags.swarm import browser
from tests.unit.panel import browser_of
from tests.unit.signing import audited, body, give, person, signed_in

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
OTHERS = "/account/sessions/end-others/"


@pytest.fixture
def ada() -> User:
    return person("ada", Role.ADMIN)


def signing_in(name: str = "ada", agent: str = FIREFOX, address: str = "192.0.2.4") -> Client:
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    give(client, name)
    assert signed_in(client)
    return client


def end(client: Client, of: Client) -> int:
    row = UserSession.objects.get(session_key=of.session.session_key)
    return client.post(f"/account/sessions/{row.pk}/end/").status_code


def test_the_account_page_lists_where_one_is_signed_in(ada: User) -> None:
    here = signing_in()
    signing_in(agent="curl/8.1", address="198.51.100.7")
    page = body(here.get("/account/"))
    for words in ("Firefox on Windows", "192.0.2.4", "curl/8.1", "198.51.100.7", "End all others"):
        assert words in page
    assert page.count("this one") == 1


def test_sessions_of_others_are_neither_listed_nor_ended(ada: User) -> None:
    person("eve")
    here, theirs = signing_in(), signing_in("eve", address="198.51.100.7")
    assert "198.51.100.7" not in body(here.get("/account/"))
    assert end(here, of=theirs) == 404
    assert signed_in(theirs)


def test_one_session_is_ended_and_the_others_go_on(ada: User) -> None:
    here, there, third = signing_in(), signing_in(address="198.51.100.7"), signing_in()
    assert end(here, of=there) == 302
    assert "198.51.100.7 was ended" in body(here.get("/account/"))
    assert [signed_in(c) for c in (here, there, third)] == [True, False, True]
    entry = AuditEntry.objects.get(action="session.end")
    assert entry.detail == {"from": "198.51.100.7", "browser": FIREFOX}


def test_all_others_are_ended_even_those_that_no_list_knows_of(ada: User) -> None:
    here, there, unlisted = signing_in(), signing_in(), browser_of(ada)
    UserSession.objects.filter(session_key=unlisted.session.session_key).delete()
    here.post(OTHERS)
    assert [signed_in(c) for c in (here, there, unlisted)] == [True, False, False]
    assert AuditEntry.objects.get(action="session.end-others").detail == {"ended": 2}


def test_ending_takes_a_post_and_somebody_signed_in(ada: User) -> None:
    here = signing_in()
    assert here.get(OTHERS).status_code == 405
    assert Client().post(OTHERS)["Location"].startswith("/sign-in/")


def test_signing_out_leaves_no_session_behind(ada: User) -> None:
    here = signing_in()
    here.post("/sign-out/")
    assert not UserSession.objects.exists()
    assert not Session.objects.exists()
    assert audited() == ["sign-in", "sign-out"]


def test_last_seen_is_kept_to_the_minute(ada: User) -> None:
    here = signing_in()
    fresh = UserSession.objects.get().last_seen_at
    here.get("/")
    assert UserSession.objects.get().last_seen_at == fresh
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=90))
    here.get("/")
    assert timezone.now() - UserSession.objects.get().last_seen_at < timedelta(seconds=60)


def test_a_disabled_account_comes_back_without_its_old_sessions(ada: User) -> None:
    here = signing_in()
    disable(COMMAND_LINE, ada)
    User.objects.update(is_active=True)
    assert not signed_in(here)


def test_a_password_from_the_environment_ends_the_admins_sessions() -> None:
    ensure_admin("correct horse battery staple")
    here = signing_in("admin")
    ensure_admin("correct horse battery staple")
    assert signed_in(here)
    ensure_admin("another horse battery staple")
    assert not Session.objects.exists()
    assert not signed_in(here)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (Macintosh) Chrome/1 Safari/1", "Chrome on a Mac"),
        ("Mozilla/5.0 (Windows) Chrome/1 Safari/1 Edg/1", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone) Version/1 Safari/1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 1) Chrome/1", "Chrome on Android"),
        ("curl/8.1", "curl/8.1"),
        ("", "An unknown program"),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent: str, words: str) -> None:
    assert browser(agent) == words
