"""Each process writes what it has counted into a row of its own, every quarter of a minute."""

import logging
import os
import socket
import threading
from datetime import timedelta

from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.utils import timezone

from telemetry import pool  # noqa: F401  # adds itself to what the process counts
from telemetry.families import Family, labelled
from telemetry.models import ProcessReport
from telemetry.series import PROCESS

log = logging.getLogger(__name__)
EVERY = 15.0  # seconds between two reports
GONE = timedelta(seconds=60)  # a process that was silent for so long has ended
FORGOTTEN = timedelta(hours=1)  # its row is dropped

_role = "web"
_started = threading.Lock()


def process_name() -> str:
    return f"{_role}@{socket.gethostname()}:{os.getpid()}"


def report_as(role: str) -> None:
    """Begin to report; asked again in the same process, it does nothing."""
    global _role
    if _started.acquire(blocking=False):
        _role = role
        threading.Thread(target=_keep_reporting, name="telemetry", daemon=True).start()


def _keep_reporting() -> None:
    pause = threading.Event()
    while not pause.wait(EVERY):
        try:
            report()
        except DatabaseError as error:  # the next one tells all the same: these are totals
            log.debug("What was counted cannot be written: %s", error)
        finally:
            connection.close()


def report() -> None:
    """Write this process's row, and drop those of processes that ended long ago."""
    row = ProcessReport(process=process_name(), role=_role, families=_counted(), at=Now())
    ProcessReport.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["process"],
        update_fields=["role", "families", "at"],
    )
    ProcessReport.objects.filter(at__lt=Now() - FORGOTTEN).delete()


def _counted() -> list[Family]:
    return labelled(PROCESS, {"process": process_name(), "role": _role})


def reports() -> list[ProcessReport]:
    """Those of the processes that live, this one's as of now. One query."""
    name = process_name()
    mine = ProcessReport(process=name, role=_role, families=_counted(), at=timezone.now())
    living = ProcessReport.objects.filter(at__gt=Now() - GONE).exclude(process=mine.process)
    return [mine, *living.order_by("process")]
