"""Write the audit trail and prove it. An intent stands in the same transaction as what it intends.

Each cluster has a chain of its own, and the panel itself has one without a name. The lock of the
chain's head is held until the commit, so that entries are numbered in the order of their commits.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

from access import chain
from access.authorize import Actor, Forbidden, emergency_of
from access.chain import Break
from access.models import AuditChain, AuditEntry
from access.policy import EVERYWHERE, Action, Scope


class ClockTimestamp(models.Func):
    """The database's clock now, not at the transaction's start."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


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

    What is done under emergency rights is marked with them.
    """
    detail = {**(detail or {}), **_emergency(actor, scope, operation)}
    entry = AuditEntry(
        phase=phase,
        actor=actor.user if actor.user.pk else None,
        actor_name=actor.user.get_username()[:150],
        via=actor.via,
        address=actor.address,
        action=str(action),
        cluster=scope.cluster,
        stack=scope.stack,
        target=_storable(target)[:255],
        operation=operation,
        outcome=outcome,
        detail=json.loads(_storable(json.dumps(detail, cls=DjangoJSONEncoder))),
    )
    with transaction.atomic():
        _append(entry)
    return entry


def _emergency(actor: Actor, scope: Scope, operation: UUID | None) -> dict[str, int]:
    """The break-glass that the actor holds here, or held when they asked for the operation."""
    glass = emergency_of(actor.user, scope) if actor.user.pk else None
    if glass is None and operation is not None:
        intents = AuditEntry.objects.filter(operation=operation, phase=AuditEntry.Phase.INTENT)
        asked = intents.order_by("id").values_list("detail", flat=True).first() or {}
        glass = asked.get("break_glass")
    return {} if glass is None else {"break_glass": glass}


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL does not keep: bare, or as JSON writes it."""
    return text.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd")


def _append(entry: AuditEntry) -> None:
    head = _locked_head(entry.cluster)
    entry.at, entry.sequence = head.now, head.sequence + 1
    entry.hash = chain.link(head.hash, exported(entry))
    entry.save(force_insert=True)
    AuditChain.objects.filter(pk=head.pk).update(sequence=entry.sequence, hash=entry.hash)


def _locked_head(cluster: str) -> Any:
    """The chain's head, made with its first entry, and `now`: the clock once the lock is held."""
    heads = AuditChain.objects.select_for_update().annotate(now=ClockTimestamp())
    if head := heads.filter(pk=cluster).first():
        return head
    AuditChain.objects.bulk_create([AuditChain(cluster=cluster)], ignore_conflicts=True)
    return heads.get(pk=cluster)


def refused(actor: Actor, refusal: Forbidden) -> None:
    """Note that somebody tried what they may not."""
    record(actor, refusal.action, AuditEntry.Phase.REFUSED, scope=refusal.scope)


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


def heads() -> list[Head]:
    return [
        Head(head.cluster, head.sequence, head.hash)
        for head in AuditChain.objects.order_by("cluster")
    ]


def verify(kept: Iterable[Head] = ()) -> list[Break]:
    """Follow every chain from its first entry; nothing if all are whole.

    `kept` are heads from an earlier time: they tell when entries, or whole chains, were taken off
    the end, or when everything was written anew.
    """
    older: dict[str, list[Head]] = {}
    for head in kept:
        older.setdefault(head.cluster, []).append(head)
    newest = {head.cluster: head for head in heads()}
    names = sorted(
        {
            *newest,
            *older,
            *AuditEntry.objects.order_by().values_list("cluster", flat=True).distinct(),
        }
    )
    found = (_break_of(name, newest.get(name), older.get(name, [])) for name in names)
    return [broken for broken in found if broken]


def _break_of(cluster: str, newest: Head | None, kept: list[Head]) -> Break | None:
    if broken := chain.first_break(map(exported, _entries(cluster))):
        return broken
    hashes = dict(
        AuditEntry.objects.filter(
            cluster=cluster,
            sequence__in=[h.sequence for h in (*kept, *([newest] if newest else []))],
        ).values_list("sequence", "hash")
    )
    for head in kept:
        if hashes.get(head.sequence, "" if head.sequence == 0 else None) != head.hash:
            return Break(cluster, head.sequence, "the chain is not the one of the kept head")
    last = AuditEntry.objects.filter(cluster=cluster).order_by("-sequence").first()
    reached = (last.sequence, last.hash) if last else (0, "")
    if newest is None or (newest.sequence, newest.hash) != reached:
        return Break(cluster, reached[0] + 1, "the newest entries are missing")
    return None


def _entries(cluster: str) -> Iterator[AuditEntry]:
    return AuditEntry.objects.filter(cluster=cluster).order_by("sequence").iterator(2000)
