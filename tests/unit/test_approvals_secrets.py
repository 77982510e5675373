"""Two persons for secrets and configs of protected stacks."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from access.authorize import Forbidden
from access.models import AuditEntry, BreakGlass, Grant, Protection
from access.policy import Role
from access.vault import seal
from clusters import fragments
from clusters.api import objects as api_objects
from clusters.changes import NewObject
from clusters.models import MODELS, Approval, Cluster, KeptSecret, Operation, Secret, Service
from clusters.operations import approvals, disposals, disposing, making, rotations
from clusters.operations.carry_out import advance
from clusters.operations.requests import request_cancel
from clusters.ports import EngineUnreachable, Noun, ObjectMissing, Raw
from clusters.problems import Invalid
from clusters.selectors.operations import awaiting
from clusters.views import objects
from live.changes import Touched
from tests.unit.panel import (
    MARKS,
    browser_of,
    make_cluster,
    make_config,
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
    assert awaiting(viewer, service).count() == 0


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


# --- Removing, putting back, forgetting ----------------------------------------------------------


class Swarm(FakeEngine):
    """Has what stands in the rows, and what was created."""

    def named(self, noun: Noun, name: str) -> Raw:
        for spec_noun, spec in self.created:
            if (spec_noun, spec["Name"]) == (noun, name):
                return {"ID": "new-id", "Version": {"Index": 1}, "Spec": spec}
        row = MODELS[noun]._default_manager.filter(name=name).first()
        if row is None or (noun, row.engine_id) in self.removed:
            raise ObjectMissing(name)
        spec = {"Name": name, "Labels": row.labels}
        return {"ID": row.engine_id, "Version": {"Index": row.version}, "Spec": spec}


@pytest.fixture
def swarm() -> Any:
    return Swarm()


@pytest.fixture
def kept(cluster: Cluster, ada: Any) -> KeptSecret:
    return KeptSecret.objects.create(
        cluster=cluster, name="old", stack="shop", labels={"a": "b"}, sealed=seal("eA=="),
        kept_by=ada.user,
    )  # fmt: skip


WAYS = ["remove", "put back", "forget"]


def ask(way: str, actor: Any, secret: Secret, kept: KeptSecret, engine: Any) -> Operation | None:
    if way == "remove":
        return disposals.remove(actor, secret, engine=engine, wake=wake)
    if way == "put back":
        return disposals.put_back(actor, kept, engine=engine, wake=wake)
    return disposals.forget(actor, kept, wake=wake)


def done(way: str, engine: Any) -> bool:
    if way == "forget":
        return not KeptSecret.objects.exists()
    return bool(engine.removed if way == "remove" else engine.created)


def work(operation: Operation, engine: Any) -> Operation:
    advance(str(operation.pk), lambda cluster: engine, "worker")
    operation.refresh_from_db()
    return operation


@pytest.mark.parametrize("way", WAYS)
def test_it_is_done_by_two_persons(
    way: str, secret: Secret, kept: KeptSecret, swarm: Any, ada: Any, bob: Any
) -> None:
    operation = ask(way, ada, secret, kept, swarm)
    assert operation
    assert operation.state == S.AWAITING
    assert ask(way, ada, secret, kept, swarm) == operation, "asking twice is one request"
    work(operation, swarm)
    assert not done(way, swarm), "nothing is done before somebody else agrees"
    with pytest.raises(Forbidden, match="somebody else"):
        approvals.decide(ada, operation, approve=True, wake=wake)
    approvals.decide(bob, operation, approve=True, wake=wake)
    assert not done(way, swarm)
    assert work(operation, swarm).state == S.SUCCEEDED, operation.error
    assert done(way, swarm)
    entries = AuditEntry.objects.filter(operation=operation.pk).order_by("id")
    assert [(e.phase, e.outcome) for e in entries] == [
        ("intent", ""), ("event", "approved"), ("result", "succeeded"),
    ]  # fmt: skip
    if way == "put back":
        spec = swarm.created[0][1]
        assert (spec["Data"], spec["Labels"]["a"]) == ("eA==", "b")
        assert "eA==" not in json.dumps([operation.plan, operation.change, operation.steps])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["not protected", "broke the glass"])
def test_it_is_done_at_once_where_one_person_is_enough(
    way: str, how: str, secret: Secret, kept: KeptSecret, swarm: Any, ada: Any
) -> None:
    if how == "not protected":
        Protection.objects.all().delete()
    else:
        until = timezone.now() + timedelta(minutes=60)
        glass = BreakGlass.objects.create(user=ada.user, reason="the shop is down", until=until)
        Grant.objects.create(user=ada.user, role="admin", break_glass=glass, expires_at=until)
    assert ask(way, ada, secret, kept, swarm) is None
    assert done(way, swarm)
    assert not Operation.objects.exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", ["decline", "withdraw", "expire"])
def test_what_nobody_approves_is_not_done(
    way: str, answer: str, secret: Secret, kept: KeptSecret, swarm: Any, ada: Any, bob: Any
) -> None:
    operation = ask(way, ada, secret, kept, swarm)
    assert operation
    if answer == "decline":
        approvals.decide(bob, operation, approve=False, wake=wake)
    elif answer == "withdraw":
        request_cancel(ada, operation, Operation.Cancel.STOP, wake=wake)
    else:
        Approval.objects.update(expires_at=Now())
        approvals.close_void()
    assert work(operation, swarm).state == S.CANCELLED
    assert not done(way, swarm)


def use_it(secret: Secret, kept: KeptSecret) -> None:
    make_service(secret.cluster, stack="shop", **mounted(secret))


def label_it(secret: Secret, kept: KeptSecret) -> None:
    Secret.objects.update(version=secret.version + 1)


def make_it(secret: Secret, kept: KeptSecret) -> None:
    make_secret(secret.cluster, kept.name, stack="shop")


def seal_another(secret: Secret, kept: KeptSecret) -> None:
    KeptSecret.objects.update(sealed=seal("eQ=="))


@pytest.mark.parametrize(
    ("way", "meanwhile", "why"),
    [
        ("remove", use_it, "in use"), ("remove", label_it, "was changed"),
        ("put back", make_it, "named old again"), ("put back", seal_another, "not what it was"),
        ("forget", seal_another, "not what it was"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("when", ["before the approval", "after it"])
def test_any_change_makes_it_void(
    way: str, meanwhile: Any, why: str, when: str, secret: Secret, kept: KeptSecret, swarm: Any,
    ada: Any, bob: Any,
) -> None:  # fmt: skip
    operation = ask(way, ada, secret, kept, swarm)
    assert operation
    if when == "before the approval":
        meanwhile(secret, kept)
        with pytest.raises(Invalid, match=why):
            approvals.decide(bob, operation, approve=True, wake=wake)
        approvals.close_void()
        operation.refresh_from_db()
        assert (operation.state, why in operation.result) == (S.CANCELLED, True)
    else:
        approvals.decide(bob, operation, approve=True, wake=wake)
        meanwhile(secret, kept)
        assert work(operation, swarm).state == S.FAILED
        assert why in operation.error
    assert not done(way, swarm)


@pytest.mark.parametrize("way", ["remove", "put back"])
def test_a_worker_that_died_after_the_engine_took_it_did_it_once(
    way: str, secret: Secret, kept: KeptSecret, swarm: Any, ada: Any, bob: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    operation = ask(way, ada, secret, kept, swarm)
    assert operation
    approvals.decide(bob, operation, approve=True, wake=wake)
    with monkeypatch.context() as dying:
        dying.setattr(disposing, "_succeeded", raise_silence)
        work(operation, swarm)
    assert (operation.state, done(way, swarm)) == (S.RUNNING, True)
    Operation.objects.update(next_step_at=Now())
    assert work(operation, swarm).state == S.SUCCEEDED
    assert len(swarm.removed) + len(swarm.created) == 1


def raise_silence(*_: Any) -> None:
    raise EngineUnreachable("It died here.")


def test_a_new_secret_does_not_end_what_is_kept_under_its_name(
    cluster: Cluster, kept: KeptSecret, swarm: Any, ada: Any
) -> None:
    """One person could forget it by that, and nobody would have to agree."""
    new = NewObject(name="old")
    with pytest.raises(Invalid, match="two persons are needed"):
        making.create(ada, cluster, "secret", new, b"x", engine=swarm)
    assert not swarm.created
    making.create(ada, cluster, "config", new, b"x", engine=swarm)
    Protection.objects.all().delete()
    making.create(ada, cluster, "secret", new, b"x", engine=swarm)
    assert not KeptSecret.objects.exists()


@pytest.mark.parametrize("noun", ["secret", "config"])
def test_pages_and_the_api_ask_for_the_second_person(
    noun: Noun, cluster: Cluster, kept: KeptSecret, ada: Any, bob: Any, swarm: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for module in (objects, api_objects):
        monkeypatch.setattr(module, "engine_for", lambda cluster: swarm)
        monkeypatch.setattr(module, "wake", wake)
    make = make_secret if noun == "secret" else make_config
    found = make(cluster, "key", stack="shop")
    browser, path = browser_of(ada.user), f"/clusters/local/{noun}s/key/"
    assert "once somebody else has approved it" in browser.get(f"{path}remove/").content.decode()
    assert browser.post(f"{path}remove/", {"name": "key"})["Location"].startswith("/operations/")
    told = browser.delete(f"/api/v1/clusters/local/{noun}s/key")
    assert (told.status_code, told.json()["state"]) == (202, "awaiting")
    operation = Operation.objects.get()
    assert told["Location"] == f"/api/v1/operations/{operation.pk}"
    for page in (path, f"/clusters/local/{noun}s/", f"/operations/{operation.pk}/", "/operations/"):
        shown = browser_of(bob.user).get(page).content.decode()
        assert f"/operations/{operation.pk}/" in shown, page
        viewer = browser_of(make_user(Role.VIEWER)).get(page).content.decode()
        assert f"/operations/{operation.pk}/" not in viewer, page
    decision = browser_of(bob.user).get(f"/operations/{operation.pk}/decide/").content.decode()
    assert f"The {noun} key of the stack shop is removed" in decision
    answer = {"answer": "approve"}
    assert browser_of(bob.user).post(f"/operations/{operation.pk}/decide/", answer)["Location"]
    assert work(operation, swarm).state == S.SUCCEEDED
    assert swarm.removed == [(noun, found.engine_id)]
    found.delete()
    gone = fragments.render(bob.user, f"object:{noun}:local:{found.engine_id}", None)
    assert "no longer in the Swarm" in gone["object"]


def test_the_page_of_what_is_kept_asks_for_the_second_person(
    cluster: Cluster, kept: KeptSecret, ada: Any, bob: Any
) -> None:
    browser, path = browser_of(ada.user), "/clusters/local/kept-secrets/old/"
    for way, data in (("put-back", {}), ("forget", {"name": "old"})):
        assert "once somebody else has approved it" in browser.get(f"{path}{way}/").content.decode()
        assert browser.post(f"{path}{way}/", data)["Location"].startswith("/operations/")
        Operation.objects.filter(kind=f"secret-{way}").get()
    assert KeptSecret.objects.exists()
    shown = browser_of(bob.user).get("/clusters/local/secrets/").content.decode()
    assert "Awaiting approval" in shown
