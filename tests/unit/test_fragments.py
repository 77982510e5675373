"""What a change pushes: as much as it changed, however large what it is a part of."""

import pytest

from access.models import User
from access.policy import Role
from clusters import fragments
from clusters.models import Service, SwarmTask
from live.changes import Touched
from live.viewers import Fragments
from tests.unit.panel import MARKS, make_cluster, make_service, make_task, make_user

pytestmark = MARKS


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster("lab"))


@pytest.fixture
def viewer() -> User:
    return make_user(Role.VIEWER)


def pushed(viewer: User, service: Service, *touched: Touched) -> Fragments:
    return fragments.render(viewer, f"service:lab:{service.engine_id}", list(touched))


def slot(service: Service, key: str) -> Touched:
    return Touched("lab", "slot", key, service.engine_id)


def move(service: Service, number: int, **to: str) -> None:
    tasks = SwarmTask.objects.filter(service_engine_id=service.engine_id, slot=number)
    tasks.update(**to)


def test_a_slot_that_moved_is_pushed_by_itself(viewer: User, service: Service) -> None:
    move(service, 2, state="failed", desired_state="shutdown")
    make_task(service, 2, engine_id="t-next", state="starting")
    told = pushed(viewer, service, slot(service, "2"))
    assert told.keys() == {"task-legend", "slot-2", "rows-2"}
    assert "cell-starting" in told["slot-2"] and "tick-failed" in told["slot-2"]
    assert "t-next" in told["rows-2"] and "t-web-2" in told["rows-2"]


def test_what_one_slot_pushes_is_the_same_among_many(viewer: User, service: Service) -> None:
    few = pushed(viewer, service, slot(service, "2"))
    for number in range(4, 100):
        make_task(service, number)
    many = pushed(viewer, service, slot(service, "2"))
    assert few["slot-2"] == many["slot-2"] and few["rows-2"] == many["rows-2"]
    assert abs(len(few["task-legend"]) - len(many["task-legend"])) < 5


def test_a_slot_that_is_no_more_leaves_the_matrix(viewer: User, service: Service) -> None:
    move(service, 3, state="shutdown", desired_state="shutdown")
    told = pushed(viewer, service, slot(service, "3"))
    assert "data-live-remove" in told["slot-3"] and "earlier" in told["rows-3"]
    SwarmTask.objects.filter(slot=3).delete()
    told = pushed(viewer, service, slot(service, "3"))
    assert "data-live-remove" in told["slot-3"] and "data-live-remove" in told["rows-3"]


def test_another_spec_makes_every_task_an_old_one(viewer: User, service: Service) -> None:
    Service.objects.update(template_hash="another")
    told = pushed(viewer, service, Touched("lab", "slots", service.engine_id))
    assert told["task-matrix"].count('cell-old"') == 3
    assert not any(element.startswith("slot-") for element in told)


def test_the_legend_counts_the_present_task_of_each_slot(viewer: User, service: Service) -> None:
    move(service, 1, state="failed", desired_state="shutdown")
    make_task(service, 1, engine_id="t-next", state="running")
    legend = pushed(viewer, service, slot(service, "1"))["task-legend"]
    assert "<strong>3</strong>" in legend and "an earlier task that failed" in legend
