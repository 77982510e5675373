"""One operation at a time on what it changes: its target, and whatever else it holds."""

from django.db.models import Q

from clusters.models import Operation
from clusters.problems import Busy


def refuse_if_held(operation: Operation) -> None:
    """Raises Busy if another operation holds one of the targets of this one.

    The lock of the cluster's audit chain is held by now, so that of two requests at the same time
    the later one sees the earlier.
    """
    mine = [operation.target_id, *operation.holds]
    held = Q(target_id__in=mine) | Q(holds__has_any_keys=mine)
    others = Operation.objects.filter(held, cluster=operation.cluster, state__in=Operation.ACTIVE)
    if other := others.exclude(pk=operation.pk).first():
        raise busy(other)


def busy(active: Operation) -> Busy:
    return Busy(
        f"{active.get_kind_display()} of {active.target} is still under way:"
        " wait for it, or cancel it.",
        active.id,
    )
