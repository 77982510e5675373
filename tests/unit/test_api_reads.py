"""Rules of what the API shows, to whom."""

import pytest

from access.policy import Role
from clusters.models import Cluster, Operation
from tests.unit.panel import (
    MARKS,
    client_of,
    make_cluster,
    make_service,
    make_task,
    make_user,
)

pytestmark = MARKS

SECRET = "hunter2-not-for-viewers"


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster()


def test_a_service_has_the_promised_shape(cluster: Cluster) -> None:
    make_service(cluster, "shop_web", stack="shop", version=41)
    answer = client_of(Role.VIEWER).get("/clusters/local/services").json()
    assert (answer["total"], answer["page"], answer["pages"]) == (1, 1, 1)
    service = answer["items"][0]
    expected = {
        "id": "id-shop_web", "name": "shop_web", "stack": "shop", "image": "lab/web:1",
        "mode": "replicated", "replicas": {"running": 3, "desired": 3},
        "update": {"state": "", "message": ""}, "version": 41,
    }  # fmt: skip
    assert {key: service[key] for key in expected} == expected


def test_a_service_is_found_by_name_and_by_id(cluster: Cluster) -> None:
    make_service(cluster)
    viewer = client_of(Role.VIEWER)
    by_name = viewer.get("/clusters/local/services/web").json()
    assert by_name == viewer.get("/clusters/local/services/id-web").json()
    assert [task["slot"] for task in by_name["tasks"]] == ["1", "2", "3"]
    assert by_name["revisions"][0]["number"] == 1


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "SHOP 2"}, ["shop_2"]),
        ({"stack": "shop"}, ["shop_1", "shop_2"]),
        ({"stack": ""}, ["web"]),
        ({"state": "failing"}, ["web"]),
        ({"image": "crash"}, ["shop_2"]),
        ({"sort": "-name"}, ["web", "shop_2", "shop_1"]),
        ({"page_size": "2", "page": "2"}, ["web"]),
        ({"page": "7"}, []),
    ],
)
def test_filters(cluster: Cluster, query: dict[str, str], names: list[str]) -> None:
    make_service(cluster, "shop_1", stack="shop")
    make_service(cluster, "shop_2", stack="shop", Image="lab/crash:1")
    make_service(cluster, "web", health="failing")
    answer = client_of(Role.VIEWER).get("/clusters/local/services", **query)
    assert [service["name"] for service in answer.json()["items"]] == names


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_environment_values_are_for_those_who_may_see_them(cluster: Cluster, role: Role) -> None:
    service = make_service(cluster, Env=[f"PASSWORD={SECRET}"])
    service.previous_spec = service.spec
    service.save()
    answer = client_of(role).get("/clusters/local/services/web")
    assert (SECRET in answer.content.decode()) is (role == Role.OPERATOR)
    assert answer.json()["spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == [
        f"PASSWORD={SECRET if role == Role.OPERATOR else '•••'}"
    ]


def test_a_task_on_a_node_that_is_not_ready_is_lost_not_running(cluster: Cluster) -> None:
    service = make_service(cluster)
    make_task(service, 4, node_engine_id="gone")
    tasks = client_of(Role.VIEWER).get("/clusters/local/services/web").json()["tasks"]
    assert [task["state"] for task in tasks] == ["running"] * 3 + ["lost"]


def test_what_one_may_not_see_is_not_there(cluster: Cluster) -> None:
    make_service(cluster, "shop_web", stack="shop")
    make_service(cluster, "bank_web", stack="bank")
    make_cluster("other")
    seller = client_of(Role.OPERATOR, cluster="local", stack="shop")
    services = seller.get("/clusters/local/services").json()
    assert [service["name"] for service in services["items"]] == ["shop_web"]
    assert seller.get("/clusters/local/services/bank_web").status_code == 404
    assert seller.get("/clusters/other").status_code == 404
    assert [c["name"] for c in seller.get("/clusters").json()["items"]] == ["local"]


def test_a_cluster_tells_how_old_its_picture_is(cluster: Cluster) -> None:
    viewer = client_of(Role.VIEWER)
    assert viewer.get("/clusters/local").json()["fresh"] is True
    Cluster.objects.update(state=Cluster.State.UNREACHABLE, state_message="nobody answers")
    stale = viewer.get("/clusters/local").json()
    assert (stale["fresh"], stale["stale_because"]) == (False, "nobody answers")
    assert stale["members"][0]["hostname"] == "node-1"


def test_pages_are_at_most_200_and_at_least_1(cluster: Cluster) -> None:
    viewer = client_of(Role.VIEWER)
    for query in ({"page_size": "201"}, {"page_size": "0"}, {"page": "0"}, {"page": "x"}):
        assert viewer.get("/operations", **query).status_code == 422


def test_an_unreachable_engine_is_told_when_its_log_is_asked(cluster: Cluster) -> None:
    make_service(cluster)
    answer = client_of(Role.OPERATOR).get("/clusters/local/services/web/logs")
    assert answer.status_code == 503
    assert "/nowhere.sock" in answer.json()["detail"]


@pytest.mark.parametrize(("role", "seen"), [(Role.VIEWER, "•••"), (Role.OPERATOR, "secret")])
def test_a_conflict_tells_both_changes_to_those_who_may_see_them(role: Role, seen: str) -> None:
    service = make_service(make_cluster())
    path = "TaskTemplate.ContainerSpec.Env.KEY"
    theirs = {"path": path, "before": None, "after": "secret", "secret": True}
    operation = Operation.objects.create(
        kind=Operation.Kind.SCALE,
        cluster=service.cluster,
        target_id=service.engine_id,
        target=service.name,
        state=Operation.State.FAILED,
        requested_by=make_user(),
        requested_via="api",
        clash={"current_version": 9, "theirs": [theirs], "yours": []},
    )

    answer = client_of(role).get(f"/operations/{operation.pk}")

    conflict = answer.json()["conflict"]
    assert conflict["current_version"] == 9
    assert conflict["theirs"] == [{**theirs, "after": seen}]
