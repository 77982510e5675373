"""pytest fixtures. A conftest.py takes them by importing the names it wants."""

import os
from collections.abc import Iterator

import pytest

from tests.servers.rabbitmq import missing_rabbitmq, packaged_rabbitmq
from tests.servers.redis import missing_redis, packaged_redis


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the session's own."""
    require(missing_redis())
    with packaged_redis() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A RabbitMQ of the session's own."""
    require(missing_rabbitmq())
    with packaged_rabbitmq() as url:
        yield url


def require(missing: str | None) -> None:
    """Skip where a server is missing; on CI that is a failure, never a silent skip."""
    if missing is None:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
