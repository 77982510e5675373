"""A confirmed change of a service: what it asks of the database until a worker is woken."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import AuditEntry, Grant
from access.policy import Role
from clusters.models import Operation, Service
from clusters.views import actions
from tests.unit.panel import browser_of, make_cluster, make_service, make_user

pytestmark = pytest.mark.django_db(transaction=True)
RESTART = "/clusters/local/services/web/restart/"


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster(), stack="shop")


@pytest.fixture
def browser(service: Service) -> Client:
    return browser_of(make_user(Role.OPERATOR))


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements had been sent each time that a worker was woken."""
    found: list[int] = []
    monkeypatch.setattr(actions, "wake", lambda _: found.append(len(connection.queries_log)))
    return found


def confirm(browser: Client, key: str = "k") -> Any:
    sent = {"step": "confirm", "version": "10", "key": key}
    return browser.post(RESTART, sent, headers={"HX-Request": "true"})


def test_a_click_asks_little_before_a_worker_is_woken(browser: Client, woken: list[int]) -> None:
    confirm(browser)  # the chain's first entry is made once
    Operation.objects.update(state="failed")
    with CaptureQueriesContext(connection) as asked:
        begun = len(connection.queries_log)
        assert confirm(browser, "another").status_code == 200
    said = [query["sql"] for query in asked.captured_queries]
    assert woken[-1] - begun <= 16, said
    assert not any("clusters_swarmtask" in sql for sql in said), "its tasks are for people to see"


def test_a_click_is_authorized_where_it_is_done(
    browser: Client, woken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by what was read as the service was looked for."""
    form = actions._form

    def withdrawn(*args: Any) -> Any:
        Grant.objects.all().delete()
        return form(*args)

    monkeypatch.setattr(actions, "_form", withdrawn)
    assert confirm(browser).status_code == 404
    assert (woken, Operation.objects.count()) == ([], 0)


def test_a_click_that_comes_twice_is_one(browser: Client, woken: list[int]) -> None:
    assert confirm(browser).content == confirm(browser).content
    assert len(woken) == 1
    operation = Operation.objects.get()
    intent = AuditEntry.objects.get(phase=AuditEntry.Phase.INTENT)
    assert (intent.operation, intent.action) == (operation.pk, "service.restart")
