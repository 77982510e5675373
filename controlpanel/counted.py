"""What Celery's processes count of themselves, told to it by its signals.

Nothing of Django is imported at the top: Celery reads this module before Django is set up.
"""

import time
from typing import Any

from celery.signals import beat_init, task_postrun, task_prerun, worker_ready

from telemetry.series import TASKS

_begun: dict[str, float] = {}  # a running task's id → when it began


@task_prerun.connect
def note_begin(task_id: str, **_: Any) -> None:
    _begun[task_id] = time.perf_counter()


@task_postrun.connect
def note_end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    begun = _begun.pop(task_id, None)
    if begun is not None:
        TASKS.labels(task.name, state or "UNKNOWN").observe(time.perf_counter() - begun)


@worker_ready.connect
def report_worker(**_: Any) -> None:
    _report_as("worker")


@beat_init.connect
def report_beat(**_: Any) -> None:
    _report_as("beat")


def _report_as(role: str) -> None:
    from telemetry.reporting import report_as  # noqa: PLC0415

    report_as(role)
