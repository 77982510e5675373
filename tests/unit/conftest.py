"""What all unit tests share."""

from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from controlpanel.celery import app

# The machine may be busy: a slow example is no failure. And a failure must repeat anywhere.
hypothesis_settings.register_profile("pilothouse", deadline=None, max_examples=25, derandomize=True)
hypothesis_settings.load_profile("pilothouse")


@pytest.fixture(autouse=True)
def _nobody_asks_a_source(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """The poller's threads would look into another database than the test's transaction."""
    settings.PROMETHEUS_TIMEOUT = 0.01  # seconds for which the API waits for them
    monkeypatch.setattr("metrics.poller.POLLER._most_workers", 0)
    monkeypatch.setattr("metrics.poller.POLLER._watched", {})
    monkeypatch.setattr("metrics.poller.POLLER._away", {})


@pytest.fixture(autouse=True, scope="session")
def _a_broker_takes_every_message() -> None:
    """One that is away costs each of them two seconds."""
    app.conf.broker_url = "memory://"


@pytest.fixture(autouse=True)
def _passwords_are_quick(settings: Any) -> None:
    """A real hash takes half a second, and is Django's to test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
