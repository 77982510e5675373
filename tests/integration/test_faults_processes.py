"""Real workers on real brokers, killed and cut off: PostgreSQL is the truth, messages only wake."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clusters.changes import Scale, Update
from clusters.models import Operation
from tests.engines import wait_until
from tests.integration.panel import BRISK, Panel
from tests.integration.processes import Processes
from tests.servers.daemon import free_port, running
from tests.servers.redis import missing_redis

State = Operation.State
SLOW = {**BRISK, "Monitor": 3 * 10**9}  # long enough to kill a worker in the middle
CLICK = """
import sys, django
django.setup()
from clusters.tasks import wake
wake(sys.argv[1])
"""


@pytest.fixture(params=["redis_url", "rabbitmq_url"])
def broker(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def _ended(operation: Operation) -> bool:
    operation.refresh_from_db()
    return not operation.active


def _under_way(operation: Operation) -> bool:
    operation.refresh_from_db()
    return operation.accepted_version is not None and operation.active


def _wait(processes: Processes, condition: object, what: str, seconds: float = 60) -> None:
    try:
        wait_until(condition, what, seconds)  # type: ignore[arg-type]
    except Exception as error:
        raise AssertionError(f"{error}\n{processes.logs()}") from error


def test_another_worker_takes_up_what_a_killed_one_left(
    panel: Panel, processes: Processes, broker: str
) -> None:
    processes.environment |= {"CELERY_BROKER_URL": broker, "PILOTHOUSE_OPERATION_LEASE": "2"}
    service = panel.start(replicas=2, UpdateConfig=SLOW)
    operation = panel.request(service, Update(image="lab/web:2"))
    processes.beat()
    doomed = processes.worker()
    _wait(processes, lambda: _under_way(operation), "the worker has sent the change")
    doomed.kill()
    first = operation.holder
    processes.worker()
    _wait(processes, lambda: _ended(operation), "another worker takes it up")
    assert (operation.state, operation.error) == (State.SUCCEEDED, "")
    assert operation.holder != first
    assert panel.swarm.service(service.engine_id)["PreviousSpec"] == service.spec, "one write"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


@contextmanager
def _redis_on(port: int, folder: Path) -> Iterator[None]:
    """An empty Redis on this port, as after a crash without a disk."""
    command = ("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
               "--dir", str(folder))  # fmt: skip

    with running(command, lambda: _listens(port), folder / "redis.log"):
        yield


@pytest.mark.skipif(bool(missing_redis()), reason=str(missing_redis()))
def test_a_broker_that_is_away_or_wiped_costs_only_the_delay(
    panel: Panel, processes: Processes, tmp_path: Path
) -> None:
    port = free_port()
    processes.environment["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
    service = panel.start()
    with _redis_on(port, tmp_path):
        processes.worker()
        processes.beat()
        operation = panel.request(service, Scale(replicas=2))
        _wait(processes, lambda: _ended(operation), "the worker works")
    # The broker is gone: a click is written down all the same, and its wake-up fails in silence.
    operation = panel.request(panel.service(service.name), Scale(replicas=1))
    click = processes.start(
        *(sys.executable, "-c", CLICK, str(operation.pk)),
        DJANGO_SETTINGS_MODULE="controlpanel.settings",
    )
    _wait(processes, lambda: not click.running, "the click does not hang", 20)
    assert click.returncode == 0
    assert "The broker does not answer" in click.log.read_text()
    assert operation.active
    with _redis_on(port, tmp_path):  # back, and empty
        _wait(processes, lambda: _ended(operation), "it runs once the broker is back", 30)
    assert operation.state == State.SUCCEEDED
