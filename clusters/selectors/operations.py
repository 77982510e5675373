"""Operations: one, the list, and the tray."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from access.authorize import grants_of
from access.models import User
from access.policy import Action
from clusters.models import Operation, Service
from clusters.problems import NotFound
from clusters.selectors.scopes import in_scopes


def operations_seen_by(user: User) -> QuerySet[Operation]:
    """What is about a secret or config is seen by those who may see that."""
    grants = grants_of(user)

    def within(action: Action) -> Q:
        scopes = [held.scope for held in grants if action in held.actions]
        return in_scopes(scopes, "cluster__name", "stack")

    visible = within(Action.SERVICE_VIEW)
    visible &= ~Q(kind__startswith="secret-") | within(Action.SECRET_VIEW)
    visible &= ~Q(kind__startswith="config-") | within(Action.CONFIG_VIEW)
    return Operation.objects.filter(visible).select_related(
        "cluster", "requested_by", "cancelled_by"
    )


def operation_seen_by(user: User, operation_id: Any) -> Operation:
    """Raises NotFound, also for one that the user may not see."""
    found = operations_seen_by(user).filter(pk=operation_id).first()
    if found is None:
        raise NotFound("There is no such operation.")
    return found


def operation_list(
    user: User, *, state: str = "", cluster: str = "", service: Service | None = None
) -> QuerySet[Operation]:
    """Newest first; `state` may also be "active"."""
    found = operations_seen_by(user)
    if state == "active":
        found = found.filter(state__in=Operation.OPEN)
    elif state:
        found = found.filter(state=state)
    if cluster:
        found = found.filter(cluster__name=cluster)
    if service:
        here = Q(target_id=service.engine_id) | Q(holds__contains=[service.engine_id])
        found = found.filter(here, cluster=service.cluster)
    return found


def awaiting(user: User, service: Service) -> QuerySet[Operation]:
    """What would change the service and awaits a second person, oldest first; as far as seen."""
    waiting = operation_list(user, state=Operation.State.AWAITING, service=service)
    return waiting.select_related("approval").order_by("created_at")


def tray(user: User) -> list[Operation]:
    """What the tray shows: all that is under way, and what ended within the last minutes."""
    recent = Q(finished_at__gt=timezone.now() - timedelta(minutes=5))
    return list(operations_seen_by(user).filter(Q(state__in=Operation.OPEN) | recent)[:20])
