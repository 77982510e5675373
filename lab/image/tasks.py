"""The Celery application that ai-agent sends work through and celery-worker carries it out with."""

import os
import time

from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from lab.image.web import secret

QUEUES = ("inference", "processing", "training")
RETRY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2}


def broker() -> str:
    """All RabbitMQ nodes, tried in turn."""
    if "CELERY_BROKER_URL" in os.environ:
        return os.environ["CELERY_BROKER_URL"]
    user = os.environ.get("RABBITMQ_USER", "sutazai")
    hosts = os.environ.get("RABBITMQ_NODES", "rabbitmq-1 rabbitmq-2 rabbitmq-3").split()
    password = secret("rabbitmq_password")
    return ";".join(f"amqp://{user}:{password}@{host}:5672//" for host in hosts)


app = Celery("sutazai", broker=broker(), backend="rpc://")
app.conf.update(
    task_queues=[Queue(name, durable=True) for name in QUEUES],
    task_default_queue=QUEUES[0],
    task_acks_late=True,  # a worker that dies gives its tasks back
    task_publish_retry_policy=RETRY,
    worker_prefetch_multiplier=1,
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_heartbeat=10,
    result_expires=60,
)
# What goes wrong with RabbitMQ, and with a queue of which the home node is away.
transport = Connection(broker())
BROKER_TROUBLE = (OperationalError, *transport.connection_errors, *transport.channel_errors)


@app.task(name="sutazai.work")
def work(seconds: float = 0.1) -> float:
    """Stands for an inference: takes as long as it is told to."""
    time.sleep(seconds)
    return seconds
