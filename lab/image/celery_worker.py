"""celery-worker: a real Celery worker of all queues, with metrics of its own over HTTP on :8000.

Threads and not processes: the metrics of all tasks are then in one place, and a worker is small.
"""

import logging
import os
import time
from typing import Any

from celery import Task, signals
from kombu import Connection

from lab.image import metrics
from lab.image.metrics import Histogram, Metric
from lab.image.tasks import QUEUES, app, broker
from lab.image.web import (
    Application,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    log,
    serve,
)

PORT = int(os.environ.get("PORT", "8000"))
CONCURRENCY = os.environ.get("CELERY_CONCURRENCY", "2")

processed = Metric("celery_tasks_total", "Tasks that ended, by queue and state.")
durations = Histogram("celery_task_duration_seconds", "How long tasks took, by queue.")
running = Metric("celery_tasks_running", "Tasks that are being carried out.", "gauge")
began: dict[str, float] = {}


class Page(Application):
    def __init__(self) -> None:
        super().__init__()
        self.route("GET /health", lambda request: as_json({"status": "ok"}))
        self.route("GET /metrics", self._metrics)

    def _metrics(self, request: Request) -> Response:
        return as_text(metrics.render((processed, durations, running)), metrics.KIND)


class JsonLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log(record.getMessage(), level=record.levelname, logger=record.name)


def queue_of(task: Task) -> str:
    return str((task.request.delivery_info or {}).get("routing_key") or "unknown")


@signals.setup_logging.connect
def log_as_json(**facts: Any) -> None:
    logging.basicConfig(level=logging.INFO, handlers=[JsonLines()], force=True)


@signals.task_prerun.connect
def note_begin(task_id: str, task: Task, **facts: Any) -> None:
    began[task_id] = time.monotonic()
    running.add(1, queue_name=queue_of(task))


@signals.task_postrun.connect
def note_end(task_id: str, task: Task, state: str = "", **facts: Any) -> None:
    queue = queue_of(task)
    seconds = time.monotonic() - began.pop(task_id, time.monotonic())
    running.add(-1, queue_name=queue)
    processed.add(1, queue_name=queue, state=state)
    durations.observe(seconds, queue_name=queue)


@signals.worker_ready.connect
def leave_at_once(**facts: Any) -> None:
    """Celery would wait for its tasks; RabbitMQ gives them to another worker as well."""
    end_on_sigterm()


def wait_for_broker() -> None:
    """Celery itself asks ever less often, up to every half minute."""
    with Connection(broker(), connect_timeout=2) as connection:
        connection.ensure_connection(interval_start=1, interval_step=0)


def main() -> None:
    for queue in QUEUES:
        processed.add(0, queue_name=queue, state="SUCCESS")
    end_on_sigterm()
    serve(Page(), PORT)
    wait_for_broker()
    options = ("--pool=threads", f"--concurrency={CONCURRENCY}", f"--queues={','.join(QUEUES)}")
    app.worker_main(["worker", "--loglevel=info", *options])


if __name__ == "__main__":
    main()
