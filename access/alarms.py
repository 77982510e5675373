"""What stands above every page: emergency rights, and what waits for a second look."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.authorize import allowed_by, grants_of
from access.models import AuditEntry, BreakGlass, Unprotected, User
from access.policy import Action, Held, Scope
from access.problems import NotFound

TOLD_FOR = timedelta(hours=24)  # that a protection was taken away
RUNNING = Q(ended_at=None, until__gt=Now())


@dataclass(slots=True)
class Alarms:
    """What one person is to see on every page."""

    running: list[BreakGlass]
    to_review: list[BreakGlass]
    unprotected: list[Unprotected]


def alarms_of(grants: list[Held]) -> Alarms:
    """Emergencies for whoever can see something of their scope; the rest for its administrators."""
    open_ones = [
        glass
        for glass in BreakGlass.objects.filter(reviewed_at=None).select_related("user")
        if _concerns(grants, glass.scope)
    ]
    told = Unprotected.objects.filter(at__gt=Now() - TOLD_FOR).select_related("user")
    return Alarms(
        running=[glass for glass in open_ones if is_running(glass)],
        to_review=[g for g in open_ones if not is_running(g) and _manages(grants, g.scope)],
        unprotected=[notice for notice in told if _manages(grants, notice.scope)],
    )


def _concerns(grants: list[Held], scope: Scope) -> bool:
    return any(Action.SERVICE_VIEW in held.actions and held.scope.meets(scope) for held in grants)


def _manages(grants: list[Held], scope: Scope) -> bool:
    return Action.ACCESS_MANAGE in allowed_by(grants, scope)


def is_running(glass: BreakGlass) -> bool:
    return glass.ended_at is None and glass.until > timezone.now()


def running_now() -> Hashable:
    """Changes when an emergency runs out by itself, of which no change tells."""
    return frozenset(BreakGlass.objects.filter(RUNNING).values_list("pk", flat=True))


def alarms(user: User) -> dict[str, Any]:
    """What `templates/access/_alarms.html` is rendered with: the same for all with these rights."""
    return {"alarms": alarms_of(grants_of(user))}


# --- Emergencies ---------------------------------------------------------------------------------


def emergencies(user: User) -> QuerySet[BreakGlass]:
    """Those that concern the user, and their own, the latest first."""
    seen = Q(pk__in=[]) if user.token else Q(user=user)  # a token sees what is in its scope
    for held in grants_of(user):
        if Action.SERVICE_VIEW in held.actions:
            seen |= _meeting(held.scope)
    found = BreakGlass.objects.filter(seen).select_related("user", "reviewed_by")
    return found.order_by("-started_at", "-pk")


def _meeting(scope: Scope) -> Q:
    """Of rows with a cluster and a stack, those whose scope has something in common with this."""
    if not scope.cluster:
        return Q(pk__isnull=False)
    here = Q(cluster=scope.cluster)
    return Q(cluster="") | (here & Q(stack__in=("", scope.stack)) if scope.stack else here)


def emergency_seen_by(user: User, pk: int) -> BreakGlass:
    """Raises NotFound."""
    found = emergencies(user).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such emergency, or none that concerns you.")
    return found


def emergency_rows(user: User, keys: set[str] | None) -> list[dict[str, Any]]:
    """These, or all, as the list's rows; by the user's rights alone, who they are is no matter."""
    grants = grants_of(user)
    found = BreakGlass.objects.select_related("user")
    found = found[:500] if keys is None else found.filter(pk__in=[int(k) for k in keys])
    return [
        {"glass": glass, "running": is_running(glass)}
        for glass in found
        if _concerns(grants, glass.scope)
    ]


def emergency_now(user: User, pk: int) -> dict[str, Any] | None:
    """What an open page of the emergency is told anew; by the user's rights alone."""
    found = emergency_rows(user, {str(pk)})
    if not found:
        return None
    glass, running = found[0]["glass"], found[0]["running"]
    waits = not running and glass.reviewed_at is None
    return {**found[0], "told_to_review": waits and _manages(grants_of(user), glass.scope)}


def own_running(user: User) -> QuerySet[BreakGlass]:
    return BreakGlass.objects.filter(RUNNING, user=user)


def done_under(glass: BreakGlass) -> QuerySet[AuditEntry]:
    """What was done under it, the first thing first: what a reviewer needs to see."""
    found = AuditEntry.objects.filter(
        actor=glass.user_id, at__gte=glass.started_at, detail__break_glass=glass.pk
    )
    return found.order_by("id")
