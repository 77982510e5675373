"""The audit trail as auditors meet it: read, narrowed, paged, proved and exported."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import AsyncClient

from access import audit, chain, noted
from access.audit import Head
from access.authorize import Actor, Forbidden, ProofNeeded
from access.models import AuditChain, AuditEntry, AuditProof, Noted, User
from access.policy import EVERYWHERE, Action, Role, Scope
from access.tasks import keep_heads, prove, tend
from access.tokens import find_token, issue_token
from access.trail import heads, proofs, reading
from access.trail.reading import Filters
from access.trail.showing import shown
from clusters import specs
from clusters.models import Operation, Revision
from controlpanel.configuration import tell_changes
from tests.unit.panel import (
    MARKS,
    ApiClient,
    browser_of,
    change_elsewhere,
    make_cluster,
    make_service,
    make_user,
)
from tests.unit.test_audit import by_force, write

pytestmark = MARKS
PROD, SHOP, TEST = Scope("prod"), Scope("prod", "shop"), Scope("test")


@pytest.fixture
def auditor() -> User:
    return make_user(Role.AUDITOR)


def page(user: User, **asked: Any) -> str:
    answer = browser_of(user).get("/audit/", asked)
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def targets(user: User, **asked: Any) -> list[str]:
    """Of the listed entries that `write` wrote, newest first."""
    answer = browser_of(user).get("/audit/", asked)
    entries = [row.entry for row in answer.context["rows"]]
    return [entry.target for entry in entries if entry.target.startswith("web-")]


# --- Who sees what -------------------------------------------------------------------------------


def test_who_audits_everything_sees_every_entry(auditor: User) -> None:
    write(1, SHOP)
    write(1, TEST)
    write(1, EVERYWHERE)
    assert len(targets(auditor)) == 3


@pytest.mark.parametrize(
    ("granted", "seen"), [(PROD, {"prod", "prod/shop"}), (SHOP, {"prod/shop"}), (TEST, {"test"})]
)
def test_who_audits_a_part_sees_that_part_alone(granted: Scope, seen: set[str]) -> None:
    for scope in (PROD, SHOP, TEST, EVERYWHERE, Scope("prod", "blog")):
        write(1, scope)
    auditor = make_user(Role.AUDITOR, cluster=granted.cluster, stack=granted.stack)
    client = ApiClient(auditor)
    items = client.get("/audit").json()["items"]
    shown = {"/".join(filter(None, (e["cluster"], e["stack"]))) for e in items if e["target"]}
    assert shown - {"prod/blog"} == seen
    assert ("prod/blog" in shown) is (granted == PROD)
    exported = client.get("/audit/export").getvalue().decode().splitlines()
    assert {json.loads(line)["cluster"] for line in exported} == {granted.cluster}
    assert len(targets(auditor)) == len([e for e in items if e["target"].startswith("web-")])


def test_an_auditor_of_one_cluster_is_told_nothing_of_another() -> None:
    write(1, TEST)
    auditor = make_user(Role.AUDITOR, cluster="prod")
    write(1, PROD)
    assert targets(auditor, cluster="test") == []
    assert ">test<" not in page(auditor)
    assert ApiClient(auditor).get("/audit", cluster="test").status_code == 404
    verified = ApiClient(auditor).get("/audit/verify").json()
    assert [found["cluster"] for found in verified["chains"]] == ["prod"]
    assert [head["cluster"] for head in ApiClient(auditor).get("/audit/heads").json()] == ["prod"]


def test_an_auditor_alone_finds_the_trail_and_no_more(auditor: User) -> None:
    make_service(make_cluster())
    browser = browser_of(auditor)
    assert 'href="/audit/"' in browser.get("/").content.decode()
    assert browser.get("/clusters/local/").status_code == 404
    scoped = browser_of(make_user(Role.AUDITOR, cluster="local"))
    assert 'href="/audit/"' in scoped.get("/").content.decode()
    assert 'href="/audit/"' not in browser_of(make_user(Role.ADMIN)).get("/").content.decode()


# --- Filters and pages ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"actor": "ki"}, 2),
        ({"actor": "im"}, 0),
        ({"action": "scale"}, 2),
        ({"action": "nothing"}, 0),
        ({"cluster": "prod"}, 2),
        ({"cluster": "test"}, 0),
        ({"stack": "shop"}, 2),
        ({"target": "web-1"}, 1),
        ({"phase": "event"}, 2),
        ({"phase": "refused"}, 0),
        ({"outcome": "succeeded"}, 0),
        ({"since": "2020-01-01 00:00"}, 2),
        ({"until": "2020-01-01 00:00"}, 0),
        ({"operation": str(uuid4())}, 0),
    ],
)
def test_the_trail_is_narrowed(auditor: User, asked: dict[str, str], found: int) -> None:
    write(2, SHOP)
    assert len(targets(auditor, **asked)) == found
    api = {
        name: value.replace(" ", "T") + "Z" if " " in value else value
        for name, value in asked.items()
    }
    items = ApiClient(auditor).get("/audit", **api).json()["items"]
    assert len([e for e in items if e["target"].startswith("web-")]) == found


def test_a_filter_that_makes_no_sense_is_told(auditor: User) -> None:
    backwards = {"since": "2026-01-02 00:00", "until": "2026-01-01 00:00"}
    for asked in ({"since": "yesterday"}, {"operation": "x"}, {"phase": "x"}, backwards):
        answer = browser_of(auditor).get("/audit/", asked)
        assert answer.status_code == 422
        assert not answer.context["rows"]


def test_every_entry_stands_on_one_page_whichever_way_one_goes(
    auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 4)
    write(10, SHOP)
    ids = list(AuditEntry.objects.order_by("-at", "-id").values_list("pk", flat=True))
    forth, before = [], None
    while True:
        shown = reading.page(AuditEntry.objects.all(), before=before)
        forth.append([entry.pk for entry in shown.entries])
        if shown.older is None:
            break
        before = shown.older
    assert [pk for part in forth for pk in part] == ids
    assert [len(part) for part in forth] == [4, 4, 2]
    back = reading.page(AuditEntry.objects.all(), after=forth[2][0])
    assert [entry.pk for entry in back.entries] == forth[1]
    assert back.newer == forth[1][0]
    assert reading.page(AuditEntry.objects.all(), after=forth[1][0]).newer is None


@pytest.mark.parametrize("edge", ["0", "x", "-1", "9" * 30, "9" * 18])
def test_an_edge_that_is_none_shows_the_newest(auditor: User, edge: str) -> None:
    write(1, SHOP)
    assert len(targets(auditor, before=edge)) == len(targets(auditor, after=edge)) == 1


def test_an_entry_is_told_in_full(auditor: User) -> None:
    kim = User.objects.create(username="kim")
    operation = uuid4()
    entry = audit.record(
        Actor(kim, "api", "192.0.2.9"), "service.scale", AuditEntry.Phase.INTENT, scope=SHOP,
        target="web", operation=operation,
        detail={"before": {"replicas": 3, "same": 1}, "after": {"replicas": 5, "same": 1}},
    )  # fmt: skip
    shown = page(auditor)
    for part in (entry.hash, "192.0.2.9", f"?operation={operation}", "replicas", "value-before"):
        assert part in shown
    assert f"/operations/{operation}/" not in shown  # an auditor alone cannot open it
    assert ">same<" not in shown


# --- Proving -------------------------------------------------------------------------------------


def test_a_proof_is_asked_for_carried_out_and_told(auditor: User) -> None:
    write(3, SHOP)
    assert "not proved yet" in page(auditor)
    answer = browser_of(auditor).post("/audit/proof/", headers={"hx-request": "true"})
    assert answer.status_code == 200
    assert "entries" in answer.content.decode()
    asked = AuditProof.objects.get()
    prove(asked.pk)
    shown = page(auditor)
    assert "chains are whole" in shown
    assert f"for {auditor.username}" in shown
    told = AuditEntry.objects.get(action="audit.verify")
    assert (told.outcome, told.detail["broken"]) == ("whole", [])


def test_asking_twice_is_one_proof(auditor: User) -> None:
    write(1)
    browser = browser_of(auditor)
    for _ in range(2):
        assert browser.post("/audit/proof/").status_code == 302
    assert AuditProof.objects.count() == 1


def test_a_proof_is_carried_out_once_and_taken_over_from_a_worker_that_died() -> None:
    write(1)
    proof = AuditProof.objects.create()
    prove(proof.pk)
    prove(proof.pk)
    assert AuditEntry.objects.filter(action="audit.verify").count() == 1
    held = AuditProof.objects.create(held_until=datetime.now(UTC) + timedelta(minutes=1))
    prove(held.pk)
    held.refresh_from_db()
    assert held.finished_at is None
    AuditProof.objects.filter(pk=held.pk).update(
        held_until=datetime.now(UTC) - timedelta(seconds=1)
    )
    prove(held.pk)
    held.refresh_from_db()
    assert held.finished_at


def test_what_was_changed_by_force_is_told_on_the_page(auditor: User) -> None:
    write(3, SHOP)
    by_force("UPDATE access_auditentry SET actor_name = 'eve' WHERE sequence = 2")
    proof = proofs.prove(AuditProof())
    assert [found["cluster"] for found in proof.breaks] == ["prod"]
    shown = page(auditor)
    assert "changed by force" in shown
    assert "entry 2 is not as it was written" in shown
    assert not ApiClient(auditor).get("/audit/verify").json()["whole"]


def test_a_chain_is_proved_once_a_day_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    proofs.ask_if_due(woken.append)
    proof = AuditProof.objects.get()
    prove(proof.pk)
    proofs.ask_if_due(woken.append)
    assert AuditProof.objects.count() == 1
    AuditProof.objects.update(asked_at=datetime.now(UTC) - timedelta(hours=25))
    proofs.ask_if_due(woken.append)
    assert AuditProof.objects.count() == 2


def test_entries_that_are_written_meanwhile_break_nothing() -> None:
    write(3, SHOP)
    grown: list[int] = []

    def grow(entries: int) -> None:
        if not grown:
            grown.append(entries)
            write(2, SHOP)

    reached, broken = audit.follow("prod", progress=grow)
    assert (reached.sequence, broken) == (5, None)


def test_more_entries_than_are_read_at_once_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 2)
    write(7, SHOP)
    parts: list[int] = []
    assert audit.follow("prod", progress=parts.append)[1] is None
    assert parts == [2, 2, 2, 1]
    by_force("DELETE FROM access_auditentry WHERE sequence = 5")
    assert audit.verify()[0].sequence == 5


# --- Exports and heads ---------------------------------------------------------------------------


def test_an_export_is_whole_and_can_be_proved_without_the_panel(auditor: User) -> None:
    write(5, SHOP)
    lines = ApiClient(auditor).get("/audit/export", cluster="prod").getvalue().decode()
    entries = [json.loads(line) for line in lines.splitlines()]
    assert chain.first_break(entries) is None
    assert len(entries) == 6  # the last tells of this very export
    assert entries[-1]["action"] == "audit.export"


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_cell_of_the_csv_is_no_formula(auditor: User, formula: str) -> None:
    kim = User.objects.create(username="kim")
    audit.record(Actor(kim, "api"), "x", AuditEntry.Phase.EVENT, target=formula)
    text = ApiClient(auditor).get("/audit/export", format="csv", actor="kim").getvalue().decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["target"] == f"'{formula}"
    assert row["sequence"] == "1"


async def test_an_export_leaves_a_server_piece_by_piece(transactional_db: None) -> None:
    def prepare() -> str:
        write(2, SHOP)
        return issue_token(make_user(Role.AUDITOR), "t")

    secret = await sync_to_async(prepare)()
    answer = await AsyncClient().get(
        "/api/v1/audit/export", headers={"authorization": f"Bearer {secret}"}
    )
    assert answer.is_async
    pieces = [piece async for piece in answer.streaming_content]
    assert len(b"".join(pieces).splitlines()) >= 2
    await sync_to_async(connections.close_all)()


def test_reading_and_exporting_stand_in_the_trail(auditor: User) -> None:
    write(1, SHOP)
    page(auditor, cluster="prod")
    page(auditor, cluster="prod")
    browser_of(auditor).get("/audit/export/", {"cluster": "prod"}).getvalue()
    kept = AuditEntry.objects.filter(actor=auditor, cluster="prod").order_by("id")
    assert list(kept.values_list("action", flat=True)) == ["audit.view", "audit.export"]
    assert kept[1].detail == {"format": "jsonl", "filters": {"cluster": "prod"}}


def test_the_command_verifies_exports_and_prints_heads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(3, SHOP)
    call_command("audit", "heads")
    kept = capsys.readouterr().out
    assert json.loads(kept)["sequence"] == 3
    file = tmp_path / "heads"
    file.write_text(f"2026-01-01 WARNING access.tasks audit heads: {kept}\n{kept}")
    call_command("audit", "verify", "--heads", str(file))
    assert "prod: 3 entries, whole" in capsys.readouterr().out
    call_command("audit", "export", "--cluster", "prod")
    assert len(capsys.readouterr().out.splitlines()) == 4
    call_command("audit", "export", "--format", "csv", "--target", "web-1")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_command_says_what_is_broken_and_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(3, SHOP)
    file = tmp_path / "heads"
    file.write_text(next(heads.lines()))
    by_force("DELETE FROM access_auditentry")
    AuditChain.objects.all().delete()
    write(4, SHOP)
    call_command("audit", "verify")
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "verify", "--heads", str(file))
    assert ended.value.code == 1
    assert "BROKEN at entry 3: the chain is not the one of the kept head" in capsys.readouterr().out
    file.write_text("nothing of ours")
    with pytest.raises(CommandError, match="Line 1 of .* is no head"):
        call_command("audit", "verify", "--heads", str(file))
    with pytest.raises(CommandError, match="--since"):
        call_command("audit", "export", "--since", "yesterday")


def test_heads_leave_the_host(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_HEADS = str(tmp_path)
    write(2, SHOP)
    keep_heads()
    keep_heads()
    write(1, SHOP)
    keep_heads()
    file = tmp_path / heads.FILE
    with file.open() as kept:
        found = heads.read(kept, "kept")
    assert [head.sequence for head in found] == [2, 3]
    assert audit.verify(found) == []
    assert found[1].hash in caplog.text


def test_a_directory_that_is_away_is_told(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_HEADS = str(tmp_path / "away")
    write(1)
    keep_heads()
    assert "Is what PILOTHOUSE_AUDIT_HEADS names mounted" in caplog.text


# --- What is told again and again ----------------------------------------------------------------


def refusal(scope: Scope = SHOP, action: Action = Action.SERVICE_SCALE) -> Forbidden:
    return Forbidden(action, scope, visible=True)


def over() -> None:
    """The time of all that is counted is over."""
    Noted.objects.update(until=datetime.now(UTC) - timedelta(seconds=1))


def test_the_same_refusal_again_and_again_is_one_entry_and_a_count() -> None:
    kim = Actor(make_user(Role.VIEWER), "browser", "192.0.2.1")
    for _ in range(100):
        noted.refused(kim, refusal())
    (first,) = AuditEntry.objects.all()
    assert (first.phase, first.action, first.outcome) == ("refused", "service.scale", "forbidden")
    over()
    tend()
    entries = AuditEntry.objects.filter(phase="refused").order_by("id")
    assert [entry.detail.get("more") for entry in entries] == [None, 99]
    assert not Noted.objects.exists()
    noted.refused(kim, refusal())
    assert entries.all().count() == 3


def test_what_differs_is_told_apart() -> None:
    kim, ada = (Actor(make_user(), "browser", "192.0.2.1") for _ in range(2))
    noted.refused(kim, refusal())
    noted.refused(ada, refusal())
    noted.refused(kim, refusal(TEST))
    noted.refused(Actor(kim.user, "api", "192.0.2.1"), refusal())
    proof = ProofNeeded(Action.SERVICE_SCALE, SHOP, visible=True)
    noted.refused(kim, proof)
    assert AuditEntry.objects.filter(phase="refused").count() == 5
    assert AuditEntry.objects.filter(outcome="unproven").count() == 1


def test_a_crawler_cannot_fill_the_trail() -> None:
    kim = Actor(make_user(), "browser", "192.0.2.1")
    for number in range(200):
        noted.refused(kim, refusal(Scope(f"cluster-{number}")))
    assert AuditEntry.objects.count() == noted.MOST + 1
    assert AuditEntry.objects.filter(outcome="many", cluster="").count() == 1
    over()
    for _ in range(20):
        noted.close()
    assert AuditEntry.objects.get(detail__has_key="more").detail["more"] == 200 - noted.MOST - 1


def test_what_somebody_was_shown_hides_behind_nothing() -> None:
    """Neither refusals nor harmless reads make the trail say “many” of a read that counts."""
    kim = Actor(make_user(), "browser", "192.0.2.1")
    for number in range(2 * noted.MOST):
        noted.refused(kim, refusal(Scope(f"cluster-{number}")))
        noted.read(kim, Action.CONFIG_VIEW, SHOP, f"harmless-{number}")
    noted.read(kim, Action.CONFIG_VIEW, SHOP, "credentials")
    assert AuditEntry.objects.filter(target="credentials", cluster=SHOP.cluster).count() == 1


def test_refusals_of_pages_and_of_the_api_stand_in_the_trail() -> None:
    make_service(make_cluster())
    viewer = make_user(Role.VIEWER)
    assert browser_of(viewer).get("/clusters/local/services/web/scale/").status_code == 403
    path = "/clusters/local/services/web/scale"
    assert ApiClient(viewer).post(path, {"replicas": 2}).status_code == 403
    refused = AuditEntry.objects.filter(phase="refused").order_by("id")
    assert [(e.actor, e.via, e.action, e.cluster) for e in refused] == [
        (viewer, "browser", "service.scale", "local"), (viewer, "api", "service.scale", "local"),
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["configuration/", "spec/", "revisions/", "update/"])
def test_who_is_shown_environment_values_is_told(path: str) -> None:
    make_service(make_cluster(), Env=["A=b"])
    operator, viewer = make_user(Role.OPERATOR), make_user(Role.VIEWER)
    for user in (operator, operator, viewer):
        browser_of(user).get(f"/clusters/local/services/web/{path}")
    read = AuditEntry.objects.filter(action="service.env")
    assert [(e.actor, e.target, e.phase) for e in read] == [(operator, "web", "event")]


OPERATION = "00000000-0000-4000-8000-00000000000a"
SERVICE, ENV_OF = "/clusters/local/services/web", {"env": {"B": "c"}}
ROLLBACK = {"step": "preview", "revision": "1", "version": "15"}
# Ways to be shown what changes of an environment; the status of the answer.
DIFFERENCES: dict[str, tuple[int, Callable[[User], Any]]] = {
    "a dry run": (200, lambda u: ApiClient(u).post(f"{SERVICE}/update?dry_run=true", ENV_OF)),
    "a preview": (200, lambda u: browser_of(u).post(f"{SERVICE}/rollback/", ROLLBACK)),
    "a conflict of the API": (
        409, lambda u: ApiClient(u).post(f"{SERVICE}/update", {**ENV_OF, "version": 10}),
    ),
    "a conflict of a page": (
        409, lambda u: browser_of(u).post(f"{SERVICE}/rollback/", {**ROLLBACK, "version": "10"}),
    ),
    "an operation": (200, lambda u: browser_of(u).get(f"/operations/{OPERATION}/")),
    "a decision": (200, lambda u: browser_of(u).get(f"/operations/{OPERATION}/decide/")),
    "an operation's conflict": (200, lambda u: ApiClient(u).get(f"/operations/{OPERATION}")),
}  # fmt: skip


@pytest.mark.parametrize("way", DIFFERENCES)
def test_who_is_shown_differences_of_an_environment_is_told(way: str) -> None:
    service = make_service(make_cluster(), Env=["A=old"])
    changed = change_elsewhere(service, Env=["A=new"])
    before = Revision.objects.get(number=1).spec
    secret = [asdict(found) for found in specs.differences(before, changed.spec)]
    Operation.objects.create(
        id=OPERATION, kind="update", cluster=service.cluster, target="web", before=before,
        target_id=service.engine_id, requested_by=make_user(), after=changed.spec, state="failed",
        clash={"current_version": 15, "theirs": secret, "yours": []},
    )  # fmt: skip
    operator, viewer = make_user(Role.OPERATOR), make_user(Role.VIEWER)
    status, ask = DIFFERENCES[way]
    assert [ask(operator).status_code for _ in range(2)] == [status] * 2
    ask(viewer)
    read = AuditEntry.objects.filter(action="service.env")
    assert [(e.actor, e.target, e.phase) for e in read] == [(operator, "web", "event")]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ON_CALL])
def test_who_is_shown_other_differences_read_nothing(role: Role) -> None:
    make_service(make_cluster(), Env=["A=b"])
    user = make_user(role)
    assert ApiClient(user).post(f"{SERVICE}/scale?dry_run=true", {"replicas": 5}).status_code == 200
    preview = {"step": "preview", "replicas": "5", "version": "10"}
    assert browser_of(user).post(f"{SERVICE}/scale/", preview).status_code == 200
    assert not AuditEntry.objects.filter(action="service.env").exists()


def test_a_token_from_a_new_address_is_told_once() -> None:
    user = make_user(Role.VIEWER)
    secret = issue_token(user, "deploy")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"):
        token = find_token(secret)
        assert token
        noted.token_used(Actor(token.user, "api", address))
    told = AuditEntry.objects.filter(action="token.new-address")
    assert [(e.address, e.target) for e in told] == [("192.0.2.2", "deploy")]


def test_a_changed_setting_is_told_with_what_it_was(settings: Any) -> None:
    tell_changes()
    tell_changes()
    assert AuditEntry.objects.filter(action="panel.settings").count() == 1
    settings.ALLOWED_HOSTS = ["panel.example.org"]
    tell_changes()
    last = AuditEntry.objects.filter(action="panel.settings").latest("id")
    assert last.detail["after"]["ALLOWED_HOSTS"] == ["panel.example.org"]
    assert last.detail["before"]["ALLOWED_HOSTS"] != ["panel.example.org"]
    assert shown(last, []).differences[0][0] == "ALLOWED_HOSTS"


# --- However long the trail ----------------------------------------------------------------------


def plan(filters: Filters) -> str:
    found = filters.narrow(AuditEntry.objects.all()).order_by("-at", "-id")[:51]
    return str(found.explain())


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(cluster="prod"),
        Filters(actor="user-7777"),
        Filters(target="web-7777"),
        Filters(action="rare"),
        Filters(phase="refused"),
        Filters(operation=uuid4()),
        Filters(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 1, 2, tzinfo=UTC)),
    ],
    ids=lambda filters: ",".join(filters.asked()) or "none",
)
def test_a_page_is_found_by_an_index(filters: Filters) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_auditentry (at, sequence, hash, phase, actor_name, via, address,"
            " action, cluster, stack, target, outcome, detail)"
            " SELECT timestamptz '2026-01-01' + n * interval '1 s', n, '', "
            "  CASE WHEN n % 5000 = 0 THEN 'refused' ELSE 'event' END, 'user-' || n, 'api', '',"
            "  CASE WHEN n % 5000 = 0 THEN 'rare' ELSE 'often' END,"
            "  CASE WHEN n % 10 = 0 THEN 'prod' ELSE 'test' END, '', 'web-' || n, '', '{}'"
            " FROM generate_series(1, 20000) n"
        )
        cursor.execute("ANALYZE access_auditentry")
    assert "Seq Scan" not in plan(filters), plan(filters)


def test_kept_heads_of_other_chains_are_no_matter() -> None:
    write(1, SHOP)
    assert audit.follow("prod", [Head("test", 5, "x")])[1] is None


@pytest.mark.parametrize("name", ["stack", "outcome", "action", "phase", "cluster"])
def test_a_filter_without_a_match_need_not_look_at_every_entry(name: str) -> None:
    """A million of them took half a second."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = AuditEntry.objects.filter(**{name: "nothing"}).explain()
    assert re.search(rf"audit_by_{name}|audit_sequence_once", plan), plan
