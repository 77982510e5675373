"""What happens again and again, in the trail once: refusals, guesses, reads of what is sensitive.

The first of a kind is written at once. The same by the same person within the time is counted, and
one more entry tells how often. Who tries many things within a minute is told of as that; what they
were shown is told one by one, or many harmless reads would hide the one that was not.
"""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access import audit
from access.authorize import Actor, Forbidden, ProofNeeded
from access.models import AuditEntry, Noted, TokenAddress
from access.policy import EVERYWHERE, Action, Scope

MINUTE = timedelta(minutes=1)
WINDOWS = {AuditEntry.Phase.REFUSED: MINUTE, AuditEntry.Phase.EVENT: timedelta(minutes=10)}
MOST = 30  # different refusals of one person, told one by one
MANY = "many"  # the outcome of what is told of together
MOST_ADDRESSES = 50  # that are remembered of a token
CLOSED_AT_ONCE = 200


def refused(actor: Actor, refusal: Forbidden) -> None:
    """Somebody tried what they may not. Call it outside of the transaction that it rolled back."""
    outcome = "unproven" if isinstance(refusal, ProofNeeded) else "forbidden"
    scope, target = refusal.scope, ""
    if not audit.has_chain(scope.cluster):
        scope, target = EVERYWHERE, "" if scope == EVERYWHERE else str(scope)
    _note(actor, refusal.action, AuditEntry.Phase.REFUSED, scope, target, outcome=outcome)


def throttled(actor: Actor, action: str) -> None:
    """Somebody guessed on, and was not even listened to; perhaps somebody unknown, under a name."""
    _note(actor, action, AuditEntry.Phase.REFUSED, EVERYWHERE, outcome="throttled")


def read(actor: Actor, action: Action, scope: Scope = EVERYWHERE, target: str = "") -> None:
    """Somebody was shown what is sensitive: a log, values, the trail itself."""
    _note(actor, action, AuditEntry.Phase.EVENT, scope, target)


def token_used(actor: Actor) -> None:
    """A token came from another address than ever before; its first one is but remembered."""
    token = actor.user.token
    if token is None or TokenAddress.objects.filter(token=token, address=actor.address).exists():
        return
    with transaction.atomic():
        known = TokenAddress.objects.filter(token=token).count()
        if known < MOST_ADDRESSES:
            TokenAddress.objects.get_or_create(token=token, address=actor.address)
        if known:
            _note(actor, "token.new-address", AuditEntry.Phase.EVENT, token.scope, token.name)


def _note(
    actor: Actor,
    action: Action | str,
    phase: AuditEntry.Phase,
    scope: Scope,
    target: str = "",
    outcome: str = "",
) -> None:
    known = actor.user.pk is not None
    row = Noted(
        actor=actor.user if known else None,
        name="" if known else audit.storable(actor.user.get_username())[:150],
        via=actor.via,
        address=actor.address,
        action=str(action),
        phase=phase,
        cluster=scope.cluster,
        stack=scope.stack,
        target=target[:255],
        outcome=outcome,
    )
    if _counted(row):
        return
    if row.phase == AuditEntry.Phase.REFUSED and _open_ones(row).count() >= MOST:
        row.cluster = row.stack = row.target = row.name = ""
        row.outcome = MANY
        if _counted(row):
            return
    with transaction.atomic():
        _open(replace(actor, user=actor.user if known else row.who, proven_at=None), row)


def _open_ones(row: Noted) -> QuerySet[Noted]:
    """What is counted of the same person; of those whom nobody knows, from the same address."""
    found = Noted.objects.filter(actor=row.actor, until__gt=Now())
    return found if row.actor else found.filter(address=row.address)


def _key(row: Noted) -> str:
    same = (
        row.actor_id, row.name, row.via, row.address, row.action, row.phase, row.cluster, row.stack,
        row.target, row.outcome,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(same).encode()).hexdigest()


def _counted(row: Noted) -> bool:
    """Whether it was told of already and is only counted."""
    return bool(Noted.objects.filter(key=_key(row), until__gt=Now()).update(times=F("times") + 1))


def _open(actor: Actor, row: Noted) -> None:
    row.key = _key(row)
    Noted.objects.bulk_create([row], ignore_conflicts=True)
    kept = Noted.objects.select_for_update().get(key=row.key)
    now = timezone.now()
    if kept.until and kept.until > now:  # another request was quicker
        Noted.objects.filter(pk=kept.pk).update(times=F("times") + 1)
        return
    _tell_how_often(kept)
    _write(actor, kept, {})
    until = now + WINDOWS[AuditEntry.Phase(kept.phase)]
    Noted.objects.filter(pk=kept.pk).update(since=now, until=until, times=0)


def _tell_how_often(row: Noted) -> None:
    if row.times and row.since and row.until:
        told = {"more": row.times, "since": row.since, "until": row.until}
        _write(Actor(row.who, row.via, row.address), row, told)


def _write(actor: Actor, row: Noted, detail: dict[str, object]) -> None:
    audit.record(
        actor,
        row.action,
        AuditEntry.Phase(row.phase),
        scope=Scope(row.cluster, row.stack),
        target=row.target,
        outcome=row.outcome,
        detail=detail,
    )


def close() -> None:
    """Tell how often what is over happened, and forget it."""
    with transaction.atomic():
        over = Noted.objects.filter(until__lte=Now()).select_related("actor").order_by("until")
        mine = over.select_for_update(skip_locked=True, of=("self",))
        for row in mine[:CLOSED_AT_ONCE]:
            _tell_how_often(row)
            row.delete()
