"""Write the audit trail and prove it. An intent stands in the same transaction as what it intends.

Each cluster has a chain of its own, and the panel itself has one without a name. The lock of the
chain's head is held until the commit, so that entries are numbered in the order of their commits.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from access import chain
from access.authorize import Actor, emergency_of
from access.chain import Break
from access.models import AuditChain, AuditEntry
from access.places import places
from access.policy import EVERYWHERE, Action, Scope


def record(
    actor: Actor,
    action: Action | str,
    phase: AuditEntry.Phase,
    *,
    scope: Scope = EVERYWHERE,
    target: str = "",
    operation: UUID | None = None,
    outcome: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Add one entry. `detail` must hold no secret: it is shown to auditors as it is.

    What is done under emergency rights is marked with them: the break-glass that the actor holds
    here, or held when they asked for the operation.
    """
    glass = emergency_of(actor.user, scope) if actor.user.pk else None
    entry = AuditEntry(
        phase=phase,
        actor=actor.user if actor.user.pk else None,
        actor_name=actor.user.get_username()[:150],
        via=actor.via,
        address=actor.address,
        action=str(action),
        cluster=scope.cluster,
        stack=scope.stack,
        target=storable(target)[:255],
        operation=operation,
        outcome=outcome,
    )
    # What cannot be written takes with it what it stands for: there is nothing to go back to.
    with transaction.atomic(savepoint=False):
        head = _locked_head(entry)
        glass = glass or head.glass
        detail = {**(detail or {}), **({"break_glass": glass} if glass else {})}
        entry.detail = json.loads(storable(json.dumps(detail, cls=DjangoJSONEncoder)))
        _append(entry, head)
    return entry


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL does not keep: bare, or as JSON writes it."""
    return text.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd")


# Both are asked for with every change, so they are written out.
_LOCK = """
    SELECT chain.sequence, chain.hash, clock_timestamp(), (
        SELECT (detail ->> 'break_glass')::bigint FROM access_auditentry
        WHERE operation = %(operation)s AND phase = 'intent' ORDER BY id LIMIT 1
    )
    FROM access_auditchain AS chain WHERE chain.cluster = %(cluster)s FOR UPDATE
"""
_APPEND = """
    WITH head AS (
        UPDATE access_auditchain SET sequence = %(sequence)s, hash = %(hash)s
        WHERE cluster = %(cluster)s
    )
    INSERT INTO access_auditentry (
        at, sequence, hash, phase, actor_id, actor_name, via, address, action, cluster, stack,
        target, operation, outcome, detail
    ) VALUES (
        %(at)s, %(sequence)s, %(hash)s, %(phase)s, %(actor_id)s, %(actor_name)s, %(via)s,
        %(address)s, %(action)s, %(cluster)s, %(stack)s, %(target)s, %(operation)s, %(outcome)s,
        %(detail)s::jsonb
    ) RETURNING id
"""


class _Locked(NamedTuple):
    """A chain's head as the next entry finds it, and what that entry's operation began with."""

    sequence: int
    hash: str
    now: datetime  # the clock once the lock is held, not at the transaction's start
    glass: int | None  # the break-glass that the operation was asked for under


def _locked_head(entry: AuditEntry) -> _Locked:
    """The chain's head, made with its first entry."""
    asked = {"cluster": entry.cluster, "operation": entry.operation}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, asked)
        if head := cursor.fetchone():
            return _Locked(*head)
        AuditChain.objects.bulk_create([AuditChain(cluster=entry.cluster)], ignore_conflicts=True)
        cursor.execute(_LOCK, asked)
        return _Locked(*cursor.fetchone())


def _append(entry: AuditEntry, head: _Locked) -> None:
    entry.at, entry.sequence = head.now, head.sequence + 1
    entry.hash = chain.link(head.hash, exported(entry))
    values = {f.attname: getattr(entry, f.attname) for f in AuditEntry._meta.concrete_fields}
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {**values, "detail": json.dumps(entry.detail)})
        entry.pk = cursor.fetchone()[0]


def has_chain(cluster: str) -> bool:
    """Whether what happens there has a chain of its own: asking for what never was begins none."""
    return AuditChain.objects.filter(pk=cluster).exists() or cluster in places()


def exported(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON has it: what its hash covers, and the hash."""
    own = (
        "cluster", "sequence", "phase", "via", "address", "action", "stack", "target", "outcome",
        "detail", "hash",
    )  # fmt: skip
    return {
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor_name,
        "operation": str(entry.operation) if entry.operation else None,
        **{name: getattr(entry, name) for name in own},
    }


# --- Proving it ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain; kept off the host, it proves all entries up to it."""

    cluster: str
    sequence: int
    hash: str


Progress = Callable[[int], None]  # told how many more entries were followed
BATCH = 2000  # entries in memory at a time


def heads() -> list[Head]:
    return [
        Head(head.cluster, head.sequence, head.hash)
        for head in AuditChain.objects.order_by("cluster")
    ]


def chains(kept: Iterable[Head] = ()) -> list[str]:
    """The names of all chains: by their heads, by their entries, and by heads that were kept."""
    names = {head.cluster for head in (*heads(), *kept)}
    after: str | None = ""  # one name after the other: the entries are many, their chains are few
    while after is not None:
        more = AuditEntry.objects.filter(cluster__gt=after).order_by("cluster")
        after = more.values_list("cluster", flat=True).first()
        names |= {after} if after is not None else set()
    if AuditEntry.objects.filter(cluster="").exists():
        names.add("")
    return sorted(names)


def verify(kept: Iterable[Head] = ()) -> list[Break]:
    """Follow every chain from its first entry; nothing if all are whole.

    `kept` are heads from an earlier time: they tell when entries, or whole chains, were taken off
    the end, or when everything was written anew.
    """
    kept = list(kept)
    found = (follow(name, kept)[1] for name in chains(kept))
    return [broken for broken in found if broken]


def follow(
    cluster: str, kept: Iterable[Head] = (), progress: Progress = lambda entries: None
) -> tuple[Head, Break | None]:
    """Follow one chain to its end: how far it was followed, and what is broken.

    It may grow meanwhile: an entry and the head that names it are committed together, so a head
    that is read after the entries is never behind them.
    """
    expected = {head.sequence: head.hash for head in kept if head.cluster == cluster}
    reached = Head(cluster, 0, "")
    while True:
        batch = _exported_after(reached)
        if broken := chain.first_break(batch, reached.sequence, reached.hash):
            return reached, broken
        for entry in batch:
            if expected.pop(entry["sequence"], entry["hash"]) != entry["hash"]:
                return reached, _other_chain(cluster, entry["sequence"])
        if batch:
            reached = Head(cluster, batch[-1]["sequence"], batch[-1]["hash"])
            progress(len(batch))
            continue
        newest = AuditChain.objects.filter(cluster=cluster).first()
        if newest and newest.sequence > reached.sequence and _exported_after(reached):
            continue  # it has grown since
        return reached, _break_at_the_end(reached, newest, expected)


def _break_at_the_end(
    reached: Head, newest: AuditChain | None, expected: dict[int, str]
) -> Break | None:
    beyond = min((n for n, hash_ in expected.items() if n > 0 or hash_), default=None)
    if newest is None or (newest.sequence, newest.hash) != (reached.sequence, reached.hash):
        if reached.sequence == 0 and newest is None and not beyond:
            return None
        return Break(reached.cluster, reached.sequence + 1, "the newest entries are missing")
    return _other_chain(reached.cluster, beyond) if beyond is not None else None


def _other_chain(cluster: str, sequence: int) -> Break:
    return Break(cluster, sequence, "the chain is not the one of the kept head")


def _exported_after(reached: Head) -> list[dict[str, Any]]:
    found = AuditEntry.objects.filter(cluster=reached.cluster, sequence__gt=reached.sequence)
    return [exported(entry) for entry in found.order_by("sequence")[:BATCH]]
