"""celery-exporter: how many tasks wait in each queue, asked of RabbitMQ at every scrape."""

import os
import threading

from kombu import Connection

from lab.image import metrics
from lab.image.metrics import Metric
from lab.image.tasks import BROKER_TROUBLE, QUEUES, RETRY, broker
from lab.image.web import (
    Application,
    Request,
    Response,
    as_json,
    as_text,
    end_on_sigterm,
    log,
    serve,
    wait_for_the_end,
)

PORT = int(os.environ.get("PORT", "9808"))


class Exporter(Application):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._one_at_a_time = threading.Lock()
        self.route("GET /health", lambda request: as_json({"status": "ok"}))
        self.route("GET /metrics", self._metrics)

    def _metrics(self, request: Request) -> Response:
        length = Metric("celery_queue_length", "Tasks that wait, by queue.", "gauge")
        consumers = Metric("celery_queue_consumers", "Workers of the queue.", "gauge")
        up = Metric("celery_exporter_broker_up", "Whether RabbitMQ answered.", "gauge")
        with self._one_at_a_time:
            up.set(self._read(length, consumers))
        return as_text(metrics.render((length, consumers, up)), metrics.KIND)

    def _read(self, length: Metric, consumers: Metric) -> bool:
        """Without an answer there is no length: a false 0 would look like no work."""
        try:
            self._connection.ensure_connection(**RETRY)
            with self._connection.channel() as channel:
                for queue in QUEUES:
                    # As the workers declare it, so that it is there before the first of them.
                    found = channel.queue_declare(queue, durable=True, auto_delete=False)
                    length.set(found.message_count, queue_name=queue)
                    consumers.set(found.consumer_count, queue_name=queue)
        except BROKER_TROUBLE as error:
            log("RabbitMQ does not answer", error=str(error))
            self._connection.close()
            return False
        return True


def main() -> None:
    end_on_sigterm()
    serve(Exporter(Connection(broker(), connect_timeout=2, heartbeat=0)), PORT)
    wait_for_the_end()


if __name__ == "__main__":
    main()
