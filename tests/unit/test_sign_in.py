"""Rules of signing in: guesses, addresses, links, cookies, and what there is not."""

import re
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.utils import timezone

from access import noted
from access.models import AuditEntry, Noted, User
from access.policy import Role
from access.requests import actor_of_scope, address_of
from access.tasks import tend
from access.tokens import issue_link
from tests.unit.panel import browser_of, make_user
from tests.unit.signing import (
    PASSWORD,
    SECOND_FACTOR,
    SIGN_IN,
    audited,
    body,
    code_now,
    give,
    give_app,
    give_recovery_codes,
    person,
    signed_in,
)

pytestmark = pytest.mark.django_db
ATTACKER = "203.0.113.9"


@pytest.fixture
def ada() -> User:
    return person("ada", Role.ADMIN)


def guess(name: str, times: int, address: str = ATTACKER) -> list[Any]:
    return [give(Client(), name, f"guess {n}", REMOTE_ADDR=address) for n in range(times)]


def alike(answer: Any, name: str) -> tuple[int, str]:
    """A status and a page, without the name and without what differs every time."""
    shown = re.sub(
        r'(csrfmiddlewaretoken" value|X-CSRFToken&quot;|X-CSRFToken": )[^>]*', "", body(answer)
    )
    return answer.status_code, shown.replace(name, "NAME")


def outcomes() -> list[tuple[str, str, str]]:
    found = AuditEntry.objects.order_by("id")
    return list(found.values_list("action", "actor_name", "outcome"))


# --- Guesses -------------------------------------------------------------------------------------


def test_of_a_hundred_guesses_the_sixth_and_all_after_it_are_not_even_tried(ada: User) -> None:
    answers = guess("ada", 100)
    assert all(answer.status_code == 422 for answer in answers)
    throttled = ["Too many failed attempts" in body(answer) for answer in answers]
    assert throttled == [False] * 5 + [True] * 95
    assert outcomes() == [("sign-in.failed", "ada", "")] * 5 + [
        ("sign-in.failed", "ada", "throttled")
    ]
    Noted.objects.update(until=Now())
    tend()
    told = AuditEntry.objects.get(detail__has_key="more")
    assert (told.actor_name, told.address, told.detail["more"]) == ("ada", ATTACKER, 94)
    assert told.outcome == "throttled"


def test_throttled_guesses_at_many_names_do_not_fill_the_trail() -> None:
    for n in range(30 + noted.MOST + 20):
        guess(f"name-{n}", 1)
    assert [outcome for *_, outcome in outcomes()].count("throttled") == noted.MOST
    assert outcomes()[-1] == ("sign-in.failed", "", "many")
    guess("another", 6, address="198.51.100.1")
    assert outcomes()[-1] == ("sign-in.failed", "another", "throttled"), "from elsewhere: not many"


def test_a_flood_that_is_not_even_looked_at_stands_in_the_trail(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": "3/m/ip"}
    answers = guess("ada", 7)
    assert [answer.status_code for answer in answers] == [422] * 3 + [429] * 4
    assert [outcome for *_, outcome in outcomes()] == ["", "", "", "throttled"]


def test_guesses_at_many_names_from_one_address_are_stopped_as_well() -> None:
    answers = [guess(f"name-{n}", 1)[0] for n in range(40)]
    assert sum("Too many failed attempts" in body(answer) for answer in answers) == 10


def test_the_guesser_is_kept_out_even_with_the_right_password(ada: User) -> None:
    guess("ada", 5)
    client = Client()
    assert "Too many" in body(give(client, "ada", REMOTE_ADDR=ATTACKER))
    assert not signed_in(client)


def test_nobody_is_locked_out_by_what_somebody_else_guesses(ada: User) -> None:
    guess("ada", 100)
    for n in range(100):
        guess("ada", 1, f"198.51.100.{n}")
    client = Client()
    assert give(client, "ada")["Location"] == "/"
    assert signed_in(client)


def test_an_attempt_is_forgotten_after_five_minutes(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess("ada", 5)
    later = time.time() + 301
    monkeypatch.setattr("allauth.core.internal.ratelimit.time.time", lambda: later)
    assert give(Client(), "ada", REMOTE_ADDR=ATTACKER)["Location"] == "/"


def test_signing_in_well_uses_up_no_attempt(ada: User) -> None:
    for _ in range(8):
        assert give(Client(), "ada")["Location"] == "/"


def test_all_web_processes_count_together(ada: User) -> None:
    """The counts are rows: what one process wrote, another reads."""
    guess("ada", 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pilothouse_cache WHERE cache_key LIKE '%login_failed%'"
        )
        assert cursor.fetchone()[0] == 2  # by the address, and by the name with it
    cache.clear()


@pytest.mark.parametrize("times", [1, 7])
def test_known_unknown_and_disabled_names_get_the_same_answers(ada: User, times: int) -> None:
    out = person("eve")
    User.objects.filter(pk=out.pk).update(is_active=False)
    answers = {
        name: alike(guess(name, times, f"192.0.2.{n}")[-1], name)
        for n, name in enumerate(("ada", "eve", "who"))
    }
    assert answers["ada"] == answers["eve"] == answers["who"]
    right = give(Client(), "eve", REMOTE_ADDR="192.0.2.50")
    assert alike(right, "eve") == alike(guess("who", 1, "192.0.2.51")[0], "who")


def test_known_and_unknown_names_take_the_same_time(ada: User, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    taken: dict[str, list[float]] = {"ada": [], "who": []}
    for _ in range(5):
        for name, seconds in taken.items():
            begun = time.process_time()
            give(Client(), name, "wrong")
            seconds.append(time.process_time() - begun)
    known, unknown = (statistics.median(seconds) for seconds in taken.values())
    assert 0.6 < known / unknown < 1.7


# --- Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.7", "10.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "nonsense", "10.0.0.1"),
        (1, "2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_clients_word_for_its_address_is_not_believed(
    ada: User, settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers=headers)
    assert address_of(request) == address
    raw = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"user": ada, "client": ("10.0.0.1", 1), "headers": raw}
    assert actor_of_scope(scope).address == address


def test_a_forged_address_opens_no_new_attempts(ada: User) -> None:
    for n in range(5):
        give(Client(), "ada", "wrong", headers={"X-Forwarded-For": f"198.51.100.{n}"})
    answer = give(Client(), "ada", "wrong", headers={"X-Forwarded-For": "198.51.100.99"})
    assert "Too many" in body(answer)
    assert set(AuditEntry.objects.values_list("address", flat=True)) == {"127.0.0.1"}


# --- One-time links ------------------------------------------------------------------------------


def test_a_link_skips_no_second_factor(ada: User) -> None:
    give_app(ada)
    client = Client()
    answer = client.post(f"/sign-in/link/{issue_link(ada)}/")
    assert answer["Location"] == SECOND_FACTOR
    assert not signed_in(client)
    client.post(SECOND_FACTOR, {"code": code_now()})
    assert signed_in(client)


def test_a_link_ends_the_session_of_whoever_was_signed_in_before(ada: User) -> None:
    client = browser_of(person("eve"))
    client.post(f"/sign-in/link/{issue_link(ada)}/")
    assert "ada" in body(client.get("/account/"))
    assert audited() == ["sign-out", "sign-in.link"]


def test_the_audit_trail_tells_how_somebody_signed_in(ada: User) -> None:
    give(Client(), "ada")
    give_app(ada)
    client = Client()
    give(client, "ada")
    client.post(SECOND_FACTOR, {"code": code_now()})
    by = list(AuditEntry.objects.order_by("id").values_list("detail__by", flat=True))
    assert by == [["password"], ["password", "totp"]]


# --- Second factors ------------------------------------------------------------------------------


def test_a_password_is_not_enough_for_who_has_a_second_factor(ada: User) -> None:
    give_app(ada)
    client = Client()
    assert give(client, "ada")["Location"] == SECOND_FACTOR
    assert not signed_in(client)
    assert audited() == []
    wrong = client.post(SECOND_FACTOR, {"code": "000000"})
    assert wrong.status_code == 422
    assert "not a code of yours" in body(wrong)
    assert not signed_in(client)
    assert client.post(SECOND_FACTOR, {"code": code_now()})["Location"] == "/"
    assert signed_in(client)
    assert audited() == ["sign-in.failed", "sign-in"]


def test_a_code_works_once_and_a_recovery_code_as_well(ada: User) -> None:
    give_app(ada)
    spare, *_ = give_recovery_codes(ada)
    for code in (code_now(), spare):
        first, second = Client(), Client()
        for client in (first, second):
            give(client, "ada")
            client.post(SECOND_FACTOR, {"code": code})
        assert signed_in(first)
        assert not signed_in(second)


def test_guessing_codes_is_stopped_even_with_the_right_one_and_from_elsewhere(ada: User) -> None:
    give_app(ada)
    for n in range(6):
        client = Client(REMOTE_ADDR=f"198.51.100.{n}")
        give(client, "ada")
        client.post(SECOND_FACTOR, {"code": "000000"})
    answer = client.post(SECOND_FACTOR, {"code": code_now()})
    assert "Too many failed attempts" in body(answer)
    assert not signed_in(client)
    assert [outcome for *_, outcome in outcomes()] == [""] * 5 + ["throttled"]
    assert AuditEntry.objects.get(outcome="throttled").actor == ada


def test_the_second_step_is_nothing_without_the_first(ada: User) -> None:
    give_app(ada)
    assert Client().get(SECOND_FACTOR)["Location"] == SIGN_IN
    assert Client().post(SECOND_FACTOR, {"code": code_now()})["Location"] == SIGN_IN


def test_a_sign_in_that_waits_for_its_second_factor_can_be_left(ada: User) -> None:
    give_app(ada)
    person("eve")
    client = Client()
    give(client, "ada")
    client.post("/sign-out/")
    assert give(client, "eve")["Location"] == "/"


@pytest.mark.parametrize("rubbish", ["", "[]", "{}", "null", '{"id": 1}', '{"rawId": "%"}', "\0"])
def test_a_key_that_is_none_is_refused_in_words(ada: User, rubbish: str) -> None:
    give_app(ada)
    client = Client()
    give(client, "ada")
    answer = client.post(SECOND_FACTOR, {"credential": rubbish})
    assert answer.status_code == 422
    assert not signed_in(client)


# --- Sessions and cookies ------------------------------------------------------------------------


def test_a_session_ends_after_twelve_hours_however_busy_it_is(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    give(client, "ada")
    end = Session.objects.get().expire_date
    assert abs(end - timezone.now() - timedelta(hours=12)) < timedelta(seconds=30)
    later = timezone.now() + timedelta(hours=6)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    busy = client.session
    busy["anything"] = 1
    busy.save()
    assert Session.objects.get().expire_date == end
    later += timedelta(hours=6, seconds=30)
    assert not signed_in(client)


@pytest.mark.parametrize("https", [True, False])
def test_the_sessions_cookie_is_out_of_others_reach(ada: User, settings: Any, https: bool) -> None:
    settings.SESSION_COOKIE_SECURE = https
    cookie = give(Client(), "ada").cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert bool(cookie["secure"]) is https
    assert 12 * 3600 - 30 < cookie["max-age"] <= 12 * 3600


def test_signing_in_gives_a_new_session_and_csrf_token(ada: User) -> None:
    client = Client()
    client.get(SIGN_IN)
    client.session["x"] = 1
    client.session.save()
    before = client.cookies["csrftoken"].value
    give(client, "ada")
    assert client.cookies["csrftoken"].value != before


# --- Passwords -----------------------------------------------------------------------------------


def test_a_new_password_ends_all_other_sessions(ada: User) -> None:
    here, there = Client(), Client()
    give(here, "ada")
    give(there, "ada")
    new = "another horse another battery"
    here.post("/account/password/", {"current": PASSWORD, "password": new, "again": new})
    assert signed_in(here)
    assert Session.objects.count() == 1  # deleted: an open socket looks for the row
    assert not signed_in(there)
    assert audited()[-1] == "password.set"


def test_the_present_password_cannot_be_guessed_by_whoever_holds_the_session(ada: User) -> None:
    client = browser_of(ada)
    new = "another horse another battery"
    for _ in range(5):
        client.post("/account/password/", {"current": "x", "password": new, "again": new})
    asked = {"current": PASSWORD, "password": new, "again": new}
    assert "Too many failed attempts" in body(client.post("/account/password/", asked))
    assert audited() == ["proof.failed"] * 6
    assert outcomes()[-1] == ("proof.failed", "ada", "throttled")


# --- What there is not ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "signup/", "accounts/signup/", "sign-up/", "password/reset/", "account/email/",
        "account/signup/", "account/login/", "account/password/reset/", "account/3rdparty/",
        "account/keys/login/", "account/recovery-codes/download/", "oidc/x/login/",
        "sign-in/provider/callback/",
    ],
)  # fmt: skip
def test_what_is_not_offered_is_not_there(ada: User, path: str) -> None:
    for client in (Client(), browser_of(ada)):
        assert client.get(f"/{path}").status_code == 404


def test_a_person_without_grants_can_still_care_for_their_account() -> None:
    assert signed_in(browser_of(make_user()))
