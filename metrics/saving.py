"""Save, change, move and remove panels. Who may query the whole cluster may.

A panel shows what its query sees to everybody who sees its stack: so it is not enough to have
rights in that stack.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from access import audit
from access.authorize import Actor, authorize
from access.models import AuditEntry
from access.policy import Action
from access.problems import Invalid
from clusters.models import Cluster, Service
from metrics.asking import wrong_with
from metrics.models import SavedPanel
from metrics.saved import ChangedPanel, NewPanel

MOST = 40  # of a stack: more is no page to look at
KEPT = timedelta(days=30)  # what was removed can be put back for so long


def save(actor: Actor, cluster: Cluster, new: NewPanel) -> SavedPanel:
    """At the end of its stack's panels. Raises Forbidden, Invalid."""
    authorize(actor, Action.METRICS_QUERY, cluster.scope)
    if new.stack and not Service.objects.filter(cluster=cluster, stack=new.stack).exists():
        raise Invalid(f"There is no stack named {new.stack} in {cluster.name}.", "stack")
    _refuse_wrong(cluster, new.query)
    with transaction.atomic():
        others = _lock(cluster, new.stack)
        _refuse_many(others)
        panel = SavedPanel.objects.create(
            cluster=cluster,
            position=_after(others),
            created_by_id=actor.user.pk,
            **new.model_dump(),
        )
        _record(actor, panel, "saved", query=panel.query)
    return panel


def change(actor: Actor, panel: SavedPanel, changed: ChangedPanel) -> SavedPanel:
    """Raises Forbidden, Invalid."""
    authorize(actor, Action.METRICS_QUERY, panel.cluster.scope)
    fields = changed.given()
    if "query" in fields and fields["query"] != panel.query:
        _refuse_wrong(panel.cluster, fields["query"])
    with transaction.atomic():
        for name, value in fields.items():
            setattr(panel, name, value)
        panel.save(update_fields=[*fields, "changed_at"])
        if changed.position is not None:
            _place(panel, changed.position)
        _record(actor, panel, "changed", **changed.model_dump(exclude_unset=True))
    return panel


def move(actor: Actor, panel: SavedPanel, by: int) -> None:
    """So many places down; up if it is negative. Raises Forbidden."""
    authorize(actor, Action.METRICS_QUERY, panel.cluster.scope)
    with transaction.atomic():
        order = [other.pk for other in _lock(panel.cluster, panel.stack)]
        if panel.pk in order:
            _place(panel, max(0, order.index(panel.pk) + by))


def remove(actor: Actor, panel: SavedPanel) -> None:
    """It can be put back. Raises Forbidden."""
    authorize(actor, Action.METRICS_QUERY, panel.cluster.scope)
    with transaction.atomic():
        panel.removed_at = timezone.now()
        panel.save(update_fields=["removed_at", "changed_at"])
        old = SavedPanel.objects.filter(removed_at__lt=panel.removed_at - KEPT, given="")
        old.filter(cluster=panel.cluster).delete()
        _record(actor, panel, "removed", query=panel.query)


def put_back(actor: Actor, panel: SavedPanel) -> None:
    """At the end of its stack's panels. Raises Forbidden, Invalid."""
    authorize(actor, Action.METRICS_QUERY, panel.cluster.scope)
    with transaction.atomic():
        others = _lock(panel.cluster, panel.stack)
        _refuse_many(others)
        panel.removed_at, panel.position = None, _after(others)
        panel.save(update_fields=["removed_at", "position", "changed_at"])
        _record(actor, panel, "put back")


def _lock(cluster: Cluster, stack: str) -> list[SavedPanel]:
    """The stack's panels in their order; two who move or add do it one after the other."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    return list(SavedPanel.objects.filter(cluster=cluster, stack=stack, removed_at=None))


def _place(panel: SavedPanel, position: int) -> None:
    others = [one for one in _lock(panel.cluster, panel.stack) if one.pk != panel.pk]
    others.insert(position, panel)
    for number, one in enumerate(others):
        one.position = number
    SavedPanel.objects.bulk_update(others, ["position"])


def _after(others: list[SavedPanel]) -> int:
    return others[-1].position + 1 if others else 0


def _refuse_many(others: list[SavedPanel]) -> None:
    if len(others) >= MOST:
        raise Invalid(f"There are {MOST} panels already: remove one first.")


def _refuse_wrong(cluster: Cluster, query: str) -> None:
    if problem := wrong_with(cluster, query):
        raise Invalid(problem, "query")


def _record(actor: Actor, panel: SavedPanel, what: str, **detail: Any) -> None:
    audit.record(
        actor,
        Action.METRICS_QUERY,
        AuditEntry.Phase.EVENT,
        scope=panel.scope,
        target=panel.title,
        detail={"panel": panel.pk, "what": what, **detail},
    )
