"""Two persons for secrets and configs of protected stacks."""

from typing import Any

import pytest
from django.test import Client

from access.models import Protection
from access.policy import Role
from clusters import fragments, selectors
from clusters.models import Cluster, Operation, Secret, Service
from clusters.operations import rotations
from live.changes import Touched
from tests.unit.panel import (
    MARKS,
    browser_of,
    make_cluster,
    make_secret,
    make_service,
    make_user,
    mounted,
)
from tests.unit.test_approvals import proven
from tests.unit.test_views_objects import FakeEngine

pytestmark = MARKS
S = Operation.State


@pytest.fixture
def cluster() -> Cluster:
    Protection.objects.create(cluster="local", stack="shop")
    return make_cluster()


@pytest.fixture
def secret(cluster: Cluster) -> Secret:
    found = make_secret(cluster, "key", stack="shop")
    assert isinstance(found, Secret)
    return found


@pytest.fixture
def ada() -> Any:
    return proven(make_user(Role.ADMIN))


@pytest.fixture
def bob() -> Any:
    return proven(make_user(Role.ADMIN))


def wake(operation_id: str) -> None:
    """No worker is here."""


# --- A rotation on the pages of what it would change ---------------------------------------------


@pytest.fixture
def service(secret: Secret) -> Service:
    return make_service(secret.cluster, stack="shop", **mounted(secret))


@pytest.fixture
def rotation(service: Service, secret: Secret, ada: Any) -> Operation:
    engine: Any = FakeEngine()
    return rotations.request(ada, secret, b"new", engine=engine, wake=wake)


def page_of(client: Client) -> str:
    return str(client.get("/clusters/local/services/web/").content.decode())


def test_a_service_shows_the_rotation_that_awaits_and_would_change_it(
    rotation: Operation, service: Service, bob: Any
) -> None:
    assert rotation.state == S.AWAITING
    shown = page_of(browser_of(bob.user))
    assert "Rotation of secret key" in shown
    assert f"/operations/{rotation.pk}/decide/" in shown
    touched = [Touched("local", "operation", str(rotation.pk), service.engine_id, "shop")]
    pushed = fragments.render(bob.user, f"service:local:{service.engine_id}", touched)
    assert "Rotation of secret key" in pushed["service-head"]


def test_but_not_to_who_may_not_see_secrets_nor_offers_them_the_decision(
    rotation: Operation, service: Service
) -> None:
    viewer, on_call = make_user(Role.VIEWER), make_user(Role.ON_CALL)
    assert "Rotation of" not in page_of(browser_of(viewer))
    assert "Rotation of secret key" in page_of(browser_of(on_call))
    assert "/decide/" not in page_of(browser_of(on_call))
    assert selectors.awaiting(viewer, service).count() == 0


def test_a_rotation_beyond_the_stack_is_decided_by_who_may_there(
    service: Service, secret: Secret, ada: Any
) -> None:
    """It changes services of two stacks: who may approve in one of them decides nothing."""
    make_service(secret.cluster, "other", stack="blog", **mounted(secret))
    engine: Any = FakeEngine()
    rotations.request(ada, secret, b"new", engine=engine, wake=wake)
    here = make_user(Role.OPERATOR, cluster="local", stack="shop")
    assert "/decide/" not in page_of(browser_of(here))


def test_a_rotation_that_awaits_is_withdrawn_from_its_dialog(rotation: Operation, ada: Any) -> None:
    browser, address = browser_of(ada.user), f"/operations/{rotation.pk}/cancel/"
    assert 'name="how" value="back"' in browser.get(address).content.decode()
    assert browser.post(address, {"how": "back"}).status_code == 302
    rotation.refresh_from_db()
    assert rotation.state == S.CANCELLING
    assert rotation.plan["closed"].startswith("Withdrawn by")
