"""Rules of changing a service through the API."""

from typing import Any

import pytest

from access.models import AuditEntry
from access.policy import Action, Role
from clusters.models import Operation, Service
from tests.unit.panel import (
    MARKS,
    ApiClient,
    change_elsewhere,
    client_of,
    keep_revision,
    make_cluster,
    make_service,
)

pytestmark = MARKS

WEB = "/clusters/local/services/web"


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster(), Env=["A=old"])


@pytest.fixture
def operator() -> ApiClient:
    return client_of(Role.OPERATOR)


def test_a_change_answers_202_with_an_operation_and_its_address(
    service: Service, operator: ApiClient
) -> None:
    answer = operator.post(f"{WEB}/scale", {"replicas": 5})
    assert answer.status_code == 202, answer.content
    operation = answer.json()
    assert answer["Location"] == f"/api/v1/operations/{operation['id']}"
    shown = operator.get(f"/operations/{operation['id']}").json()
    assert shown == {**operation, "conflict": None}
    assert (operation["kind"], operation["target"], operation["state"]) == (
        "scale",
        "web",
        "pending",
    )
    assert set(operation) >= {
        "id", "kind", "cluster", "target", "state", "progress", "steps", "error", "requested_by",
        "created_at", "started_at", "finished_at",
    }  # fmt: skip
    assert AuditEntry.objects.get(operation=operation["id"]).via == "api"


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("scale", {"replicas": 5}),
        ("update", {"image": "lab/web:2", "env": {"A": "new"}}),
        ("restart", None),
        ("rollback", {"revision": 2}),
    ],
)
def test_a_dry_run_foresees_and_changes_nothing(
    service: Service, operator: ApiClient, address: str, body: Any
) -> None:
    keep_revision(service, 2, {**service.spec, "Labels": {"a": "b"}})
    before = Service.objects.values().get()
    answer = operator.post(f"{WEB}/{address}?dry_run=true", body)
    assert answer.status_code == 200, answer.content
    foreseen = answer.json()
    assert foreseen["dry_run"] is True
    assert foreseen["differences"]
    assert len(foreseen["restarts"]) == (3 if address in ("update", "restart") else 0)
    assert foreseen["adds"] == (2 if address == "scale" else 0)
    assert Service.objects.values().get() == before
    assert not Operation.objects.exists()
    assert not AuditEntry.objects.exclude(action=Action.SERVICE_ENV).exists()  # values were read


def test_a_dry_run_is_asked_for_in_no_other_way(service: Service, operator: ApiClient) -> None:
    for query in (
        "dry_run=1",
        "dry_run=yes",
        "dry_run=",
        "dryrun=true",
        "dry_run=true&dry_run=false",
    ):
        assert operator.post(f"{WEB}/scale?{query}", {"replicas": 5}).status_code == 422, query
    assert not Operation.objects.exists()


@pytest.mark.parametrize("wrong", [-1, 10_001, 10**30, "3", 3.0, 3.5, True, None, [3], {}])
def test_replicas_are_a_whole_number_within_reason(
    service: Service, operator: ApiClient, wrong: Any
) -> None:
    answer = operator.post(f"{WEB}/scale", {"replicas": wrong})
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["errors"][0]["field"] == "replicas"
    assert problem["detail"].startswith("replicas must be ")
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("address", "body", "field"),
    [
        ("scale", {"replicas": 3, "force": True}, "force"),
        ("scale", {}, "replicas"),
        ("update", {"image": "NOT AN IMAGE"}, "image"),
        ("update", {"update_config": {"parallel": 1}}, "update_config.parallel"),
        ("update", {"constraints": ["zone"]}, "constraints.0"),
        ("update", {}, ""),
        ("rollback", {"revision": 99}, "revision"),
        ("restart", {"now": True}, "now"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_field(
    service: Service, operator: ApiClient, address: str, body: Any, field: str
) -> None:
    answer = operator.post(f"{WEB}/{address}", body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_stale_version_is_a_conflict_that_shows_both_changes(
    service: Service, operator: ApiClient
) -> None:
    seen = service.version
    change_elsewhere(service, Image="lab/web:9")
    answer = operator.post(f"{WEB}/scale", {"replicas": 7, "version": seen})
    problem = answer.json()
    assert answer.status_code == 409
    assert problem["type"] == "urn:pilothouse:problem:conflict"
    assert problem["current_version"] == service.version
    assert "lab/web:9" in [difference["after"] for difference in problem["theirs"]]
    assert [difference["after"] for difference in problem["yours"]] == [7]
    assert not Operation.objects.exists()


def test_the_present_version_is_no_conflict(service: Service, operator: ApiClient) -> None:
    body = {"replicas": 7, "version": service.version}
    assert operator.post(f"{WEB}/scale", body).status_code == 202


def test_a_second_change_has_to_wait_for_the_first(service: Service, operator: ApiClient) -> None:
    first = operator.post(f"{WEB}/scale", {"replicas": 7}).json()
    answer = operator.post(f"{WEB}/restart")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:pilothouse:problem:busy"
    assert answer.json()["operation"] == first["id"]


def test_a_repeated_key_does_nothing_again(service: Service, operator: ApiClient) -> None:
    first = operator.post(f"{WEB}/scale", {"replicas": 7}, idempotency_key="k1")
    Operation.objects.update(state=Operation.State.SUCCEEDED)
    again = operator.post(f"{WEB}/scale", {"replicas": 7}, idempotency_key="k1")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert Operation.objects.count() == 1


def test_a_key_is_not_for_another_request(service: Service, operator: ApiClient) -> None:
    operator.post(f"{WEB}/scale", {"replicas": 7}, idempotency_key="k1")
    answer = operator.post(f"{WEB}/scale", {"replicas": 8}, idempotency_key="k1")
    assert answer.status_code == 422
    assert Operation.objects.count() == 1


def test_somebody_elses_key_is_not_mine(service: Service, operator: ApiClient) -> None:
    operator.post(f"{WEB}/scale", {"replicas": 7}, idempotency_key="k1")
    Operation.objects.update(state=Operation.State.SUCCEEDED)
    client_of(Role.OPERATOR).post(f"{WEB}/scale", {"replicas": 8}, idempotency_key="k1")
    assert Operation.objects.count() == 2


def test_a_global_service_is_not_scaled(service: Service, operator: ApiClient) -> None:
    service.spec = {**service.spec, "Mode": {"Global": {}}}
    service.save()
    answer = operator.post(f"{WEB}/scale", {"replicas": 2})
    assert answer.status_code == 422
    assert "no replica count" in answer.json()["detail"]


@pytest.mark.parametrize("how", ["stop", "back"])
def test_an_operation_is_cancelled_as_asked(
    service: Service, operator: ApiClient, how: str
) -> None:
    operation = operator.post(f"{WEB}/scale", {"replicas": 7}).json()["id"]
    answer = operator.post(f"/operations/{operation}/cancel", {"how": how})
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    assert Operation.objects.get().cancel == how


def test_cancelling_needs_to_know_how(service: Service, operator: ApiClient) -> None:
    operation = operator.post(f"{WEB}/scale", {"replicas": 7}).json()["id"]
    for body in ({}, {"how": "maybe"}, {"how": "stop", "really": True}):
        assert operator.post(f"/operations/{operation}/cancel", body).status_code == 422


def test_operations_are_listed_by_state_and_cluster(service: Service, operator: ApiClient) -> None:
    operator.post(f"{WEB}/scale", {"replicas": 7})
    assert operator.get("/operations", state="active", cluster="local").json()["total"] == 1
    assert operator.get("/operations", state="failed").json()["total"] == 0
    assert operator.get("/operations", cluster="other").json()["total"] == 0
    assert operator.get("/operations", state="odd").status_code == 422


def test_the_values_of_a_changed_environment_stay_out_of_the_audit_trail(
    service: Service, operator: ApiClient
) -> None:
    operator.post(f"{WEB}/update", {"env": {"A": "s3cret-value"}})
    trail = client_of(Role.AUDITOR).get("/audit").content.decode()
    assert "service.update" in trail
    assert "s3cret-value" not in trail
