"""Find entries: filters, what an auditor may see of them, and one page of them."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from access.authorize import Actor, Forbidden, authorize_somewhere
from access.models import AuditChain, AuditEntry
from access.policy import EVERYWHERE, Action, Scope

PAGE = 50
# One step of an index for each action that there is, however many entries there are.
DISTINCT_ACTIONS = """
WITH RECURSIVE found(action) AS (
    (SELECT action FROM access_auditentry ORDER BY action LIMIT 1)
    UNION ALL
    SELECT (SELECT action FROM access_auditentry WHERE action > found.action
            ORDER BY action LIMIT 1)
    FROM found WHERE found.action IS NOT NULL
)
SELECT action FROM found WHERE action IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; what is left out is not asked for.

    Names of people and targets by how they begin, actions by any part, all else exactly.
    """

    actor: str = ""
    action: str = ""
    cluster: str = ""
    stack: str = ""
    target: str = ""
    phase: str = ""
    outcome: str = ""
    operation: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def asked(self) -> dict[str, Any]:
        """What is asked for, as the trail tells of it."""
        return {name: value for name, value in asdict(self).items() if value}

    def narrow(self, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        ways = {"actor": "actor_name__startswith", "target": "target__startswith",
                "since": "at__gte", "until": "at__lt"}  # fmt: skip
        found = {ways.get(name, name): value for name, value in self.asked().items()}
        if part := found.pop("action", ""):
            found["action__in"] = [action for action in actions() if part in action]
        return entries.filter(**found)

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack if self.cluster else "")


FILTERS = tuple(field.name for field in fields(Filters))


def actions() -> list[str]:
    """Every action that stands in the trail."""
    with connection.cursor() as cursor:
        cursor.execute(DISTINCT_ACTIONS)
        return [action for (action,) in cursor.fetchall()]


# --- What an auditor sees ------------------------------------------------------------------------


def scopes_of(actor: Actor, asked: Scope = EVERYWHERE) -> list[Scope]:
    """The scopes that the actor audits. Raises Forbidden if that is none, or none of `asked`."""
    scopes = authorize_somewhere(actor, Action.AUDIT_VIEW)
    if asked.cluster and not any(scope.holds(asked) or asked.holds(scope) for scope in scopes):
        raise Forbidden(Action.AUDIT_VIEW, asked, visible=False)
    return scopes


def entries_in(scopes: list[Scope]) -> QuerySet[AuditEntry]:
    """The entries of these scopes; those of the panel itself are for who audits everything."""
    if any(scope == EVERYWHERE for scope in scopes):
        return AuditEntry.objects.all()
    found = Q(pk__in=[])
    for scope in scopes:
        found |= (
            Q(cluster=scope.cluster, stack=scope.stack) if scope.stack else Q(cluster=scope.cluster)
        )
    return AuditEntry.objects.filter(found)


def clusters_in(scopes: list[Scope]) -> list[str]:
    """The names of the chains, for a choice; without the panel's own, which has none."""
    names = AuditChain.objects.exclude(cluster="").order_by("cluster")
    return [
        name
        for name in names.values_list("cluster", flat=True)
        if any(scope.holds(Scope(name)) or scope.cluster == name for scope in scopes)
    ]


# --- A page --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the ids after which the newer and before which the older ones go
    on; None where there are none."""

    entries: list[AuditEntry]
    newer: int | None
    older: int | None


def page(
    entries: QuerySet[AuditEntry], *, before: int | None = None, after: int | None = None
) -> Page:
    """The page that begins beside an entry: as quick at the end as at the beginning."""
    edge = AuditEntry.objects.filter(pk=after or before or 0).first()
    if edge is None:
        rows = list(entries.order_by("-at", "-id")[: PAGE + 1])
        return Page(rows[:PAGE], None, rows[PAGE - 1].pk if len(rows) > PAGE else None)
    if after:
        beyond = entries.filter(Q(at__gte=edge.at), Q(at__gt=edge.at) | Q(pk__gt=edge.pk))
        rows = list(beyond.order_by("at", "id")[: PAGE + 1])
        shown = rows[:PAGE][::-1]
        return Page(
            shown, shown[0].pk if len(rows) > PAGE else None, shown[-1].pk if shown else None
        )
    beyond = entries.filter(Q(at__lte=edge.at), Q(at__lt=edge.at) | Q(pk__lt=edge.pk))
    rows = list(beyond.order_by("-at", "-id")[: PAGE + 1])
    shown = rows[:PAGE]
    return Page(
        shown, shown[0].pk if shown else edge.pk, shown[-1].pk if len(rows) > PAGE else None
    )
