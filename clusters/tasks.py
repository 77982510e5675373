"""Celery's entry points. Their messages are wake-ups: what is to be done stands in PostgreSQL."""

import logging
import os
import socket
import threading
from uuid import UUID

from celery import shared_task
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from access.declared import INTERNAL, needs
from clusters.engines import engine_for
from clusters.inventory import events
from clusters.models import Operation
from clusters.operations import approvals
from clusters.operations.carry_out import advance
from live import changes

log = logging.getLogger(__name__)


def wake(operation_id: str, seconds: float = 0.0) -> None:
    """Tell a worker that the operation is due. A broker that is away costs but the delay."""
    try:
        carry_on.apply_async((operation_id,), countdown=seconds, retry=False)
    except (OperationalError, OSError) as error:
        log.warning(
            "The broker does not answer; the sweep will wake operation %s: %s", operation_id, error
        )


@shared_task
@needs(INTERNAL)
def carry_on(operation_id: str) -> None:
    """Take an operation as far as it goes at once, then come back when its next step is due."""
    if not _is_id(operation_id):
        log.warning("A message names no operation: %.80r; nothing is done", operation_id)
        return
    holder = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
    rest = advance(operation_id, engine_for, holder)
    if rest is not None:
        wake(operation_id, rest)


def _is_id(text: object) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


@shared_task
@needs(INTERNAL)
def sweep() -> None:
    """Wake what is due and held by nobody: lost messages, dead workers, a broker that was away."""
    free = Q(held_until=None) | Q(held_until__lt=Now())
    due = Operation.objects.filter(free, state__in=Operation.ACTIVE, next_step_at__lte=Now())
    for operation_id in due.order_by("next_step_at").values_list("pk", flat=True)[:100]:
        wake(str(operation_id))


@shared_task
@needs(INTERNAL)
def close_void_approvals() -> None:
    """End requests for approval that have expired, or whose service was changed meanwhile."""
    approvals.close_void()


@shared_task
@needs(INTERNAL)
def prune() -> None:
    """Drop numbered changes that nobody can resume from, and events of long ago."""
    changes.prune()
    events.prune()
