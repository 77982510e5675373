"""Rules of signing in and out, passwords, the audit trail, and failures in words."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from access.authorize import Forbidden
from access.models import AuditEntry, Grant, User
from access.policy import EVERYWHERE, Action, Role
from access.tokens import issue_link
from clusters.models import Cluster
from clusters.problems import Busy, Invalid, NotFound
from controlpanel.middleware import in_words
from tests.unit.panel import browser_of, make_cluster, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
PASSWORD = "correct horse battery staple"
SIGN_IN = "/sign-in/"


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada", password=PASSWORD)
    for role in (Role.ADMIN, Role.AUDITOR):
        Grant.objects.create(user=user, role=role)
    return user


def sign_in(username: str, password: str, **extra: Any) -> Any:
    return Client().post(SIGN_IN, {"username": username, "password": password, **extra})


def body(answer: Any) -> str:
    return str(answer.content.decode())


# --- Signing in ----------------------------------------------------------------------------------


def test_the_right_password_signs_in_and_leaves_a_trace(ada: User) -> None:
    answer = sign_in("ada", PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name, entry.address) == ("sign-in", "ada", "127.0.0.1")


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(ada: User) -> None:
    wrong, unknown = sign_in("ada", "wrong"), sign_in("eve", "wrong")
    assert wrong.status_code == unknown.status_code == 422
    shown = [body(a).replace("ada", "x").replace("eve", "x") for a in (wrong, unknown)]
    assert "do not fit together" in shown[0]
    assert without_token(shown[0]) == without_token(shown[1])
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["sign-in.failed"] * 2


def without_token(page: str) -> str:
    """The page without the CSRF tokens, which differ each time."""
    return "".join(line for line in page.splitlines() if "csrf" not in line.lower())


def test_the_password_never_comes_back_nor_into_the_trail(ada: User) -> None:
    answer = sign_in("ada", "a-wrong-password")
    assert "a-wrong-password" not in body(answer)
    assert "a-wrong-password" not in str(AuditEntry.objects.values())


def test_guessing_is_stopped_even_with_the_right_password(ada: User) -> None:
    for _ in range(5):
        sign_in("ada", "wrong")
    answer = sign_in("ada", PASSWORD)
    assert answer.status_code == 422
    assert "Wait five minutes" in body(answer)


@pytest.mark.parametrize("aim", ["https://evil.example", "//evil.example", "javascript:alert(1)"])
def test_signing_in_leads_only_to_our_own_pages(ada: User, aim: str) -> None:
    assert sign_in("ada", PASSWORD, next=aim)["Location"] == "/"
    assert sign_in("ada", PASSWORD, next="/operations/")["Location"] == "/operations/"


def test_looking_at_a_link_does_not_use_it_up() -> None:
    secret = issue_link(make_user(Role.ADMIN))
    client = Client()
    assert "works once" in body(client.get(f"/sign-in/link/{secret}/"))
    assert "works once" in body(client.get(f"/sign-in/link/{secret}/"))
    answer = client.post(f"/sign-in/link/{secret}/")
    assert answer["Location"] == "/account/password/"  # who has no password chooses one
    assert Client().post(f"/sign-in/link/{secret}/").status_code == 410
    assert Client().get(f"/sign-in/link/{secret}/").status_code == 410


def test_a_first_password_is_set_without_an_old_one_and_keeps_the_session() -> None:
    user = make_user(Role.ADMIN)
    user.set_unusable_password()
    user.save()
    client = browser_of(user)
    answer = client.post("/account/password/", {"password": PASSWORD, "again": PASSWORD})
    assert answer["Location"] == "/"
    assert client.get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current": "wrong"}, "not your present password"),
        ({"again": "something else entirely"}, "not the same"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"current": ""}, "required"),
    ],
)
def test_a_password_is_changed_only_by_who_knows_it(
    ada: User, fields: dict[str, str], words: str
) -> None:
    new = "another horse another battery"
    asked = {"current": PASSWORD, "password": new, "again": new, **fields}
    answer = browser_of(ada).post("/account/password/", asked)
    assert answer.status_code == 422
    assert words in body(answer)
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_signing_out_takes_a_post_and_ends_the_session(ada: User) -> None:
    client = browser_of(ada)
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/")["Location"].startswith(SIGN_IN)
    assert AuditEntry.objects.get().action == "sign-out"


def test_a_disabled_account_is_signed_out_at_once(ada: User) -> None:
    client = browser_of(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get("/").status_code == 302


# --- The audit trail -----------------------------------------------------------------------------


def test_the_audit_trail_is_for_auditors() -> None:
    assert browser_of(make_user(Role.ADMIN)).get("/audit/").status_code == 403
    assert browser_of(make_user(Role.AUDITOR)).get("/audit/").status_code == 200


def test_the_audit_trail_is_narrowed_by_who_and_what(ada: User) -> None:
    sign_in("eve", "wrong")
    client = browser_of(ada)
    sign_in("ada", PASSWORD)
    assert "eve" in body(client.get("/audit/", {"action": "failed"}))
    rows = client.get("/audit/", {"actor": "ada"}).context["rows"]
    assert "sign-in.failed" not in {row.entry.action for row in rows}


# --- Failures in words ---------------------------------------------------------------------------


def failed(failure: Exception, **headers: str) -> Any:
    request = RequestFactory().get("/x/", headers=headers)
    request.user = make_user(Role.VIEWER)
    return in_words(request, failure)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotFound("There is no x."), 404),
        (Invalid("Not so."), 422),
        (Busy("Wait.", "5d1f7a30-0000-4000-8000-000000000000"), 409),
        (Forbidden(Action.SERVICE_SCALE, EVERYWHERE, visible=True), 403),
        (Forbidden(Action.SERVICE_SCALE, EVERYWHERE, visible=False), 404),
        (OperationalError("password=hunter2"), 503),
    ],
)
def test_each_failure_has_its_status_as_a_page_and_as_a_notice(
    failure: Exception, status: int
) -> None:
    page, notice = failed(failure), failed(failure, hx_request="true")
    assert page.status_code == notice.status_code == status
    assert "<html" in body(page)
    assert "<html" not in body(notice)
    assert notice["HX-Retarget"] == "#notices"
    assert "hunter2" not in body(page) + body(notice)


def test_a_failure_in_an_open_dialog_leaves_its_form() -> None:
    request = RequestFactory().post("/x/", headers={"hx-request": "true", "hx-target": "dialog"})
    request.user = make_user(Role.VIEWER)
    answer = in_words(request, NotFound("Gone."))
    assert answer is not None
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#dialog-notice", "innerHTML")


def test_a_bug_of_ours_is_no_expected_failure() -> None:
    assert failed(KeyError("x")) is None


def test_an_unknown_address_is_a_page_of_ours(ada: User) -> None:
    answer = browser_of(ada).get("/nowhere/")
    assert answer.status_code == 404
    assert "There is no page at this address" in body(answer)


# --- The shell -----------------------------------------------------------------------------------


def test_a_page_sets_everything_that_its_policy_lets_through(ada: User) -> None:
    make_cluster()
    answer = browser_of(ada).get("/")
    page = body(answer)
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page


def test_a_simulated_swarm_is_told_on_every_page(ada: User) -> None:
    client = browser_of(ada)
    cluster = make_cluster()
    assert "Simulated Swarm" not in body(client.get("/"))
    Cluster.objects.filter(pk=cluster.pk).update(simulated=True)
    for page in ("/", "/operations/", "/audit/", "/clusters/local/services/", "/nowhere/"):
        assert "Simulated Swarm" in body(client.get(page))


def test_the_palette_offers_only_what_one_may_do() -> None:
    make_cluster()
    viewer, admin = browser_of(make_user(Role.VIEWER)), browser_of(make_user(Role.AUDITOR))
    assert "Audit trail" in body(admin.get("/palette/", {"q": "audit"}))
    assert "Audit trail" not in body(viewer.get("/palette/", {"q": "audit"}))
