"""Rules of the services table, a service's pages and the actions in the browser."""

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access.models import User
from access.policy import Role
from clusters import readings, specs
from clusters.models import Approval, Cluster, Operation, Service, SwarmTask
from tests.unit.panel import (
    change_elsewhere,
    inputs,
    keep_revision,
    make_cluster,
    make_service,
    make_user,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
SERVICES = "/clusters/local/services/"
WEB = f"{SERVICES}web/"


def browser_of(role: Role | None, **scope: str) -> Client:
    client = Client(headers={"accept": "text/html"})
    client.force_login(make_user(role, **scope))
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def hidden(answer: Any) -> dict[str, str]:
    """The hidden inputs of the form that was answered."""
    found = re.findall(
        r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', answer.content.decode()
    )
    return {name: value for name, value in found if name not in ("csrfmiddlewaretoken", "step")}


def rows(answer: Any) -> set[str]:
    return set(re.findall(r'<tr id="service-id-([^"]+)"', answer.content.decode()))


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster(), Env=["SECRET=swordfish"])


@pytest.fixture
def operator() -> Client:
    return browser_of(Role.OPERATOR)


# --- Looking -------------------------------------------------------------------------------------


def test_who_is_signed_out_is_sent_to_sign_in_and_back(service: Service) -> None:
    answer = Client().get(f"{WEB}?x=1")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=%2Fclusters%2Flocal%2Fservices%2Fweb%2F%3Fx%3D1"


def test_a_fragment_of_who_is_signed_out_takes_the_whole_page_to_sign_in(service: Service) -> None:
    answer = Client().get(WEB, headers={"HX-Request": "true", "HX-Current-URL": WEB})
    assert answer.status_code == 204
    assert answer["HX-Redirect"].startswith("/sign-in/?next=")


def test_the_table_is_filtered_by_its_address(service: Service, operator: Client) -> None:
    make_service(service.cluster, "db", stack="data", health="failing")
    assert rows(operator.get(SERVICES)) == {"web", "db"}
    assert rows(operator.get(SERVICES, {"q": "db"})) == {"db"}
    assert rows(operator.get(SERVICES, {"state": "failing"})) == {"db"}
    assert rows(operator.get(SERVICES, {"stack": ""})) == {"web"}
    assert rows(operator.get(SERVICES, {"stack": "data", "image": "none"})) == set()


@pytest.mark.parametrize("page", ["", "0", "-1", "x", "٣", "9" * 30])
def test_a_senseless_page_number_shows_a_page(
    service: Service, operator: Client, page: str
) -> None:
    assert operator.get(SERVICES, {"page": page}).status_code == 200


def test_a_table_costs_the_same_number_of_queries_at_any_length(
    service: Service, operator: Client
) -> None:
    counts = []
    for length in (1, 30):
        for number in range(length):
            make_service(service.cluster, f"s{length}-{number}", stack=f"stack{number}")
        with CaptureQueriesContext(connection) as queries:
            operator.get(SERVICES)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_kept_row_is_shown_as_long_as_it_is_true_and_to_whom_it_is(
    service: Service, operator: Client
) -> None:
    viewer = browser_of(Role.VIEWER)
    for image in ("lab/web:2", "lab/web:3"):
        Service.objects.update(image=image)
        assert [image in text(who.get(SERVICES)) for who in (operator, viewer)] == [True, True]
    scale = 'aria-label="Scale web"'
    pages = [who.get(SERVICES).content.decode() for who in (operator, viewer)]
    assert [scale in page for page in pages] == [True, False]
    Cluster.objects.update(name="other")
    page = operator.get("/clusters/other/services/").content.decode()
    assert "/clusters/other/services/web/" in page and WEB not in page


def test_a_page_reads_its_viewers_rights_once(service: Service, operator: Client) -> None:
    with CaptureQueriesContext(connection) as read:
        operator.get(SERVICES)
    assert sum("access_grant" in query["sql"] for query in read) == 1


@pytest.mark.parametrize(
    "part", ["", "logs/", "configuration/", "spec/", "operations/", "revisions/", "tasks/t-web-1/"]
)
def test_every_part_of_a_service_has_a_page(service: Service, operator: Client, part: str) -> None:
    answer = operator.get(WEB + part)
    assert answer.status_code == 200
    assert 'id="service-head"' in answer.content.decode()


def test_a_viewer_sees_no_value_of_a_variable_and_no_action(service: Service) -> None:
    change_elsewhere(service, Env=["SECRET=marlin"])
    viewer = browser_of(Role.VIEWER)
    for part in ("", "configuration/", "spec/", "revisions/"):
        page = viewer.get(WEB + part).content.decode()
        assert "swordfish" not in page
        assert "marlin" not in page
        assert "data-dialog" not in page
    assert "SECRET" in viewer.get(f"{WEB}configuration/").content.decode()


def test_a_viewer_may_not_read_logs_nor_act(service: Service) -> None:
    viewer = browser_of(Role.VIEWER)
    for part in ("logs/", "scale/", "update/", "rollback/", "restart/", "resume/"):
        answer = viewer.get(WEB + part)
        assert answer.status_code == 403, part
        assert "does not allow" in text(answer)


def test_a_service_of_another_stack_is_as_absent(service: Service) -> None:
    make_service(service.cluster, "other", stack="theirs")
    client = browser_of(Role.OPERATOR, cluster="local", stack="ours")
    assert client.get(f"{SERVICES}other/").status_code == 404
    assert client.post(f"{SERVICES}other/scale/", {"replicas": 1}).status_code == 404


def test_a_task_that_is_gone_is_told_as_such(service: Service, operator: Client) -> None:
    answer = operator.get(f"{WEB}tasks/none/", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert "This task is gone" in text(answer)
    assert answer["HX-Retarget"] == "#notices"


# --- Acting --------------------------------------------------------------------------------------


def scale(client: Client, step: str, **fields: Any) -> Any:
    return client.post(f"{WEB}scale/", {"version": 10, "replicas": 5, "step": step, **fields})


def test_a_preview_tells_what_will_happen_and_does_nothing(
    service: Service, operator: Client
) -> None:
    answer = scale(operator, "preview")
    assert "2 tasks added" in text(answer)
    assert "Mode. Replicated. Replicas 3 5" in text(answer)
    assert not Operation.objects.exists()


def test_what_was_previewed_is_what_is_asked_for(service: Service, operator: Client) -> None:
    answer = operator.post(
        f"{WEB}scale/", {**hidden(scale(operator, "preview")), "step": "confirm"}
    )
    operation = Operation.objects.get()
    assert answer["Location"] == f"/operations/{operation.id}/"
    assert operation.change == {"replicas": 5}


def test_a_confirmation_sent_twice_is_one_operation(service: Service, operator: Client) -> None:
    fields = {**hidden(scale(operator, "preview")), "step": "confirm"}
    first, second = (operator.post(f"{WEB}scale/", fields) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert Operation.objects.count() == 1


def test_scaling_into_a_rollout_that_began_since_is_previewed_anew(
    service: Service, operator: Client
) -> None:
    seen = {**hidden(scale(operator, "preview")), "step": "confirm"}
    Service.objects.filter(pk=service.pk).update(health="updating")
    answer = operator.post(f"{WEB}scale/", seen)
    assert "A rollout is under way" in text(answer)
    assert not Operation.objects.exists()
    operator.post(f"{WEB}scale/", {**hidden(answer), "step": "confirm"})
    assert Operation.objects.get().change["insist"]


@pytest.mark.parametrize("replicas", ["-1", "many", "99999999", "", "1.5"])
def test_a_wrong_number_is_told_at_its_field_and_kept(
    service: Service, operator: Client, replicas: str
) -> None:
    answer = scale(operator, "preview", replicas=replicas)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'id="id_replicas_error"' in page
    assert f'value="{replicas}"' in page or not replicas
    assert not Operation.objects.exists()


def test_a_stale_form_shows_both_changes_and_changes_nothing(
    service: Service, operator: Client
) -> None:
    change_elsewhere(service, Env=["SECRET=marlin"])
    answer = scale(operator, "confirm")
    assert answer.status_code == 409
    assert "Theirs" in text(answer)
    assert "Yours" in text(answer)
    assert not Operation.objects.exists()
    on_top = operator.post(f"{WEB}scale/", {**hidden(answer), "step": "preview"})
    assert on_top.status_code == 200
    assert operator.post(
        f"{WEB}scale/", {**hidden(on_top), "step": "confirm"}
    ).status_code == 302  # fmt: skip


def test_a_busy_service_leads_to_what_keeps_it_busy(service: Service, operator: Client) -> None:
    scale(operator, "confirm")
    answer = scale(operator, "confirm", replicas=7)
    assert answer.status_code == 409
    assert f"/operations/{Operation.objects.get().id}/" in answer.content.decode()


def test_an_update_asks_only_for_what_was_changed(service: Service, operator: Client) -> None:
    fields = inputs(operator.get(f"{WEB}update/"))
    fields |= {"env-0-value": "marlin", "limit_memory": "1G", "update_delay": "30s"}
    fields |= {"env-1-name": "NEW", "env-1-value": "a=b"}
    answer = operator.post(f"{WEB}update/", {**fields, "step": "confirm"})
    assert answer.status_code == 302, text(answer)
    assert Operation.objects.get().change == {
        "env": {"SECRET": "marlin", "NEW": "a=b"},
        "resources": {"limits": {"memory": 2**30}},
        "update_config": {"delay": 30 * 10**9},
    }


def test_an_update_form_sent_as_it_came_asks_for_nothing(
    service: Service, operator: Client
) -> None:
    fields = inputs(operator.get(f"{WEB}update/"))
    answer = operator.post(f"{WEB}update/", {**fields, "step": "preview"})
    assert answer.status_code == 422
    assert "asks for no change" in text(answer)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("image", "Not an image!", "is not an image reference"),
        ("limit_memory", "much", "is not an amount of memory"),
        ("update_delay", "soon", "is not a duration"),
        ("constraints", "node is nice", "is not a constraint"),
    ],
)
def test_a_wrong_field_of_an_update_is_told_there(
    service: Service, operator: Client, field: str, value: str, words: str
) -> None:
    fields = {**inputs(operator.get(f"{WEB}update/")), field: value, "env-0-value": "marlin"}
    answer = operator.post(f"{WEB}update/", {**fields, "step": "preview"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert words in text(answer)
    assert f'id="id_{field}_error"' in page
    assert "marlin" in page  # nothing that was typed is lost


def test_a_value_without_a_name_is_not_passed_over(service: Service, operator: Client) -> None:
    fields = {**inputs(operator.get(f"{WEB}update/")), "image": "lab/web:2"}
    fields["labels-0-value"] = "nameless"
    answer = operator.post(f"{WEB}update/", {**fields, "step": "confirm"})
    assert answer.status_code == 422
    assert "This value has no name." in text(answer)
    assert not Operation.objects.exists()


def test_a_removed_variable_and_a_renamed_one_are_asked_for(
    service: Service, operator: Client
) -> None:
    fields = {**inputs(operator.get(f"{WEB}update/")), "env-0-name": "TOKEN"}
    operator.post(f"{WEB}update/", {**fields, "step": "confirm"})
    assert Operation.objects.get().change == {"env": {"SECRET": None, "TOKEN": "swordfish"}}


def test_a_rollback_of_a_paused_rollout_replaces_only_what_it_reached(
    service: Service, operator: Client
) -> None:
    failing = change_elsewhere(service, Image="lab/crash:1")
    Service.objects.filter(pk=service.pk).update(health="paused", update_state="paused")
    reached = readings.template_hash(failing.spec["TaskTemplate"])
    SwarmTask.objects.filter(slot=1).update(template_hash=reached)
    fields = {"version": failing.version, "revision": 1, "step": "preview"}
    answer = operator.post(f"{WEB}rollback/", fields)
    assert "1 task replaced" in text(answer)
    assert "sets it going again" not in text(answer)


@pytest.mark.parametrize(
    ("update_state", "told"), [("rollback_completed", True), ("completed", False)]
)
def test_a_service_tells_why_its_last_update_ended_badly(
    service: Service, operator: Client, update_state: str, told: bool
) -> None:
    scale(operator, "confirm")
    Operation.objects.update(
        state=Operation.State.ROLLED_BACK, error="Task 1: no such file", finished_at=Now()
    )
    Service.objects.filter(pk=service.pk).update(update_state=update_state)
    head = operator.get(WEB).content.decode().partition('<nav class="tabs"')[0]
    assert ('id="service-ended"' in head) is told
    assert ("Task 1: no such file" in head.partition("service-head")[2]) is told


def test_a_rollback_goes_to_the_chosen_revision(service: Service, operator: Client) -> None:
    change_elsewhere(service, Env=["SECRET=marlin"])
    fields = {"version": service.version, "revision": 1, "keep_replicas": "on", "step": "confirm"}
    operator.post(f"{WEB}rollback/", fields)
    assert Operation.objects.get().change == {"revision": 1, "keep_replicas": True}


def test_a_rollback_without_a_revision_is_told(service: Service, operator: Client) -> None:
    keep_revision(service, 2, {**service.spec, "Name": "x"})
    answer = operator.post(f"{WEB}rollback/", {"version": 10, "step": "preview"})
    assert answer.status_code == 422
    assert "Choose a revision" in text(answer)


def test_a_restart_shows_the_tasks_that_it_replaces(service: Service, operator: Client) -> None:
    assert "3 tasks replaced" in text(operator.get(f"{WEB}restart/"))


def test_a_dialog_closes_with_a_notice(service: Service, operator: Client) -> None:
    answer = operator.post(
        f"{WEB}scale/",
        {"version": 10, "replicas": 5, "step": "confirm"},
        headers={"HX-Request": "true", "HX-Target": "dialog"},
    )
    assert answer["HX-Retarget"] == "#notices"
    assert answer["HX-Trigger"] == "pilothouse:done"
    assert "was asked for" in text(answer)


@pytest.mark.parametrize("state", [Operation.State.CANCELLING, Operation.State.CANCELLED])
def test_a_stopped_rollout_is_resumed_once_its_stop_has_ended(
    service: Service, operator: Client, state: Operation.State
) -> None:
    """Until then it would be refused: one operation at a time."""
    Service.objects.update(spec=specs.held(service.spec), health="paused")
    Operation.objects.create(
        kind="update", cluster=service.cluster, target_id=service.engine_id, target=service.name,
        requested_by=User.objects.first(), state=state, change={}, before={}, after={},
    )  # fmt: skip
    offered = "Resume…" in text(operator.get(WEB))
    assert offered is (state == Operation.State.CANCELLED)


def test_what_is_under_way_is_shown_though_something_newer_awaits(
    service: Service, operator: Client
) -> None:
    for kind, state in (("scale", "running"), ("update", "awaiting")):
        operation = Operation.objects.create(
            kind=kind, cluster=service.cluster, target_id=service.engine_id, target=service.name,
            requested_by=User.objects.first(), state=state, change={}, before={}, after={},
        )  # fmt: skip
    Approval.objects.create(operation=operation, version=1, expires_at=Now())
    assert 'id="service-active"' in operator.get(WEB).content.decode()
