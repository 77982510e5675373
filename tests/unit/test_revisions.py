"""Which specs of services are kept, and under which numbers."""

from typing import Any

import pytest

from clusters import specs
from clusters.inventory import revisions
from clusters.inventory.revisions import Seen, keep
from clusters.models import Cluster, Operation
from tests.unit import raw
from tests.unit.panel import make_cluster, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster()


def _spec(image: str) -> dict[str, Any]:
    return raw.spec(Image=image)


def _kept(cluster: Cluster, service: str) -> list[tuple[int, str]]:
    found = cluster.revisions.filter(service_engine_id=service).order_by("number")
    return [(revision.number, specs.image_of(revision.spec)) for revision in found]


def test_each_service_has_numbers_of_its_own(cluster: Cluster) -> None:
    keep(cluster, [Seen("a", 1, _spec("a:1")), Seen("b", 2, _spec("b:1"))])
    keep(cluster, [Seen("b", 4, _spec("b:2")), Seen("c", 5, _spec("c:1"))])
    kept = {service: _kept(cluster, service) for service in "abc"}
    assert kept == {"a": [(1, "a:1")], "b": [(1, "b:1"), (2, "b:2")], "c": [(1, "c:1")]}


@pytest.mark.parametrize(
    "seen", [Seen("a", 9, _spec("a:1")), Seen("a", 1, _spec("a:0")),
             Seen("a", 9, specs.held(_spec("a:2")))],
    ids=["known", "older", "held"],
)  # fmt: skip
def test_what_brings_no_new_spec_to_return_to_is_not_kept(cluster: Cluster, seen: Seen) -> None:
    keep(cluster, [Seen("a", 2, _spec("a:1"))])
    keep(cluster, [seen])
    assert _kept(cluster, "a") == [(1, "a:1")]


def test_the_oldest_go_when_there_are_many(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "KEEP", 2)
    for number in range(1, 5):
        keep(cluster, [Seen("a", number, _spec(f"a:{number}")), Seen("b", number, _spec("b:1"))])
    assert _kept(cluster, "a") == [(3, "a:3"), (4, "a:4")]
    assert _kept(cluster, "b") == [(1, "b:1")]


def test_a_spec_is_its_operations_if_that_wrote_it(cluster: Cluster) -> None:
    """The label stays in the spec when somebody else changes it later."""
    asked = Operation.objects.create(
        kind="update", cluster=cluster, target_id="a", target="a", requested_by=make_user(),
        change={}, before={}, after=_spec("a:1"),
    )  # fmt: skip
    theirs, later = specs.marked(asked.after, str(asked.id)), _spec("a:2")
    keep(cluster, [Seen("a", 1, theirs), Seen("b", 1, specs.marked(later, str(asked.id)))])
    authors = dict(cluster.revisions.values_list("service_engine_id", "operation"))
    assert authors == {"a": asked.id, "b": None}
