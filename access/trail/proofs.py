"""Prove all chains: asked for by somebody or due by itself, and carried out by a worker."""

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from access import audit
from access.audit import Head
from access.authorize import Actor
from access.models import AuditChain, AuditEntry, AuditProof, User
from access.policy import Scope

HELD = timedelta(seconds=60)  # without progress for so long, another worker begins anew
EVERY = timedelta(hours=24)
KEPT = 200  # proofs

Wake = Callable[[int], None]  # tells a worker of a proof's id; must not raise


def newest() -> AuditProof | None:
    return AuditProof.objects.first()


def newest_finished() -> AuditProof | None:
    return AuditProof.objects.exclude(finished_at=None).first()


def ask(asked_by: str, wake: Wake) -> AuditProof:
    """Have all chains proved; while that is under way already, it is that proof."""
    with transaction.atomic():
        list(AuditChain.objects.select_for_update().filter(cluster=""))  # one asks at a time
        under_way = AuditProof.objects.filter(finished_at=None).first()
        if under_way:
            return under_way
        proof = AuditProof.objects.create(asked_by=asked_by, total=_entries())
        transaction.on_commit(lambda: wake(proof.pk))
    return proof


def ask_if_due(wake: Wake) -> None:
    """Once a day by itself; and what was asked for and nobody is at."""
    free = Q(held_until=None) | Q(held_until__lt=Now())
    for proof in AuditProof.objects.filter(free, finished_at=None):
        wake(proof.pk)
    last = newest()
    if last is None or timezone.now() - last.asked_at > EVERY:
        ask("", wake)


def _entries() -> int:
    return AuditChain.objects.aggregate(all=Sum("sequence"))["all"] or 0


def carry_out(proof_id: int) -> None:
    """Go through all chains, unless another worker does."""
    now = timezone.now()
    free = Q(held_until=None) | Q(held_until__lt=now)
    mine = AuditProof.objects.filter(free, pk=proof_id, finished_at=None)
    if not mine.update(held_until=now + HELD, done=0, total=_entries()):
        return

    def progress(entries: int) -> None:
        AuditProof.objects.filter(pk=proof_id).update(
            done=F("done") + entries, held_until=timezone.now() + HELD
        )

    prove(AuditProof.objects.get(pk=proof_id), progress)


def prove(
    proof: AuditProof,
    progress: audit.Progress = lambda entries: None,
    kept: list[Head] | None = None,
) -> AuditProof:
    """Follow every chain, keep what was found, and tell it in the trail."""
    proof.chains = [_chain(name, kept or [], progress) for name in audit.chains(kept or [])]
    proof.done = proof.total = sum(chain["entries"] for chain in proof.chains)
    proof.finished_at, proof.held_until = timezone.now(), None
    with transaction.atomic():
        proof.save()
        broken = [str(chain["cluster"]) for chain in proof.breaks]
        _tell(proof, broken)
        last = list(AuditProof.objects.values_list("pk", flat=True)[:KEPT])
        AuditProof.objects.filter(pk__lt=last[-1]).delete()
    return proof


def _chain(name: str, kept: list[Head], progress: audit.Progress) -> dict[str, object]:
    reached, broken = audit.follow(name, kept, progress)
    return {
        "cluster": name,
        "entries": reached.sequence,
        "hash": reached.hash,
        "broken": {"sequence": broken.sequence, "reason": broken.reason} if broken else None,
    }


def _tell(proof: AuditProof, broken: list[str]) -> None:
    somebody = User.objects.filter(username=proof.asked_by).first()
    audit.record(
        Actor(somebody or User(username=proof.asked_by or "panel"), "panel"),
        "audit.verify",
        AuditEntry.Phase.RESULT,
        outcome="broken" if broken else "whole",
        detail={"entries": proof.done, "chains": len(proof.chains), "broken": broken},
    )


def seen_in(proof: AuditProof, scopes: list[Scope]) -> list[dict[str, object]]:
    """The chains of the proof that an auditor of these scopes sees."""
    return [
        chain
        for chain in proof.chains
        if any(not scope.cluster or scope.cluster == chain["cluster"] for scope in scopes)
    ]
