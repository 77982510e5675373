"""Attacks on panels like this one, as they were made elsewhere, and what holds against them here.

There are twenty; `WHERE` says which tests hold which, here or in another file. Attack 9 (schedules
that anybody may write) has no feature yet to be made on.
"""

import http.server
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from access.models import AuditEntry, Grant, SignInLink, User
from access.operations.first import ensure_admin
from access.policy import EVERYWHERE, Action, Role, Scope
from clusters import destinations
from clusters.adapters import checked
from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.adapters.ssh import SSHTunnel
from clusters.models import Cluster, Operation, Service
from clusters.ports import NOT_ENGINES, Connection, EngineUnreachable
from clusters.registration import NewCluster
from tests.unit.panel import (
    MARKS,
    ApiClient,
    browser_of,
    change_elsewhere,
    client_of,
    make_cluster,
    make_service,
    make_user,
)
from tests.unit.world import calls

pytestmark = MARKS
__all__ = ["calls"]
WEB = "/clusters/local/services/web"
CHANGES = ("scale", "update", "rollback", "restart", "resume")

# --- Which test holds which attack ---------------------------------------------------------------

SECRETS, PEOPLE = "unit/test_attacks_secrets", "unit/test_attacks_people"
PERMISSIONS, DEFENCES, LIVE = "unit/test_permissions", "unit/test_defences", "integration/test_live"
PROCESSES = "integration/test_attacks"
NOT_YET = {9}
WHERE: dict[int, dict[str, list[str]]] = {
    1: {
        "unit/test_attacks": ["no_change_takes_a_field_that_gives_the_host_away"],
        SECRETS: [
            "no_secret_or_config_takes_a_field_that_nobody_checks",
            "who_may_not_write_reaches_no_engine_whatever_is_sent",
            "who_may_not_change_a_service_changes_none_whatever_is_sent",
            "a_form_carries_nothing_past_its_own_fields",
        ],
    },
    2: {"unit/test_attacks": ["an_address_that_is_not_listed_is_absent"]},
    3: {
        PERMISSIONS: ["an_operation_is_nobodys_without_a_credential"],
        DEFENCES: [
            "a_token_in_the_address_of_a_page_is_no_credential", "no_secret_stands_in_a_log",
        ],
        LIVE: ["a_token_in_the_address_lets_nobody_in"],
        PROCESSES: ["no_credential_in_an_address_opens_anything_or_reaches_a_log"],
    },
    4: {
        PERMISSIONS: [
            "an_entry_point_declares_what_it_needs", "a_page_is_for_those_that_it_declares",
            "an_operation_is_for_those_that_it_declares",
            "a_task_that_is_told_of_nothing_does_nothing",
        ],
        LIVE: ["a_viewer_of_another_scope_gets_nothing"],
    },
    5: {
        "unit/test_attacks": [
            "what_stands_in_a_body_leads_to_no_foreign_cluster", "a_revision_is_the_services_own",
            "a_foreign_engines_id_names_nothing",
        ],
    },
    6: {
        PEOPLE: [
            "an_invitation_is_kept_as_a_hash_alone", "an_invitation_lets_in_once",
            "an_invitation_is_its_recipients", "an_invitation_that_ended_lets_nobody_in",
            "a_guessed_invitation_says_nothing",
        ],
    },
    7: {
        SECRETS: [
            "a_planted_value_is_shown_to_nobody", "the_crawl_sees_what_may_be_seen",
            "a_value_on_its_way_is_told_and_kept_nowhere",
        ],
        "integration/test_secrets_stay_secret": ["a_planted_value_is_found_nowhere"],
    },
    8: {
        "unit/test_attacks": [
            "no_text_of_a_change_starts_a_program",
            "no_address_smuggles_an_option_or_a_command",
        ],
    },
    10: {
        LIVE: [
            "rights_that_end_or_change_close_an_idle_socket",
            "a_session_that_is_ended_on_the_account_page_falls_silent_within_a_second",
            "a_tokens_open_socket_ends_within_a_second",
        ],
    },
    11: {
        PERMISSIONS: ["a_form_without_its_csrf_token_is_refused"],
        DEFENCES: ["only_our_own_pages_open_a_socket"],
        PROCESSES: ["a_page_of_another_origin_opens_no_socket"],
    },
    12: {
        "unit/test_attacks": ["markup_in_names_labels_values_and_errors_is_text"],
        DEFENCES: ["a_page_holds_nothing_inline_and_tells_browsers_what_it_never_does"],
        "browser/doing/test_payloads": ["payloads_in_labels_values_logs_and_errors_stay_text"],
    },
    13: {
        PERMISSIONS: [
            "nothing_but_signing_in_and_health_is_open_to_anybody",
            "a_page_leads_who_is_not_signed_in_to_signing_in",
        ],
        "unit/test_attacks": ["an_absent_object_takes_as_many_questions_as_a_forbidden_one"],
    },
    14: {
        DEFENCES: ["an_unsafe_setting_refuses_to_start_and_says_the_way_out"],
        PROCESSES: ["a_forged_message_does_nothing", "no_process_starts_with_unsafe_settings"],
    },
    15: {
        "unit/test_sign_in": [
            "of_a_hundred_guesses_the_sixth_and_all_after_it_are_not_even_tried",
            "nobody_is_locked_out_by_what_somebody_else_guesses",
            "known_unknown_and_disabled_names_get_the_same_answers",
        ],
    },
    16: {
        PEOPLE: [
            "a_token_that_ended_opens_nothing_at_all",
            "a_disabled_persons_browser_is_signed_out_with_its_next_request",
        ],
    },
    17: {
        "unit/test_attacks": [
            "the_machines_surroundings_are_no_engine", "a_redirect_is_not_followed",
            "a_name_that_means_another_address_a_moment_later_is_connected_to_as_it_was_judged",
        ],
    },
    18: {
        "unit/test_attacks": ["an_identity_is_matched_whole"],
        PERMISSIONS: ["nothing_but_signing_in_and_health_is_open_to_anybody"],
        "unit/test_oidc": ["an_equal_name_or_address_takes_no_account_over"],
    },
    19: {  # there are no agents yet; sockets of browsers and programs end with their credential
        LIVE: ["nobody_signed_in_gets_nothing", "rights_that_end_or_change_close_an_idle_socket"],
        "unit/test_sessions": ["signing_out_leaves_no_session_behind"],
    },
    20: {"unit/test_attacks": ["there_is_no_password_to_begin_with"]},
}  # fmt: skip


def test_each_attack_has_its_tests() -> None:
    assert WHERE.keys() | NOT_YET == {*range(1, 21)}
    folder = Path(__file__).parents[1]
    for number, files in WHERE.items():
        for file, names in files.items():
            text = (folder / f"{file}.py").read_text()
            for name in names:
                assert f"def test_{name}(" in text, (number, file, name)


# --- Ways around the checks ----------------------------------------------------------------------

DANGEROUS: dict[str, Any] = {
    "mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}],
    "TaskTemplate": {"ContainerSpec": {"Mounts": [{"Type": "bind", "Source": "/"}]}},
    "volumes": [{"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/"}}}],
    "privileges": {"Seccomp": {"Mode": "unconfined"}},
    "capability_add": ["CAP_SYS_ADMIN"],
    "user": "root",
    "networks": ["host"],
    "secrets": ["other"],
    "spec": {},
}


@pytest.mark.parametrize("field", DANGEROUS)
@pytest.mark.parametrize("change", CHANGES)
def test_no_change_takes_a_field_that_gives_the_host_away(change: str, field: str) -> None:
    """Attack 1, Portainer CVE-2026-44849:
    one way of changing a service ran none of the other's checks."""
    make_service(make_cluster())
    body = {"replicas": 5} if change == "scale" else {}
    answer = client_of(Role.OPERATOR).post(f"{WEB}/{change}", {**body, field: DANGEROUS[field]})
    assert answer.status_code == 422, answer.content
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/containers/json", "/v1.40/containers/json", "/images/json", "/services", "/exec/x/start",
        "/api/v1/clusters/local/docker/containers/json", "/api/v1/clusters/local/proxy/services",
        "/api/endpoints/1/docker/containers/json", "/api/v1/clusters/local/containers/x/exec",
        "/admin/", "/api/v1/clusters/local/services/web/../../../../containers/json", "/metrics",
        "/static/../controlpanel/settings.py", "/static/%2e%2e/manage.py", "/.git/config", "/.env",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_an_address_that_is_not_listed_is_absent(path: str, method: str, calls: list[str]) -> None:
    """Attack 2, Portainer CVE-2026-44848: what was not listed fell through to the engine."""
    make_service(make_cluster())
    browser = browser_of(make_user(Role.ADMIN))
    answer = browser.generic(method, path)
    assert answer.status_code in (404, 405), answer.status_code
    assert b"SECRET_KEY" not in (answer.content if not answer.streaming else answer.getvalue())
    assert calls == []


# --- Foreign objects -----------------------------------------------------------------------------


@pytest.fixture
def foreign() -> tuple[User, Service, Service]:
    """An operator of cluster `mine`, a service there, and one of the same name in `theirs`."""
    user = make_user(Role.OPERATOR, cluster="mine")
    mine, theirs = (make_service(make_cluster(name), "web") for name in ("mine", "theirs"))
    Service.objects.filter(pk=theirs.pk).update(engine_id="id-theirs")
    theirs.refresh_from_db()
    change_elsewhere(theirs, Env=["THEIRS=1"])
    return user, mine, theirs


FOREIGN = {
    "cluster": "theirs", "service": "id-theirs", "target_id": "id-theirs", "target": "web",
    "cluster_id": "2", "stack": "", "service_engine_id": "id-theirs", "actor": "admin",
    "requested_by": "1", "action": "cluster.remove",
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_stands_in_a_body_leads_to_no_foreign_cluster(
    foreign: tuple[User, Service, Service], name: str
) -> None:
    """Attack 5, Argo CVE-2023-23947:
    a right on one cluster changed another, by what the body named."""
    user, mine, theirs = foreign
    path = "/clusters/mine/services/web/scale"
    answer = ApiClient(user).post(path, {"replicas": 5, name: FOREIGN[name]})
    assert answer.status_code == 422
    fields = {"step": "confirm", "replicas": "5", "version": str(mine.version), name: FOREIGN[name]}
    browser_of(user).post("/clusters/mine/services/web/scale/", fields)
    browser_of(user).post(f"/clusters/mine/services/web/scale/?{name}={FOREIGN[name]}", fields)
    (operation,) = Operation.objects.all()
    assert (operation.cluster, operation.target_id) == (mine.cluster, mine.engine_id)
    assert operation.requested_by == user


def test_a_foreign_engines_id_names_nothing(foreign: tuple[User, Service, Service]) -> None:
    user, _, theirs = foreign
    for path in (f"/clusters/mine/services/{theirs.engine_id}", "/clusters/theirs/services/web"):
        assert ApiClient(user).post(f"{path}/scale", {"replicas": 5}).status_code == 404
    assert not Operation.objects.exists()


def test_a_revision_is_the_services_own(foreign: tuple[User, Service, Service]) -> None:
    user, _, _ = foreign
    answer = ApiClient(user).post("/clusters/mine/services/web/rollback", {"revision": 2})
    assert answer.status_code == 422  # their second revision is none of mine
    assert not Operation.objects.exists()


def test_anothers_idempotency_key_answers_nothing_of_theirs() -> None:
    service = make_service(make_cluster())
    one, other = make_user(Role.OPERATOR), make_user(Role.OPERATOR)
    first = ApiClient(one).post(f"{WEB}/scale", {"replicas": 5}, idempotency_key="k").json()
    Operation.objects.update(state="succeeded")
    second = ApiClient(other).post(f"{WEB}/scale", {"replicas": 6}, idempotency_key="k").json()
    assert first["id"] != second["id"]
    assert Operation.objects.filter(target_id=service.engine_id).count() == 2


def test_an_absent_object_takes_as_many_questions_as_a_forbidden_one() -> None:
    """Attack 13, AWX CVE-2020-14337: what one may not see could be told from what is not there."""
    for name in ("mine", "theirs"):
        make_service(make_cluster(name))
    user = make_user(Role.OPERATOR, cluster="mine")
    browser, api = browser_of(user), ApiClient(user)

    def asked(call: Callable[[], Any]) -> list[str]:
        call()  # what is read once
        with CaptureQueriesContext(
            connection,
        ) as captured:
            call()
        return [query["sql"].split("WHERE")[0] for query in captured.captured_queries]

    for path in ("/clusters/{}/", "/clusters/{}/services/web/", "/clusters/{}/services/web/scale/"):
        absent = asked(lambda path=path: browser.get(path.format("ghost")))
        assert asked(lambda path=path: browser.get(path.format("theirs"))) == absent
    absent = asked(lambda: api.get("/clusters/ghost/services/web"))
    assert asked(lambda: api.get("/clusters/theirs/services/web")) == absent


# --- Values that are for some alone --------------------------------------------------------------

CANARY = "canary-4f0c2d1e"


def test_a_changed_value_stands_in_no_audit_entry() -> None:
    """Attack 7."""
    make_service(make_cluster(), Env=["PASSWORD=old"])
    answer = client_of(Role.OPERATOR).post(f"{WEB}/update", {"env": {"PASSWORD": CANARY}})
    assert answer.status_code == 202
    assert CANARY not in str(list(AuditEntry.objects.values()))


# --- Shells and options --------------------------------------------------------------------------

SHELL = [
    "; id", "$(id)", "`id`", "| id", "&& id", "> /tmp/x", "\n id", "-oProxyCommand=id", "--help",
    "'; id #", '"; id #', "${IFS}id", "%0aid", "\\x00", "a b",
]  # fmt: skip


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"a program was started: {args}")

    for place, name in ((subprocess, "Popen"), (os, "system"), (os, "popen"), (os, "execv")):
        monkeypatch.setattr(place, name, refuse)


@pytest.mark.parametrize("payload", SHELL)
def test_no_text_of_a_change_starts_a_program(payload: str, no_program: None) -> None:
    """Attack 8, Coolify CVE-2025-66209, Dokploy CVE-2026-27130:
    names and addresses ended in a shell."""
    make_service(make_cluster())
    operator = client_of(Role.OPERATOR)
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("update", {"image": payload}), ("update", {"env": {"A": payload}}),
        ("update", {"env": {payload: "A"}}), ("update", {"labels": {payload: payload}}),
        ("update", {"container_labels": {"a": payload}}), ("update", {"constraints": [payload]}),
        ("update", {"update_config": {"order": payload}}),
        ("update", {"resources": {"limits": {"memory": payload}}}),
    ]  # fmt: skip
    for change, body in bodies:
        answer = operator.post(f"{WEB}/{change}?dry_run=true", body)
        assert answer.status_code in (200, 400, 422), answer.content
    for path in (f"/clusters/{payload}", f"/clusters/local/services/{payload}"):
        assert operator.get(path).status_code in (404, 422)
    browser = browser_of(make_user(Role.OPERATOR))
    for query in ("q", "stack", "state", "image", "sort", "page"):
        assert browser.get("/clusters/local/services/", {query: payload}).status_code == 200


@pytest.mark.parametrize("payload", SHELL)
@pytest.mark.parametrize(
    "address",
    ["ssh://{}@host", "ssh://ops@{}", "ssh://ops@host:{}", "ssh://ops@host/{}", "ssh://{}",
     "tcp://{}:2376", "tcp://host:{}", "unix:///run/{}", "{}"],
)  # fmt: skip
def test_no_address_smuggles_an_option_or_a_command(address: str, payload: str) -> None:
    text = address.format(payload)
    try:
        NewCluster(name="a", addresses=[text])
    except ValidationError:
        return
    # What is left are paths whose dashes stand behind a slash: one argument, and no option.
    assert shlex.quote(text) == text
    assert "/-" in text


@given(st.text(max_size=40))
def test_whatever_is_let_through_is_one_plain_word_to_ssh(text: str) -> None:
    for address in (f"ssh://{text}", f"ssh://{text}@host", f"ssh://ops@{text}"):
        try:
            NewCluster(name="a", addresses=[address])
        except ValidationError:
            continue
        command = SSHTunnel(address, 1.0)._command()
        assert command[-2] == "--"
        assert not command[-1].startswith("-")
        assert all(shlex.quote(part) == part for part in command)


@pytest.mark.parametrize("advertise", [*SHELL, "-x", "eth0;id", "", " "])
def test_the_address_to_advertise_is_one_word(advertise: str) -> None:
    make_cluster("bare", Cluster.State.NOT_A_SWARM)
    answer = client_of(Role.ADMIN).post("/clusters/bare/swarm/init", {"advertise": advertise})
    assert answer.status_code in (400, 422)


# --- Who somebody is -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kim", "Kimberly", "kimb", "xkimberly", "kimberly ", "KIMBERLY"])
def test_an_identity_is_matched_whole(name: str) -> None:
    """Attack 18, Flower CVE-2022-30034: an address that contained the right one passed."""
    kimberly = User.objects.create_user("kimberly", password="correct horse battery")
    Grant.objects.create(user=kimberly, role=Role.ADMIN)
    answer = Client().post("/sign-in/", {"username": name, "password": "correct horse battery"})
    assert answer.status_code == (302 if name.strip() == "kimberly" else 422)


@pytest.mark.parametrize(
    "password", ["", "admin", "password", "pilothouse", "captain42", "changeme"]
)
def test_there_is_no_password_to_begin_with(password: str) -> None:
    """Attack 20, CapRover's captain42, Argo CVE-2020-8828:
    a first password that everybody knows."""
    ensure_admin(None)
    answer = Client().post("/sign-in/", {"username": "admin", "password": password})
    assert answer.status_code == 422
    assert SignInLink.objects.get().expires_at is not None


# --- Payloads in what others name ----------------------------------------------------------------

PAYLOADS = [
    "<script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "javascript:pwned()",
    "\"><svg onload=pwned=1>", "' hx-get='/x' hx-trigger='load", "{{ 7*7 }}",
    "</title><script>x</script>", "<!-- x",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_names_labels_values_and_errors_is_text(payload: str) -> None:
    """Attack 12, Argo CVE-2022-31035:
    a link in an object of the cluster ran as the one who opened it."""
    service = make_service(make_cluster(), Env=[f"A={payload}"], Labels={payload: payload})
    service.spec["Labels"] = {payload: payload}
    service.last_error = service.update_message = service.placement = payload
    service.save()
    operator = make_user(Role.OPERATOR)
    Grant.objects.create(user=operator, role=Role.AUDITOR)
    AuditEntry.objects.all()
    browser = browser_of(operator)
    for page in ("", "configuration/", "spec/", "revisions/", "update/", "operations/"):
        content = browser.get(f"/clusters/local/services/web/{page}").content.decode()
        assert_inert(content, payload)
    assert_inert(browser.get("/audit/", {"actor": payload}).content.decode(), payload)
    assert_inert(browser.get("/palette/", {"q": payload}).content.decode(), payload)
    assert_inert(browser.get(f"/clusters/{payload}/").content.decode(), payload)


def assert_inert(content: str, payload: str) -> None:
    if any(mark in payload for mark in "<>\"'"):
        assert payload not in content
    assert 'href="javascript:' not in content
    assert "49" not in content if payload == "{{ 7*7 }}" and "49" in payload else True


# --- Where the panel connects to -----------------------------------------------------------------

METADATA = [
    "tcp://169.254.169.254:80", "tcp://169.254.170.2:80", "tcp://[fe80::1]:80",
    "tcp://[fd00:ec2::254]:80", "tcp://[::ffff:169.254.169.254]:80", "tcp://0.0.0.0:2375",
    "tcp://[::]:2375", "tcp://[64:ff9b::a9fe:a9fe]:80", "tcp://100.100.100.200:80",
    "tcp://2852039166:80", "tcp://0xa9fea9fe:80", "tcp://0251.0376.0251.0376:80",
    "ssh://root@169.254.169.254", "tcp://224.0.0.1:1",
]  # fmt: skip
SOCKETS = [
    "unix:///etc/passwd", "unix:///run/containerd/containerd.sock", "unix:///var/run/../run/x.sock",
    "unix:///run/docker.sock/../x", "unix:///run/user/1000/../docker.sock", "unix:////run/docker.sock",
]  # fmt: skip


@pytest.mark.parametrize("address", [*METADATA, *SOCKETS])
def test_the_machines_surroundings_are_no_engine(address: str) -> None:
    """Attack 17, AWX CVE-2020-14327: a URL that a user gave was asked by the server itself."""
    body = {"name": "cloud", "addresses": ["tcp://192.0.2.1:2376", address]}
    answer = client_of(Role.ADMIN).post("/clusters", body)
    assert answer.status_code == 422, answer.content
    assert not Cluster.objects.exists()
    fields = {"name": "cloud", "addresses": address}
    page = browser_of(make_user(Role.ADMIN)).post("/clusters/new/", fields)
    assert page.status_code == 422
    assert not Cluster.objects.exists()


@pytest.mark.parametrize("name", ["PILOTHOUSE_ENGINE_REFUSED", "PILOTHOUSE_ENGINE_SOCKETS"])
def test_a_refusal_names_its_setting(name: str) -> None:
    address = "unix:///x" if name.endswith("SOCKETS") else "tcp://169.254.169.254:80"
    answer = client_of(Role.ADMIN).post("/clusters", {"name": "a", "addresses": [address]})
    assert name in answer.json()["detail"]


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:2375", "tcp://10.0.0.5:2376", "unix:///run/user/1000/docker.sock"]
)
def test_the_machine_itself_and_private_networks_have_engines(address: str) -> None:
    answer = client_of(Role.ADMIN).post("/clusters", {"name": "a", "addresses": [address]})
    assert answer.status_code == 201


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A server that is no engine: it redirects, or says something that is nobody's business."""

    asked: list[str] = []
    redirect_to = ""

    def do_GET(self) -> None:
        Elsewhere.asked.append(self.path)
        if self.redirect_to:
            self.send_response(302)
            self.send_header("Location", self.redirect_to)
            self.end_headers()
            return
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"the-inner-secret")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[int]:
    Elsewhere.asked, Elsewhere.redirect_to = [], ""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def facts(address: str, refused: tuple[str, ...] = NOT_ENGINES) -> str:
    """What the panel says of an address that leads to no engine."""
    engine = DockerEngine(Connection((address,), timeout=2.0, refused=refused))
    try:
        with pytest.raises(EngineUnreachable) as failure:
            engine.facts()
    finally:
        engine.close()
    return str(failure.value)


async def events(address: str, refused: tuple[str, ...] = NOT_ENGINES) -> str:
    streams = DockerStreams(Connection((address,), timeout=2.0, refused=refused))
    try:
        with pytest.raises(EngineUnreachable) as failure:
            async for _ in streams.events():
                pass
    finally:
        await streams.close()
    return str(failure.value)


def test_a_redirect_is_not_followed(elsewhere: int) -> None:
    Elsewhere.redirect_to = f"http://127.0.0.1:{elsewhere}/inner"
    assert "redirect" in facts(f"tcp://127.0.0.1:{elsewhere}")
    assert Elsewhere.asked == ["/version"]


async def test_a_stream_follows_no_redirect(elsewhere: int) -> None:
    Elsewhere.redirect_to = f"http://127.0.0.1:{elsewhere}/inner"
    assert "redirect" in await events(f"tcp://127.0.0.1:{elsewhere}")
    assert len(Elsewhere.asked) == 1


def test_what_another_server_says_is_not_told(elsewhere: int) -> None:
    told = facts(f"tcp://127.0.0.1:{elsewhere}")
    assert "no Docker Engine" in told
    assert "the-inner-secret" not in told


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_address_is_not_even_connected_to(elsewhere: int, host: str) -> None:
    """Attack 17: however it came into the database; and by name as well as by number."""
    address, refused = f"tcp://{host}:{elsewhere}", ("127.0.0.0/8", "::1/128")
    assert "does not connect to" in facts(address, refused)
    assert "does not connect to" in await events(address, refused)
    assert Elsewhere.asked == []


def test_a_name_that_means_another_address_a_moment_later_is_connected_to_as_it_was_judged(
    elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack 17, DNS rebinding: a good address for the judge, the inner one for who connects."""
    honest = socket.getaddrinfo
    answers: list[str] = []

    def rebinding(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "engine.example":
            return honest(host, *args, **kwargs)
        answers.append("192.0.2.1" if not answers else "127.0.0.1")
        return honest(answers[-1], *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    told = facts(f"tcp://engine.example:{elsewhere}", ("127.0.0.0/8",))
    assert answers == ["192.0.2.1"]  # asked once: what was judged is what was connected to
    assert Elsewhere.asked == []
    assert "engine.example" in told
    told = facts(f"tcp://engine.example:{elsewhere}", ("127.0.0.0/8",))
    assert "engine.example is 127.0.0.1, which is an address that the panel does not" in told
    assert Elsewhere.asked == []


def test_a_name_with_one_bad_address_is_no_honest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("192.0.2.1", 1)), (2, 1, 6, "", ("169.254.169.254", 1))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    with pytest.raises(destinations.NotADestination):
        destinations.resolved("engine.example", 1, NOT_ENGINES)


def test_ssh_is_not_started_towards_a_refused_address() -> None:
    with pytest.raises(EngineUnreachable, match="does not connect to"):
        SSHTunnel("ssh://root@169.254.169.254", 2.0).socket()


def test_the_checks_are_in_the_place_of_requests_own() -> None:
    adapter = checked.CheckedAdapter(NOT_ENGINES)
    pool = adapter.poolmanager.connection_from_url("https://192.0.2.1:1")
    assert issubclass(pool.ConnectionCls, checked._CheckedTLS)
    assert pool.ConnectionCls.refused == NOT_ENGINES


# --- The trail itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AUDITOR])
def test_nobody_changes_the_trail_by_the_panel(role: Role) -> None:
    user = make_user(role)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/audit", "/audit/1", "/audit/heads", "/audit/verify", "/audit/export"):
            answer = ApiClient(user).request(method, path)
            assert answer.status_code in (404, 405)
    assert Scope() == EVERYWHERE
    assert Action.AUDIT_VIEW.value == "audit.view"  # the only action on it
    assert [action for action in Action if action.value.startswith("audit.")] == [Action.AUDIT_VIEW]
