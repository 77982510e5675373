"""Two persons on protected stacks: who asks is one, who approves is another."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from access.authorize import Actor, Forbidden, ProofNeeded
from access.models import AuditEntry, BreakGlass, Grant, Protection, User
from access.policy import Role, Scope
from clusters.changes import Scale
from clusters.models import Approval, Cluster, Operation, Service
from clusters.operations import approvals
from clusters.operations.carry_out import advance
from clusters.operations.previews import preview
from clusters.operations.requests import request, request_cancel
from clusters.problems import Busy, Invalid
from tests.unit.panel import (
    ApiClient,
    browser_of,
    change_elsewhere,
    make_cluster,
    make_service,
    make_user,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
S = Operation.State
MEDIA = "application/json"


class Woken(list[str]):
    def __call__(self, operation_id: str) -> None:
        self.append(operation_id)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def service() -> Service:
    Protection.objects.create(cluster="local", stack="shop")
    return make_service(make_cluster(), stack="shop")


@pytest.fixture
def ada() -> Actor:
    return proven(make_user(Role.OPERATOR))


@pytest.fixture
def bob() -> Actor:
    return proven(make_user(Role.OPERATOR))


def proven(user: User) -> Actor:
    return Actor(user, "browser", "192.0.2.1", time.time())


@pytest.fixture
def asked(service: Service, ada: Actor, woken: Woken) -> Operation:
    return request(ada, service, Scale(replicas=5), wake=woken)


def no_engine(_: Any) -> Any:
    raise AssertionError("the engine must not be asked")


def decide(actor: Actor, operation: Operation, woken: Woken, **how: Any) -> Operation:
    return approvals.decide(actor, operation, wake=woken, **{"approve": True, **how})


# --- Asking --------------------------------------------------------------------------------------


def test_a_change_of_a_protected_stack_awaits_a_second_person(
    asked: Operation, woken: Woken, django_capture_on_commit_callbacks: Any
) -> None:
    assert asked.state == S.AWAITING
    assert woken == []
    assert advance(str(asked.pk), no_engine, "worker") is None
    intent = AuditEntry.objects.get(operation=asked.pk)
    assert intent.detail["awaits"] == "approval by somebody else"


def test_what_is_not_protected_awaits_nobody(service: Service, ada: Actor, woken: Woken) -> None:
    other = make_service(service.cluster, "blog", stack="blog")
    assert not preview(ada, other, Scale(replicas=5)).awaits
    assert request(ada, other, Scale(replicas=5), wake=woken).state == S.PENDING


def test_a_protected_cluster_protects_every_stack(ada: Actor, woken: Woken) -> None:
    Protection.objects.create(cluster="local")
    other = make_service(make_cluster(), "blog", stack="blog")
    assert preview(ada, other, Scale(replicas=5)).awaits


def test_asking_twice_is_one_request(
    asked: Operation, service: Service, ada: Actor, woken: Woken
) -> None:
    assert request(ada, service, Scale(replicas=5), wake=woken) == asked


def test_who_broke_the_glass_asks_nobody(service: Service, ada: Actor, woken: Woken) -> None:
    until = timezone.now() + timedelta(minutes=60)
    glass = BreakGlass.objects.create(user=ada.user, reason="the shop is down", until=until)
    Grant.objects.create(user=ada.user, role=Role.ADMIN, break_glass=glass, expires_at=until)
    assert request(ada, service, Scale(replicas=5), wake=woken).state == S.PENDING


# --- Approving -----------------------------------------------------------------------------------


def test_a_second_person_releases_it(
    asked: Operation, bob: Actor, woken: Woken, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        decide(bob, asked, woken)
    asked.refresh_from_db()
    assert asked.state == S.PENDING
    assert woken == [str(asked.pk)]
    assert approvals.stands(asked)
    event = AuditEntry.objects.get(operation=asked.pk, outcome="approved")
    assert event.actor == bob.user


def test_nobody_approves_what_they_asked_for(asked: Operation, ada: Actor, woken: Woken) -> None:
    with pytest.raises(Forbidden, match="somebody else"):
        decide(ada, asked, woken)
    asked.refresh_from_db()
    assert asked.state == S.AWAITING


def test_approving_needs_a_proof_and_a_right(asked: Operation, bob: Actor, woken: Woken) -> None:
    with pytest.raises(ProofNeeded):
        decide(Actor(bob.user, "browser"), asked, woken)
    with pytest.raises(Forbidden):
        decide(proven(make_user(Role.ON_CALL)), asked, woken)


@pytest.mark.parametrize("answer", ["approve", "decline"])
def test_what_awaits_nobody_can_be_neither_approved_nor_declined(
    service: Service, ada: Actor, bob: Actor, woken: Woken, answer: str
) -> None:
    other = make_service(service.cluster, "blog", stack="blog")
    operation = request(ada, other, Scale(replicas=5), wake=woken)
    told = browser_of(bob.user).post(f"/api/v1/operations/{operation.pk}/{answer}", {}, MEDIA)
    assert (told.status_code, "awaits nobody" in told.json()["detail"]) == (422, True)
    page = browser_of(bob.user).post(f"/operations/{operation.pk}/decide/", {"answer": answer})
    assert page.status_code == 409
    operation.refresh_from_db()
    assert operation.state == S.PENDING


def test_any_change_of_the_service_makes_it_void(
    asked: Operation, service: Service, bob: Actor, woken: Woken
) -> None:
    change_elsewhere(service, image="lab/web:9")
    with pytest.raises(Invalid, match="was changed after this was asked for"):
        decide(bob, asked, woken)
    approvals.close_void()
    asked.refresh_from_db()
    assert asked.state == S.CANCELLED
    assert "ask anew" in asked.result
    assert AuditEntry.objects.get(operation=asked.pk, phase="result").outcome == S.CANCELLED


def test_a_mere_count_of_versions_makes_it_void_too(
    asked: Operation, service: Service, bob: Actor, woken: Woken
) -> None:
    Service.objects.filter(pk=service.pk).update(version=service.version + 1)
    with pytest.raises(Invalid, match="was changed"):
        decide(bob, asked, woken)


def test_an_approval_expires(asked: Operation, bob: Actor, woken: Woken) -> None:
    Approval.objects.update(expires_at=Now())
    with pytest.raises(Invalid, match="within an hour"):
        decide(bob, asked, woken)
    approvals.close_void()
    asked.refresh_from_db()
    assert asked.state == S.CANCELLED


def test_what_still_stands_is_left_alone(asked: Operation) -> None:
    approvals.close_void()
    asked.refresh_from_db()
    assert asked.state == S.AWAITING


def test_declining_ends_it_with_the_reason(asked: Operation, bob: Actor, woken: Woken) -> None:
    decide(bob, asked, woken, approve=False, note="not on a Friday")
    asked.refresh_from_db()
    assert asked.state == S.CANCELLED
    assert "not on a Friday" in asked.result
    with pytest.raises(Invalid, match="awaits nobody"):
        decide(bob, asked, woken)
    assert woken == []


def test_who_asked_may_withdraw_it(asked: Operation, ada: Actor, bob: Actor, woken: Woken) -> None:
    request_cancel(ada, asked, Operation.Cancel.STOP, wake=woken)
    asked.refresh_from_db()
    assert asked.state == S.CANCELLED
    with pytest.raises(Invalid):
        decide(bob, asked, woken)


def test_an_approved_change_waits_its_turn(
    asked: Operation, service: Service, bob: Actor, woken: Woken
) -> None:
    Operation.objects.create(
        kind="scale", cluster=service.cluster, target_id=service.engine_id, target="web",
        requested_by=bob.user,
    )  # fmt: skip
    with pytest.raises(Busy):
        decide(bob, asked, woken)


# --- At execution --------------------------------------------------------------------------------


def test_another_spec_than_the_approved_one_is_not_sent(
    asked: Operation, bob: Actor, woken: Woken
) -> None:
    decide(bob, asked, woken)
    Operation.objects.filter(pk=asked.pk).update(after={**asked.after, "Name": "other"})
    assert advance(str(asked.pk), no_engine, "worker") is None
    asked.refresh_from_db()
    assert asked.state == S.FAILED
    assert "nobody else approved" in asked.error


def test_a_stack_protected_before_the_work_began_is_protected(ada: Actor, woken: Woken) -> None:
    service = make_service(make_cluster(), stack="shop")
    operation = request(ada, service, Scale(replicas=5), wake=woken)
    Protection.objects.create(cluster="local", stack="shop")
    assert advance(str(operation.pk), no_engine, "worker") is None
    operation.refresh_from_db()
    assert operation.state == S.FAILED


# --- Where it is needed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protected", "stack", "waits"),
    [
        (("local", ""), "shop", True),
        (("local", ""), "", True),
        (("local", "shop"), "shop", True),
        (("local", "shop"), "blog", False),
        (("local", "shop"), "", False),
        (("by-another-name", ""), "shop", True),
        (("by-another-name", "shop"), "shop", True),
        (("in-no-swarm", ""), "shop", False),
        (("elsewhere", ""), "shop", False),
    ],
)
def test_a_place_is_as_protected_as_its_swarm(
    protected: tuple[str, str], stack: str, waits: bool, ada: Actor
) -> None:
    for name, swarm in [("local", "s-1"), ("by-another-name", "s-1"), ("elsewhere", "s-2")]:
        Cluster.objects.create(name=name, swarm_id=swarm)
    Cluster.objects.create(name="in-no-swarm", swarm_id="")
    Protection.objects.create(cluster=protected[0], stack=protected[1])
    assert approvals.needed(ada.user, Scope("local", stack)) == waits
    assert approvals.needed_in_any(ada.user, "local", [stack, "shop-2"]) == waits


# --- Pages and the API ---------------------------------------------------------------------------


def test_the_page_offers_the_decision_to_others_alone(
    asked: Operation, ada: Actor, bob: Actor
) -> None:
    address = f"/operations/{asked.pk}/"
    assert "Decide…" not in browser_of(ada.user).get(address).content.decode()
    assert "Decide…" in browser_of(bob.user).get(address).content.decode()
    mine = browser_of(ada.user).post(f"{address}decide/", {"answer": "approve"})
    assert mine.status_code == 403
    done = browser_of(bob.user).post(f"{address}decide/", {"answer": "approve"})
    assert done.status_code == 302
    asked.refresh_from_db()
    assert asked.state == S.PENDING


def test_a_token_cannot_approve(asked: Operation, bob: Actor) -> None:
    answer = ApiClient(bob.user).post(f"/operations/{asked.pk}/approve", {})
    assert answer.status_code == 403
    asked.refresh_from_db()
    assert asked.state == S.AWAITING


def test_a_dry_run_says_that_it_would_wait(service: Service, ada: Actor) -> None:
    address = "/clusters/local/services/web/scale?dry_run=true"
    answer = ApiClient(ada.user).post(address, {"replicas": 5}).json()
    assert answer["awaits_approval"] is True
