"""One operation at a time on what it changes: its target, and whatever else it holds."""

from typing import Any

from django.db import connection

from clusters.models import Operation
from clusters.problems import Busy


def refuse_if_held(operation: Operation) -> None:
    """Raises Busy if another operation holds one of the targets of this one.

    The lock of the cluster's audit chain is held by now, so that of two requests at the same time
    the later one sees the earlier.
    """
    asked: dict[str, Any] = {
        "mine": [operation.target_id, *operation.holds],
        "cluster": operation.cluster_id,
        "active": [str(state) for state in Operation.ACTIVE],
        "own": operation.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HOLDING, asked)
        found = cursor.fetchone()
    if found:
        raise busy(Operation.objects.get(pk=found[0]))


# Asked while the chain is locked for everybody else, so it is written out.
_HOLDING = """
    SELECT id FROM clusters_operation
    WHERE cluster_id = %(cluster)s AND state = ANY(%(active)s) AND id <> %(own)s
        AND (target_id = ANY(%(mine)s) OR holds ?| %(mine)s)
    ORDER BY created_at DESC LIMIT 1
"""


def busy(active: Operation) -> Busy:
    return Busy(
        f"{active.get_kind_display()} of {active.target} is still under way:"
        " wait for it, or cancel it.",
        active.id,
    )
