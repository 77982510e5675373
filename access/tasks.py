"""Celery's entry points of the trail. A message is a wake-up; what is to be done stands in rows."""

import logging
from pathlib import Path

from celery import shared_task
from django.conf import settings
from kombu.exceptions import OperationalError

from access import noted
from access.declared import INTERNAL, needs
from access.operations import emergencies
from access.trail import heads, proofs

log = logging.getLogger(__name__)


def wake_prove(proof_id: int) -> None:
    """Tell a worker of a proof. A broker that is away costs but the delay: `tend` repeats it."""
    try:
        prove.apply_async((proof_id,), retry=False)
    except (OperationalError, OSError) as error:
        log.warning("The broker does not answer; proof %s waits: %s", proof_id, error)


@shared_task
@needs(INTERNAL)
def prove(proof_id: int) -> None:
    """Follow all chains of the audit trail, if that was asked for and nobody else does."""
    if isinstance(proof_id, int):
        proofs.carry_out(proof_id)


@shared_task
@needs(INTERNAL)
def tend() -> None:
    """Tell how often what was noted happened and what ran out; prove the chains once a day."""
    noted.close()
    emergencies.note_run_out()
    proofs.ask_if_due(wake_prove)


@shared_task
@needs(INTERNAL)
def keep_heads() -> None:
    """The heads leave the host: one line of the log, and a file if a directory is named for it."""
    log.warning("audit heads: %s", " ".join(heads.lines()))
    if settings.AUDIT_HEADS:
        try:
            heads.keep(Path(settings.AUDIT_HEADS))
        except heads.NoHeads as error:
            log.error("%s", error)  # noqa: TRY400 - the words say it all
