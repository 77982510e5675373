"""Attacks on secrets and configs, as they were made on panels like this one, and on what is sealed.

The numbers are those of test_attacks. The real way of a value, through every process, the broker
and the logs, is in tests/integration/test_secrets_stay_secret.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from access.models import User
from access.policy import ALLOWED, EVERYWHERE, Action, Role
from access.tokens import issue_token
from access.vault import seal
from clusters import fragments
from clusters.models import Cluster, Config, KeptSecret, Operation, Service
from live.changes import Touched
from tests.unit.panel import ANSWER, MARKS, inputs
from tests.unit.world import (
    ARGUMENTS,
    HERE,
    NO_LABELS,
    OPERATIONS,
    PAGES,
    SCOPES,
    ask,
    calls,
    hold,
    make_person,
    places_of,
    signed_in,
    undone,
    values_of,
    world,
)

pytestmark = MARKS
__all__ = ["calls", "world"]
JSON = "application/json"


# --- 1: ways around the checks -------------------------------------------------------------------

WRITES = {
    "POST secrets": "/secrets", "POST secrets rotate": "/secrets/wren-key/rotate",
    "POST configs": "/configs", "POST configs rotate": "/configs/wren-settings/rotate",
}  # fmt: skip
DANGEROUS: dict[str, Any] = {
    "driver": {"Name": "vault"}, "Driver": {"Name": "vault"}, "templating": {"Name": "golang"},
    "Templating": {"Name": "golang"}, "Data": "eA==", "spec": {"Name": "x"}, "id": "id-swift-key",
    "cluster": "beta", "labels": {"com.docker.stack.namespace": "blog"},
    "Labels": {"com.docker.stack.namespace": "blog"}, "kept_by": "owner",
}  # fmt: skip


def body_of(write: str, field: str) -> dict[str, Any]:
    new = {} if write.endswith("rotate") else {"name": "new", "stack": "shop"}
    return {"value": "x", **new, field: DANGEROUS[field]}


@pytest.mark.parametrize("field", DANGEROUS)
@pytest.mark.parametrize("write", WRITES)
def test_no_secret_or_config_takes_a_field_that_nobody_checks(
    write: str, field: str, world: None, calls: list[str]
) -> None:
    """Attack 1, Portainer CVE-2026-44849: what one way refused, another one took."""
    person = make_person(Role.ADMIN)
    hold(person, SCOPES[HERE])
    address = f"/api/v1/clusters/alpha{WRITES[write]}"
    answer = signed_in(person).post(address, body_of(write, field), JSON)
    assert answer.status_code == 422, answer.content
    assert calls == []


def may_write(role: Role | None, write: str) -> bool:
    right = Action.SECRET_WRITE if "secrets" in write else Action.CONFIG_WRITE
    return role is not None and right in ALLOWED[role]


@pytest.mark.parametrize(
    ("write", "role"),
    [(write, role) for write in WRITES for role in (*Role, None) if not may_write(role, write)],
)
def test_who_may_not_write_reaches_no_engine_whatever_is_sent(
    write: str, role: Role | None, world: None, calls: list[str]
) -> None:
    """Attack 1: by page, by token and by the API in a browser; here and in a foreign stack."""
    person = make_person(role)
    hold(person, SCOPES[HERE])
    browser, token = signed_in(person), {"authorization": f"Bearer {issue_token(person, 't')}"}
    address = f"/api/v1/clusters/alpha{WRITES[write]}"
    for field in DANGEROUS:
        for client, headers in ((browser, {}), (Client(), token)):
            answer = client.post(address, body_of(write, field), JSON, headers=headers)
            assert answer.status_code in (403, 404, 422), answer.content
    body = {"value": "x"} if write.endswith("rotate") else {"name": "new", "value": "x"}
    for client, headers in ((browser, {}), (Client(), token)):
        answer = client.post(address, body, JSON, headers=headers)
        assert answer.status_code in (403, 404), answer.content
    page = WRITES[write].strip("/") if write.endswith("rotate") else f"new-{write[5:-1]}"
    for step in ("", "preview", "confirm"):
        fields = {"name": "new", "value": "x", "step": step, "sealed": "x", **NO_LABELS}
        assert browser.post(f"/clusters/alpha/{page}/", fields).status_code in (403, 404)
    assert calls == []
    assert not Operation.objects.filter(kind__endswith="rotate").exists()


@pytest.mark.parametrize("change", ["scale", "update", "rollback", "restart", "resume"])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.SECRET_MANAGER, Role.AUDITOR, None])
def test_who_may_not_change_a_service_changes_none_whatever_is_sent(
    role: Role | None, change: str, world: None, calls: list[str]
) -> None:
    """Attack 1: the fields that give a host away, by page and by token."""
    person = make_person(role)
    hold(person, EVERYWHERE)
    browser, before = signed_in(person), Operation.objects.count()
    token = {"authorization": f"Bearer {issue_token(person, 't')}"}
    mounts = {"mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]}
    for service in ("wren", "id-wren", "heron"):
        path = f"/clusters/{'beta' if service == 'heron' else 'alpha'}/services/{service}/{change}"
        for body in ({}, {"replicas": 5}, {"revision": 1}, {"image": "x"}, mounts):
            answer = Client().post(f"/api/v1{path}", body, JSON, headers=token)
            assert answer.status_code in (403, 404, 422), answer.content
            fields = {"step": "confirm", "version": "10", **{k: str(v) for k, v in body.items()}}
            assert browser.post(f"{path}/", fields).status_code in (403, 404)
    assert (Operation.objects.count(), calls) == (before, [])


@pytest.mark.parametrize("change", ["scale", "update"])
def test_a_form_carries_nothing_past_its_own_fields(change: str, world: None) -> None:
    """Attack 1: what a form does not know stands in no spec that is to be."""
    person = make_person(Role.OPERATOR)
    hold(person, SCOPES[HERE])
    hidden = {
        "mounts": "/:/host", "TaskTemplate": '{"ContainerSpec": {"User": "root"}}', "user": "root",
        "privileges": "all", "capability_add": "CAP_SYS_ADMIN", "networks": "host", "spec": "{}",
    }  # fmt: skip
    browser, address = signed_in(person), f"/clusters/alpha/services/wren/{change}/"
    asked = {"replicas": "5"} if change == "scale" else {"image": "lab/web:2"}
    sent = {**inputs(browser.get(address)), **asked, **hidden, "step": "confirm", "version": "10"}
    assert browser.post(address, sent).status_code == 302
    operation = Operation.objects.get(requested_by=person)
    after = json.dumps(operation.after)
    assert "/host" not in after
    for word in ("CAP_SYS_ADMIN", "root", "Privileges", '"host"'):
        assert (word in after) == (word in json.dumps(operation.before)), word


# --- 7: canaries ---------------------------------------------------------------------------------

SEALED, ENV, DATA = "canary-sealed-4f0c2d1e", "canary-env-9a7b3c5d", "canary-data-1b2c3d4e"


def plant() -> None:
    """Where a value lies: sealed, in the environment of services, in a config, and as a hash."""
    wrapped = base64.b64encode(SEALED.encode()).decode()
    KeptSecret.objects.update(sealed=seal(wrapped))
    Cluster.objects.update(tls_key_sealed=seal(SEALED), tls_ca="ca", tls_certificate="cert")
    Config.objects.update(data=DATA.encode())
    kim = User.objects.get(username="kim")
    kim.set_password(SEALED)
    kim.save()
    for service in Service.objects.all():
        service.spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"PASSWORD={ENV}"]
        service.previous_spec = json.loads(json.dumps(service.spec).replace("=canary", "=old-"))
        service.save()
        service.cluster.revisions.filter(service_engine_id=service.engine_id).update(
            spec=service.spec
        )
        of_it = Operation.objects.filter(target_id=service.engine_id)
        of_it.update(
            kind="update",
            before=service.spec,
            after=service.previous_spec,
            change={"env": {"PASSWORD": ENV}},
        )


def hidden_from(role: Role | None) -> list[str]:
    """A secret's value from everybody; the rest from whoever has no right to it."""
    actions = ALLOWED[role] if role else frozenset()
    env = [] if Action.SERVICE_ENV in actions else [ENV]
    return [SEALED, *env, *([] if Action.CONFIG_VIEW in actions else [DATA])]


def traces(text: str, canary: str) -> list[str]:
    """The canary as it is, in Base64 and in hexadecimal, with what stands around it."""
    encoded = base64.b64encode(canary.encode()).decode()
    ways = (canary, encoded.rstrip("="), canary.encode().hex())
    return [text[max(0, at - 80) : at + 80] for way in ways if (at := text.find(way)) >= 0]


def text_of(answer: ANSWER) -> str:
    content = answer.getvalue() if answer.streaming else answer.content
    return f"{content.decode()} {dict(answer.headers)}"


def pages(browser: Client, person: User) -> Iterator[tuple[str, str]]:
    for entry in PAGES:
        for place in places_of(entry):
            address = entry.at(**values_of(entry, place, person))
            yield address, text_of(browser.get(address))


def answers(browser: Client, person: User) -> Iterator[tuple[str, str]]:
    secret = issue_token(person, "crawler")
    for entry in OPERATIONS:
        for place in places_of(entry):
            values = values_of(entry, place, person)
            for method in entry.methods:
                for credential in ({"browser": browser}, {"secret": secret}):
                    with undone():
                        answer = ask(entry, method, values, place=place, **credential)
                    yield f"{method} {entry} {place}", text_of(answer)


def topics() -> Iterator[str]:
    yield from ("overview", "operations", "tray", "alarms")
    for cluster in ("alpha", "beta"):
        yield from (f"{topic}:{cluster}" for topic in ("services", "cluster", "freshness"))
        yield from (f"objects:{noun}:{cluster}" for noun in ("secret", "config"))
    for place, scope in SCOPES.items():
        yield f"operation:{ARGUMENTS['operation'][place]}"
        yield f"service:{scope.cluster}:id-{ARGUMENTS['service'][place]}"
        yield f"object:secret:{scope.cluster}:id-{ARGUMENTS['secrets/name'][place]}"
        yield f"object:config:{scope.cluster}:id-{ARGUMENTS['configs/name'][place]}"


def frames(person: User) -> Iterator[tuple[str, str]]:
    changed = [
        Touched(scope.cluster, noun, key)
        for place, scope in SCOPES.items()
        for noun, key in (
            ("operation", ARGUMENTS["operation"][place]),
            ("service", f"id-{ARGUMENTS['service'][place]}"),
            ("secret", f"id-{ARGUMENTS['secrets/name'][place]}"),
            ("config", f"id-{ARGUMENTS['configs/name'][place]}"),
            ("kept", scope.cluster),
        )
    ]
    for topic in topics():
        for touched in (None, changed):
            yield topic, json.dumps(fragments.render(person, topic, touched))


@pytest.mark.parametrize("role", [*Role, None])
def test_a_planted_value_is_shown_to_nobody(
    role: Role | None, world: None, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Attack 7, Argo CVE-2025-55190, Rancher CVE-2021-36782, Coolify CVE-2025-64420: secrets stood
    in objects that many could read. Every page, answer and live fragment, as every role."""
    plant()
    person = make_person(role)
    hold(person, EVERYWHERE)
    browser = signed_in(person)
    for crawl in (pages(browser, person), answers(browser, person), frames(person)):
        seen = 0
        for where, text in crawl:
            seen += 1
            for canary in hidden_from(role):
                assert traces(text, canary) == [], where
        assert seen > 20
    for canary in (SEALED, ENV, DATA):
        assert traces(caplog.text, canary) == []


def test_the_crawl_sees_what_may_be_seen(world: None, calls: list[str]) -> None:
    """Attack 7: or it would prove nothing."""
    plant()
    person = make_person(Role.OPERATOR)
    hold(person, EVERYWHERE)
    browser = signed_in(person)
    for crawl in (pages(browser, person), answers(browser, person)):
        told = "".join(text for _, text in crawl)
        assert ENV in told and DATA in told
    assert "wren-key" in "".join(text for _, text in frames(person))


def everything_kept() -> str:
    """Every column of every table as text."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT "{column}"::text FROM "{table}"')
            found += [f"{table}.{column}: {row[0]}" for row in cursor.fetchall()]
    return "\n".join(found)


def test_a_value_on_its_way_is_told_and_kept_nowhere(
    world: None, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Attack 7: whether it arrives, is refused or meets no engine."""
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    browser, key = signed_in(person), "/clusters/alpha/secrets/wren-key"
    new = {"name": "new", "value": SEALED}
    token = {"authorization": f"Bearer {issue_token(person, 't')}"}
    told = [
        browser.post("/api/v1/clusters/alpha/secrets", new, JSON),
        browser.post("/api/v1/clusters/alpha/secrets", {**new, "keep": True}, JSON),
        browser.post("/api/v1/clusters/alpha/secrets", {**new, "strange": SEALED}, JSON),
        browser.post(f"/api/v1{key}/rotate", {"value": SEALED}, JSON),
        browser.post(f"/api/v1{key}/rotate?dry_run=true", {"value": SEALED}, JSON),
        Client().post(f"/api/v1{key}/rotate", {"value": SEALED}, JSON, headers=token),
        browser.post("/clusters/alpha/new-secret/", {**new, **NO_LABELS}),
        browser.post("/clusters/alpha/new-secret/", {**new, "name": "a b", **NO_LABELS}),
        browser.post(f"{key}/rotate/", {"step": "preview", "value": SEALED}),
        browser.post(f"{key}/rotate/", {"step": "edit", "value": SEALED}),
        Client().post("/clusters/alpha/new-secret/", {**new, **NO_LABELS}),
    ]
    assert calls, "the engine was asked"
    places = {"answers": "".join(map(text_of, told)), "logs": caplog.text}
    for place, text in {**places, "database": everything_kept()}.items():
        assert traces(text, SEALED) == [], place
