"""Break-glass: rights for an hour, told to everybody whom they concern, and reviewed afterwards."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from access.authorize import Actor, Forbidden, allowed, authorize
from access.models import BreakGlass, Grant, User
from access.operations.changing import (
    announce_alarm,
    announce_revoked,
    authorize_manage,
    record,
)
from access.policy import EMERGENCY, Action, Role, Scope
from access.problems import Invalid

LIFE = timedelta(minutes=60)
SHORTEST_REASON = 15  # characters
LONGEST_TEXT = 2000
BY_ITSELF = Actor(User(username="panel"), "schedule")


def break_glass(actor: Actor, scope: Scope, reason: str) -> BreakGlass:
    """Take emergency rights in a scope for an hour. Raises Forbidden, ProofNeeded, Invalid."""
    authorize(actor, Action.BREAK_GLASS, scope)
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_TEXT:
        raise Invalid(
            f"Say why, in at least {SHORTEST_REASON} characters: others read it now, and the"
            " reviewer afterwards.",
            "reason",
        )
    with transaction.atomic():
        User.objects.select_for_update().get(pk=actor.user.pk)  # a double click breaks it once
        if allowed(actor.user, scope) >= EMERGENCY:
            raise Invalid(f"You may do all of this {scope.where} already.", "place")
        glass = BreakGlass.objects.create(
            user=actor.user,
            cluster=scope.cluster,
            stack=scope.stack,
            reason=reason,
            until=Now() + LIFE,
        )
        glass.refresh_from_db()
        Grant.objects.create(
            user=actor.user,
            role=Role.ADMIN,
            cluster=scope.cluster,
            stack=scope.stack,
            expires_at=glass.until,
            break_glass=glass,
        )
        after = {"until": glass.until}
        record(
            actor, Action.BREAK_GLASS, str(scope), scope, reason=reason, before=None, after=after
        )
        announce_revoked(actor.user)
        announce_alarm(scope, glass.pk)
    return glass


def give_back(actor: Actor, glass: BreakGlass) -> None:
    """End the emergency rights now: one's own, or as one who manages access there."""
    if glass.user_id != actor.user.pk:
        authorize_manage(actor, glass.scope)
    with transaction.atomic():
        running = BreakGlass.objects.filter(pk=glass.pk, ended_at=None, until__gt=Now())
        if not running.update(ended_at=Now()):
            return
        Grant.objects.filter(break_glass=glass).delete()
        detail = {"break_glass": glass.pk, "before": {"until": glass.until}, "after": None}
        record(actor, "access.give-back", str(glass.user), glass.scope, **detail)
        announce_revoked(glass.user)
        announce_alarm(glass.scope, glass.pk)


def note_run_out() -> None:
    """Write down what ran out by itself, also after a long pause of the workers."""
    over = BreakGlass.objects.filter(ended_at=None, until__lte=Now()).select_related("user")
    for glass in over:
        note_end(glass)


def note_end(glass: BreakGlass) -> None:
    """Once, whichever worker is first."""
    with transaction.atomic():
        not_yet = BreakGlass.objects.filter(pk=glass.pk, ended_at=None)
        if not not_yet.update(ended_at=F("until")):
            return
        detail = {"break_glass": glass.pk, "before": {"until": glass.until}, "after": None}
        record(BY_ITSELF, "access.run-out", str(glass.user), glass.scope, **detail)
        announce_alarm(glass.scope, glass.pk)


def review(actor: Actor, glass: BreakGlass, text: str) -> None:
    """Say what one found of an emergency that is over; never one's own.

    Raises Forbidden, Invalid.
    """
    if glass.user_id == actor.user.pk:
        why = "Somebody else must review what you did: nobody reviews their own emergency."
        raise Forbidden(Action.ACCESS_MANAGE, glass.scope, visible=True, why=why)
    authorize_manage(actor, glass.scope)
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise Invalid("Say what you found: whether it was needed, and what follows.", "review")
    with transaction.atomic():
        over = BreakGlass.objects.filter(pk=glass.pk, reviewed_at=None)
        over = over.exclude(ended_at=None, until__gt=Now())
        if not over.update(reviewed_by=actor.user, reviewed_at=Now(), review=text):
            raise Invalid("It still runs, or somebody else has reviewed it already.")
        detail = {"break_glass": glass.pk, "before": None, "after": {"review": text}}
        record(actor, "access.review", str(glass.user), glass.scope, **detail)
        announce_alarm(glass.scope, glass.pk)
