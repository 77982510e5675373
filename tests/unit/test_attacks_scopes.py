"""Ways out of one's own scope, and around the second person."""

import copy
from typing import Any

import pytest

from access.models import User
from access.policy import Role
from clusters import specs
from clusters.changes import STACK_LABEL
from clusters.models import Operation, Service
from tests.unit.panel import (
    ApiClient,
    keep_revision,
    make_cluster,
    make_service,
    make_user,
)
from tests.unit.world import calls

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
__all__ = ["calls"]
UPDATE = "/clusters/local/services/web/update"
ROLLBACK = "/clusters/local/services/web/rollback"


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster(), stack="shop")


@pytest.fixture
def operator(service: Service) -> User:
    """Of the service's stack alone."""
    return make_user(Role.OPERATOR, cluster="local", stack="shop")


def revise(service: Service, **labels: str) -> dict[str, Any]:
    """A copy of the service's spec, of another image and with these labels alone."""
    spec = copy.deepcopy(service.spec)
    spec["Labels"] = labels
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = "web:earlier"
    return spec


# --- From one stack into another -----------------------------------------------------------------


@pytest.mark.parametrize("stack", ["blog", None])
def test_a_label_moves_no_service_to_another_stack(
    service: Service, operator: User, stack: str | None
) -> None:
    """The label says who may change a service, and who must approve that."""
    answer = ApiClient(operator).post(UPDATE, {"labels": {STACK_LABEL: stack}})
    assert answer.status_code == 422
    assert "which stack a service belongs to" in answer.json()["detail"]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("labels", [{STACK_LABEL: "blog"}, {}])
def test_a_rollback_moves_no_service_to_another_stack(
    service: Service, operator: User, labels: dict[str, str]
) -> None:
    keep_revision(service, 2, revise(service, **labels))
    assert ApiClient(operator).post(ROLLBACK, {"revision": 2}).status_code == 202
    asked = Operation.objects.get().after
    assert asked["Labels"] == {STACK_LABEL: "shop"}
    assert specs.image_of(asked) == "web:earlier"
