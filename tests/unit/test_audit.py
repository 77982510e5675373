"""The audit trail: it only grows, and a change of what was written shows."""

import json
import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from access import audit, chain
from access.audit import Head
from access.authorize import Actor
from access.models import AuditChain, AuditEntry, User
from access.policy import Scope

pytestmark = pytest.mark.django_db
PROD = Scope("prod", "shop")


def write(count: int, scope: Scope = PROD, **detail: Any) -> None:
    kim, _ = User.objects.get_or_create(username="kim")
    for number in range(count):
        audit.record(
            Actor(kim, "api", "192.0.2.1"), "service.scale", AuditEntry.Phase.EVENT,
            scope=scope, target=f"web-{number}", detail=detail,
        )  # fmt: skip


def by_force(statement: str) -> None:
    """As somebody with the database's own superuser can."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_what_cannot_be_written_takes_with_it_what_it_stands_for() -> None:
    """Also where somebody goes on after the failure: the change must not stand without it."""
    kim = Actor(User.objects.create_user("kim"), "api")
    with transaction.atomic():
        User.objects.create_user("eve")
        with suppress(DatabaseError):
            audit.record(kim, "a" * 33, AuditEntry.Phase.INTENT)
    assert not User.objects.filter(username="eve").exists()
    assert not AuditEntry.objects.exists()


# --- It only grows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE access_auditentry SET actor_name = 'eve'",
        "UPDATE access_auditentry SET actor_name = 'eve' WHERE false",
        "DELETE FROM access_auditentry",
        "TRUNCATE access_auditentry",
    ],
)
def test_the_database_refuses_to_change_what_was_written(change: str) -> None:
    write(1)
    with (
        pytest.raises(DatabaseError, match="only grows"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as in a transaction of its own
        cursor.execute(change)
    assert AuditEntry.objects.get().actor_name == "kim"


# --- The chain -----------------------------------------------------------------------------------


def test_a_chain_that_nobody_touched_is_whole() -> None:
    write(3)
    write(2, Scope())
    write(1, Scope("test"), cpus=2.0, share=0.1, large=1e22, text="\0 é \u2028", none=None)
    assert audit.verify() == []
    assert [(head.cluster, head.sequence) for head in audit.heads()] == [
        ("", 2), ("prod", 3), ("test", 1),
    ]  # fmt: skip


TAMPERING = {
    "an actor": "UPDATE access_auditentry SET actor_name = 'eve' WHERE sequence = 2",
    "a detail": "UPDATE access_auditentry SET detail = '{\"a\": 2}' WHERE sequence = 2",
    "a time": "UPDATE access_auditentry SET at = at + interval '1 second' WHERE sequence = 2",
    "an entry taken out": "DELETE FROM access_auditentry WHERE sequence = 2",
    "an entry taken out and the others moved up": "DELETE FROM access_auditentry"
    " WHERE sequence = 2; UPDATE access_auditentry SET sequence = 2 WHERE sequence = 3",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING)
def test_what_was_changed_by_force_is_found(statement: str) -> None:
    write(3, a=1)
    by_force(statement)
    (broken,) = audit.verify()
    assert (broken.cluster, broken.sequence) == ("prod", 2)


def test_entries_taken_off_the_end_are_missed() -> None:
    write(3)
    by_force("DELETE FROM access_auditentry WHERE sequence = 3")
    (broken,) = audit.verify()
    assert (broken.sequence, broken.reason) == (3, "the newest entries are missing")


def test_a_kept_head_finds_what_was_written_anew_from_the_start() -> None:
    write(2)
    kept = audit.heads()
    by_force("DELETE FROM access_auditentry")
    AuditChain.objects.all().delete()
    write(3)
    assert audit.verify() == []
    assert [broken.sequence for broken in audit.verify(kept)] == [2]


def test_a_kept_head_finds_a_chain_that_was_taken_away() -> None:
    write(2)
    kept = audit.heads()
    by_force("DELETE FROM access_auditentry")
    AuditChain.objects.all().delete()
    assert [broken.cluster for broken in audit.verify(kept)] == ["prod"]


def test_older_heads_hold_as_the_chain_grows() -> None:
    write(2)
    kept = [*audit.heads(), Head("prod", 0, "")]
    write(2)
    assert audit.verify(kept) == []


def test_an_export_can_be_checked_without_the_panel() -> None:
    write(3)
    exported = [audit.exported(entry) for entry in AuditEntry.objects.order_by("sequence")]
    read = json.loads(json.dumps(exported))
    assert chain.first_break(read) is None
    read[1]["target"] = "other"
    assert chain.first_break(read) == chain.Break("prod", 2, "entry 2 is not as it was written")
    assert chain.first_break(read[2:], 2, read[1]["hash"]) is None


@pytest.mark.django_db(transaction=True)
def test_the_entries_of_transactions_that_run_together_are_numbered_without_a_gap() -> None:
    User.objects.create(username="kim")

    def write_and_leave() -> None:
        write(5)
        connection.close()

    threads = [threading.Thread(target=write_and_leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.verify() == []
    numbers = AuditEntry.objects.order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, 41))
    times = list(AuditEntry.objects.order_by("sequence").values_list("at", flat=True))
    assert times == sorted(times)
