"""Who carries an operation on: one worker, proven by a fencing token with every write."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from clusters import readings, states
from clusters.models import Operation
from clusters.operations.announcing import announce, note_result


class Fenced(Exception):
    """Another worker has taken the operation over; this one must touch nothing more."""


def claim(operation_id: str, holder: str) -> Operation | None:
    """The operation, if it is due and nobody holds it; one conditional UPDATE decides."""
    asked = {"id": operation_id, "holder": holder, "seconds": settings.OPERATION_LEASE}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {**asked, "active": [str(state) for state in Operation.ACTIVE]})
        if not cursor.rowcount:
            return None
    return Operation.objects.select_related("cluster", "requested_by", "api_token", "approval").get(
        pk=operation_id
    )


_CLAIM = """
    UPDATE clusters_operation
    SET holder = %(holder)s, token = token + 1,
        held_until = statement_timestamp() + make_interval(secs => %(seconds)s)
    WHERE id = %(id)s AND state = ANY(%(active)s) AND next_step_at <= statement_timestamp()
        AND (held_until IS NULL OR held_until < statement_timestamp())
"""


def release(operation: Operation, seconds: float) -> bool:
    """Give the lease back, if it is still held; the next step is due after this many seconds."""
    due = Now() + timedelta(seconds=seconds)
    return bool(_own(operation).update(held_until=None, next_step_at=due))


def _own(operation: Operation) -> Any:
    return Operation.objects.filter(pk=operation.pk, token=operation.token)


def write(operation: Operation, **fields: Any) -> None:
    """Store and announce what differs.

    Raises Fenced if the lease has gone to another worker, or if somebody cancelled in the meantime.
    """
    fields = readings.storable(fields)
    differing = {name: value for name, value in fields.items() if getattr(operation, name) != value}
    if not differing:
        return
    with transaction.atomic():
        if not _own(operation).filter(state=operation.state).update(**differing):
            raise Fenced
        announce(operation)
    _noted(operation, differing)


def move(operation: Operation, state: Operation.State, **fields: Any) -> None:
    """Go to another state, by the one table. A final state writes the audit's result row, too.

    Raises Fenced, also when the way there is closed: somebody cancelled in the meantime.
    """
    final = state not in Operation.OPEN
    fields = readings.storable(fields)
    if final:
        fields |= {"finished_at": Now(), "held_until": None, "estimate_at": None}
    with transaction.atomic():
        if (
            not _own(operation)
            .filter(state__in=states.sources(state))
            .update(state=state, **fields)
        ):
            raise Fenced
        if final:
            note_result(operation, state, str(fields.get("error") or fields.get("result") or ""))
        announce(operation)
    _noted(operation, {"state": state, **fields})


def _noted(operation: Operation, stored: dict[str, Any]) -> None:
    """The row in memory as it was stored. What others changed meanwhile fences the next write."""
    told = [name for name, value in stored.items() if hasattr(value, "resolve_expression")]
    for name in stored.keys() - told:
        setattr(operation, name, stored[name])
    if told:
        operation.refresh_from_db(fields=told)  # by the database's clock
