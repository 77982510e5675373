"""Ways out of one's own scope, and around the second person."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from access.authorize import Actor
from access.models import AuditChain, AuditEntry, Grant, Protection, User
from access.policy import Role
from access.vault import seal
from clusters import fragments, specs
from clusters.changes import STACK_LABEL, Rollback, Scale
from clusters.models import Approval, Cluster, KeptSecret, Network, Operation, Service
from clusters.operations import approvals
from clusters.operations.carry_out import advance
from clusters.operations.requests import request, request_cancel
from clusters.problems import Invalid
from live.changes import Touched
from tests.unit.panel import (
    ApiClient,
    browser_of,
    client_of,
    keep_revision,
    make_cluster,
    make_service,
    make_user,
)
from tests.unit.test_approvals import Woken, no_engine, proven
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


def test_a_secret_that_another_stack_keeps_is_not_forgotten_by_a_new_one(
    service: Service, calls: list[str]
) -> None:
    KeptSecret.objects.create(
        cluster=service.cluster, name="password", stack="blog", sealed=seal("eA=="),
        kept_by=make_user(Role.ADMIN),
    )  # fmt: skip
    for stack, status in (("shop", 422), ("blog", 503)):  # there is no engine to go on to
        manager = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack=stack))
        answer = manager.post(
            "/api/v1/clusters/local/secrets",
            {"name": "password", "stack": stack, "value": "x"},
            content_type="application/json",
        )
        assert answer.status_code == status, answer.content
    assert KeptSecret.objects.exists()


def test_the_networks_of_other_stacks_are_absent(service: Service) -> None:
    for name, stack in (("ingress", ""), ("shop_inner", "shop"), ("blog_inner", "blog")):
        Network.objects.create(cluster=service.cluster, engine_id=name, name=name, stack=stack)
    seen = {"shop": {"ingress", "shop_inner"}, "": {"ingress", "shop_inner", "blog_inner"}}
    for place, names in seen.items():
        user = make_user(Role.VIEWER, cluster="local", stack=place)
        told = ApiClient(user).get("/clusters/local").json()["networks"]
        assert {network["name"] for network in told} == names
        page = browser_of(user).get("/clusters/local/").content
        assert (b"blog_inner" in page) is ("blog_inner" in names)


def test_the_operations_of_other_stacks_are_not_counted(service: Service) -> None:
    request(proven(make_user(Role.OPERATOR)), service, Scale(replicas=5), wake=Woken())
    for stack, count in (("shop", 1), ("blog", 0)):
        told = client_of(Role.VIEWER, cluster="local", stack=stack).get("/clusters/local").json()
        assert told["active_operations"] == count


# --- Around the second person --------------------------------------------------------------------


def test_a_swarm_is_as_protected_under_another_name(service: Service) -> None:
    """Who may register clusters could add a protected one once more, and change it there alone."""
    alias = make_cluster("alias")
    Cluster.objects.update(swarm_id="swarm-1")
    elsewhere = make_cluster("elsewhere")
    Protection.objects.create(cluster="local", stack="shop")
    admin = make_user(Role.ADMIN)
    for cluster, state in ((alias, "awaiting"), (elsewhere, "pending")):
        make_service(cluster, "web", stack="shop")
        address = f"/clusters/{cluster.name}/services/web/scale"
        assert ApiClient(admin).post(address, {"replicas": 5}).json()["state"] == state


def test_swarms_that_nobody_has_looked_at_yet_are_not_one(service: Service) -> None:
    make_service(make_cluster("other"), stack="blog")
    Protection.objects.create(cluster="local")
    answer = ApiClient(make_user(Role.ADMIN)).post(
        "/clusters/other/services/web/scale", {"replicas": 5}
    )
    assert answer.json()["state"] == "pending"


def asked_for(service: Service) -> Operation:
    Protection.objects.create(cluster="local", stack="shop")
    ada = proven(make_user(Role.OPERATOR))
    return request(ada, service, Scale(replicas=5), wake=Woken())


@pytest.mark.parametrize("ending", ["disabled", "withdrawn"])
def test_an_approval_ends_with_the_right_of_who_gave_it(service: Service, ending: str) -> None:
    operation, bob = asked_for(service), proven(make_user(Role.OPERATOR))
    approvals.decide(bob, operation, approve=True, wake=Woken())
    if ending == "disabled":
        User.objects.filter(pk=bob.user.pk).update(is_active=False)
    else:
        Grant.objects.filter(user=bob.user).delete()
    advance(str(operation.pk), no_engine, "worker")
    operation.refresh_from_db()
    assert operation.state == Operation.State.FAILED
    assert "nobody else approved" in operation.error


def together(*calls: Callable[[], Any]) -> list[Any]:
    """All at once, each with a connection of its own; what each returned or raised."""
    gate, outcomes = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        gate.wait()
        try:
            outcomes[number] = call()
        except Invalid as refused:
            outcomes[number] = refused  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answers", [(True, True), (True, False), (False, False)])
def test_of_two_who_decide_at_once_one_does(service: Service, answers: tuple[bool, bool]) -> None:
    operation = asked_for(service)
    people = [proven(make_user(Role.OPERATOR)) for _ in answers]

    def decide(actor: Actor, answer: bool) -> Callable[[], Any]:
        return lambda: approvals.decide(actor, operation, approve=answer, wake=Woken())

    outcomes = together(*map(decide, people, answers))
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 1, outcomes
    approval = Approval.objects.get()
    (told,) = AuditEntry.objects.filter(action="operation.approve")
    assert told.actor == approval.decided_by
    assert (told.outcome == "approved") == approval.approved
    assert AuditEntry.objects.filter(phase="result").count() == (not approval.approved)


@pytest.mark.django_db(transaction=True)
def test_what_is_withdrawn_at_that_moment_is_not_told_as_approved(service: Service) -> None:
    operation = asked_for(service)
    ada, bob = Actor(operation.requested_by, "browser"), proven(make_user(Role.OPERATOR))
    together(
        lambda: request_cancel(ada, operation, Operation.Cancel.STOP, wake=Woken()),
        lambda: approvals.decide(bob, operation, approve=True, wake=Woken()),
    )
    operation.refresh_from_db()
    approved = AuditEntry.objects.filter(action="operation.approve").exists()
    assert Approval.objects.filter(approved=True).exists() is approved
    assert operation.state == ("cancelling" if approved else "cancelled")


# --- Back to what was taken away -----------------------------------------------------------------

BIND = {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/docker.sock"}
HIDDEN = {"Driver": {"Name": "local", "Options": {"device": "/", "o": "bind"}}}
VOLUME = {
    "Type": "volume",
    "Source": "v",
    "Target": "/v",
    "VolumeOptions": {"DriverConfig": HIDDEN},
}
DANGEROUS: dict[str, Any] = {
    "Mounts": [BIND],
    "Mounts hidden": [VOLUME],
    "CapabilityAdd": ["CAP_SYS_ADMIN"],
    "Privileges": {"NoNewPrivileges": False, "Seccomp": {"Mode": "unconfined"}},
    "Secrets": [{"SecretID": "s1", "SecretName": "password", "File": {"Name": "password"}}],
    "Sysctls": {"kernel.core_pattern": "|/x"},
}


@pytest.mark.parametrize("name", DANGEROUS)
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_a_rollback_gives_back_only_for_administrators_what_was_taken_away(
    service: Service, name: str, role: Role
) -> None:
    """Attack 1, Portainer CVE-2026-44849: another way to a spec than the one that is checked."""
    spec = revise(service, **service.spec["Labels"])
    spec["TaskTemplate"]["ContainerSpec"][name.split()[0]] = DANGEROUS[name]
    keep_revision(service, 2, spec)
    user = make_user(role, cluster="local")
    asked = {"revision": "2", "version": str(service.version), "step": "confirm"}
    answer = browser_of(user).post(f"{ROLLBACK}/", asked)
    assert answer.status_code == (302 if role == Role.ADMIN else 403), answer.content
    assert Operation.objects.exists() is (role == Role.ADMIN)
    assert ApiClient(user).post(ROLLBACK, {"revision": 2}).status_code == 403  # a token never


def test_the_right_to_give_it_back_is_asked_for_again_by_the_worker(service: Service) -> None:
    spec = revise(service, **service.spec["Labels"])
    spec["TaskTemplate"]["ContainerSpec"]["Mounts"] = [BIND]
    keep_revision(service, 2, spec)
    admin = proven(make_user(Role.ADMIN))
    operation = request(admin, service, Rollback(revision=2), wake=Woken())
    Grant.objects.filter(user=admin.user).update(role=Role.OPERATOR)
    advance(str(operation.pk), no_engine, "worker")
    operation.refresh_from_db()
    assert operation.state == Operation.State.FAILED
    assert AuditEntry.objects.filter(phase="refused", action="service.widen").exists()


def test_what_is_taken_away_or_stays_is_nothing_given_back() -> None:
    def spec(**container: Any) -> dict[str, Any]:
        return {"TaskTemplate": {"ContainerSpec": {"Image": "web", **container}}}

    secret = {"SecretID": "s1", "SecretName": "one", "File": {"Name": "here"}}
    elsewhere = {**secret, "File": {"Name": "there"}}
    for before, after, found in (
        (spec(Mounts=[BIND]), spec(), []),
        (spec(Mounts=[BIND]), spec(Mounts=[dict(reversed(BIND.items()))]), []),
        (spec(Mounts=[]), spec(Mounts=None), []),
        (spec(Secrets=[secret]), spec(Secrets=[elsewhere]), []),
        (spec(CapabilityDrop=["ALL"]), spec(), ["CapabilityDrop"]),
        (spec(), spec(CapabilityDrop=["ALL"]), []),
        (spec(Mounts=[BIND]), spec(Mounts=[{**BIND, "Source": "/"}]), ["Mounts"]),
    ):
        assert [path.rpartition(".")[2] for path in specs.widened(before, after)] == found
    more = {"TaskTemplate": {"ContainerSpec": {}, "Networks": [{"Target": "host"}]}}
    assert specs.widened(spec(), more) == ["TaskTemplate.Networks"]


def test_who_manages_a_cluster_gives_nothing_to_a_group_that_is_absent_to_them() -> None:
    make_cluster()
    Group.objects.create(name="far-away")
    manager = browser_of(make_user(Role.ADMIN, cluster="local"))
    for name in ("far-away", "nobody"):
        grant = {"group": name, "role": "viewer", "cluster": "local"}
        assert manager.post("/api/v1/access/grants", grant, "application/json").status_code == 404


# --- Small things that reach far -----------------------------------------------------------------


def test_a_token_revokes_no_other_token_of_its_owner() -> None:
    """One that leaked could end all automation of whom it was stolen from."""
    user = make_user(Role.ADMIN)
    narrow, other = ApiClient(user), ApiClient(user)
    mine, others = (token.pk for token in user.api_tokens.order_by("id"))
    assert narrow.request("DELETE", f"/access/tokens/{others}").status_code == 403
    assert other.get("/clusters").status_code == 200
    assert narrow.request("DELETE", f"/access/tokens/{mine}").status_code == 204
    assert narrow.get("/clusters").status_code == 401


def test_nobody_begins_a_chain_by_asking_for_what_never_was() -> None:
    viewer = browser_of(make_user(Role.VIEWER))
    grant = {"user": "x", "role": "viewer", "cluster": "made-up"}
    assert viewer.post("/api/v1/access/grants", grant, "application/json").status_code in (403, 404)
    auditor = make_user(Role.AUDITOR)
    ApiClient(auditor).get("/audit", cluster="made-up")
    browser_of(auditor).get("/audit/?cluster=made-up")
    ApiClient(make_user(Role.AUDITOR, cluster="local")).get("/audit", cluster="made-up")
    assert not AuditChain.objects.filter(cluster="made-up").exists()
    assert AuditEntry.objects.filter(phase="refused", target="made-up").exists()


def test_an_engines_id_is_no_markup(service: Service) -> None:
    key = '"></tr><i id="tray" hx-get="/" hx-trigger="load">'
    user = make_user(Role.VIEWER)
    told = fragments.render(user, "services:local", [Touched("local", "service", key)])
    assert "<i" not in "".join(told.values())
    assert "data-live-remove" in told[f"service-{key}"]


NUL_ADDRESSES = [
    "/clusters/local/services/?q=%00", "/clusters/local/services/?stack=%00",
    "/clusters/local/services/a%00/", "/operations/?state=%00", "/palette/?q=%00",
    "/access/?q=%00", "/access/people/a%00/", "/clusters/local/configs/x%00/compare/",
]  # fmt: skip


@pytest.mark.parametrize("address", NUL_ADDRESSES)
def test_a_character_that_nothing_has_in_it_is_absent(service: Service, address: str) -> None:
    client = browser_of(make_user(Role.ADMIN), raise_request_exception=False)
    assert client.get(address).status_code == 404
    assert Client().get(address).status_code in (302, 404)


def test_no_hidden_field_of_a_form_makes_a_page_fail(service: Service) -> None:
    client = browser_of(make_user(Role.ADMIN), raise_request_exception=False)
    fields = {"step": "confirm", "version": str(service.version)}
    restart = "/clusters/local/services/web/restart/"
    for senseless in ({"key": "a\0b"}, {"version": "abc"}, {"version": ""}):
        assert client.post(restart, {**fields, **senseless}).status_code == 422
    assert client.post(restart, {**fields, "step": "edit"}).status_code == 200
    assert client.post(restart, fields).status_code == 302
    again = f"/operations/{Operation.objects.get().pk}/again/"
    assert client.post(again, {**fields, "key": "a\0b"}).status_code == 302
    for version in ("abc", "-1", "9" * 5000, "²"):
        answer = client.post(again, {"step": "confirm", "version": version})
        assert answer.status_code == 409, version
