"""What happened to a service while its series were told: marks on its charts."""

from collections.abc import Callable, Iterable
from datetime import datetime

from django.urls import reverse

from access.models import User
from clusters import selectors
from clusters.models import Operation, Service
from clusters.templatetags.looks import look
from metrics.pictures import Mark
from metrics.windows import Window, moment

MOST = 100
Marking = Callable[[User, Service, datetime, datetime], Iterable[Mark]]
_more: list[Marking] = []


def add(marking: Marking) -> Marking:
    """Let another part of the product mark what it did, as autoscaling its decisions."""
    _more.append(marking)
    return marking


def marks_of(user: User, service: Service, window: Window | None) -> list[Mark]:
    """What the user may see of it within the window."""
    if window is None:
        return []
    start, end = moment(window.start), moment(window.end + window.step)
    found = [_mark(operation) for operation in _operations(user, service, start, end)]
    for marking in _more:
        found += marking(user, service, start, end)
    return found


def _operations(
    user: User, service: Service, start: datetime, end: datetime
) -> Iterable[Operation]:
    rows = selectors.operation_list(user, service=service)
    began = rows.filter(started_at__lte=end).exclude(finished_at__lt=start)
    # What never ran, as an approval that nobody gave, did nothing to the series.
    return began.order_by("-started_at")[:MOST]


def _mark(operation: Operation) -> Mark:
    shown = look("operation", operation.state)
    began = operation.started_at or operation.created_at
    return Mark(
        kind="operation",
        at=began.timestamp(),
        until=operation.finished_at.timestamp() if operation.finished_at else None,
        label=f"{operation.get_kind_display()} by {operation.requested_by.username}",
        state=shown.word,
        tone=shown.tone,
        icon=shown.icon,
        url=reverse("clusters:operation", args=[operation.pk]),
    )
