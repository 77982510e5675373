"""Rules of the pages of clusters and operations."""

from typing import Any

import pytest
from django.test import Client

from access.policy import Role
from clusters.models import Cluster, Operation, Service
from clusters.templatetags import looks
from tests.unit.panel import browser_of, make_cluster, make_service, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
NEW = "/clusters/new/"


def body(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.fixture
def admin() -> Client:
    return browser_of(make_user(Role.ADMIN))


# --- Clusters ------------------------------------------------------------------------------------


def test_a_panel_without_clusters_says_how_to_begin(admin: Client) -> None:
    assert "Register a Swarm by the address" in body(admin.get("/"))
    assert "give you a grant" in body(browser_of(make_user(Role.VIEWER)).get("/"))


def test_a_cluster_is_registered_by_its_addresses(admin: Client) -> None:
    text = "ssh://ops@manager-1\n\n  unix:///var/run/docker.sock \nssh://ops@manager-1"
    answer = admin.post(NEW, {"name": "prod", "addresses": text})
    assert answer["Location"] == "/clusters/prod/"
    assert Cluster.objects.get().addresses == ["ssh://ops@manager-1", "unix:///var/run/docker.sock"]


@pytest.mark.parametrize(
    ("name", "addresses", "words"),
    [
        ("prod", "http://manager:2375", "is no address of an engine"),
        ("prod", "tcp://-oProxyCommand=x:2376", "is no address of an engine"),
        ("prod", "tcp://manager", "is no address of an engine"),
        ("prod", "tcp://user:password@manager:2376", "without a password"),
        ("prod", "unix://relative.sock", "is no address of an engine"),
        ("prod", "", "required"),
        ("new", "tcp://192.0.2.1:2376", "a word of the panel"),
        ("a b", "tcp://192.0.2.1:2376", "letters, digits"),
        ("local", "tcp://192.0.2.1:2376", "named local already"),
    ],
)
def test_a_wrong_registration_is_told_and_kept(
    admin: Client, name: str, addresses: str, words: str
) -> None:
    make_cluster("local")
    answer = admin.post(NEW, {"name": name, "addresses": addresses})
    assert answer.status_code == 422
    assert words in body(answer)
    assert f'value="{name}"' in body(answer)
    assert Cluster.objects.count() == 1


def test_half_of_tls_is_told_and_its_key_is_not_read_back(admin: Client) -> None:
    fields = {"name": "prod", "addresses": "tcp://m:2376", "tls_key": "not a key"}
    answer = admin.post(NEW, fields)
    assert answer.status_code == 422
    assert body(answer).count("TLS needs all three") == 2


def test_all_that_is_wrong_with_a_registration_is_told_at_once(admin: Client) -> None:
    fields = {"name": "a b", "addresses": "http://a\ntcp://b", "tls_ca": "not a certificate"}
    told = body(admin.post(NEW, fields))
    assert "letters, digits" in told
    assert "“http://a” is no address" in told and "“tcp://b” is no address" in told
    assert "This is not a certificate in PEM form." in told
    assert told.count("TLS needs all three") == 2
    nothing = body(admin.post(NEW, {"name": "", "addresses": ""}))
    assert nothing.count('class="errorlist"') == 2, "of each field once"


def test_what_was_never_seen_is_not_counted(admin: Client) -> None:
    cluster = make_cluster("silent")
    Cluster.objects.update(seen_at=None, state="unreachable", state_message="No answer.")
    told = [body(admin.get(path)) for path in ("/", f"/clusters/{cluster.name}/")]
    assert "never seen" in told[0] and "No stack is known" in told[1]
    assert all("not known" in page and '<span class="of">/0' not in page for page in told)


def test_only_administrators_register_remove_and_initialise() -> None:
    make_cluster("local", Cluster.State.NOT_A_SWARM)
    operator = browser_of(make_user(Role.OPERATOR))
    for path in (NEW, "/clusters/local/remove/", "/clusters/local/initialise/"):
        assert operator.get(path).status_code == 403
        assert operator.post(path, {"name": "local"}).status_code == 403


def test_a_cluster_goes_only_when_its_name_was_typed(admin: Client) -> None:
    make_cluster("local")
    assert admin.post("/clusters/local/remove/", {"name": "locl"}).status_code == 422
    assert Cluster.objects.exists()
    assert admin.post("/clusters/local/remove/", {"name": "local"})["Location"] == "/"
    assert not Cluster.objects.exists()


def test_swarm_is_initialised_on_an_engine_outside_it(admin: Client) -> None:
    make_cluster("local", Cluster.State.NOT_A_SWARM)
    assert "Initialise Swarm" in body(admin.get("/clusters/local/"))
    wrong = admin.post("/clusters/local/initialise/", {"advertise": "$(reboot)"})
    assert wrong.status_code == 422
    admin.post("/clusters/local/initialise/", {"advertise": "192.0.2.10"})
    assert Operation.objects.get().change == {"advertise": "192.0.2.10"}


def test_a_partial_picture_is_told_as_such(admin: Client) -> None:
    cluster = make_cluster("local")
    cluster.nodes.update(state="down")
    cluster.managers = [{"address": "tcp://m2:2376", "error": "timed out after 5 s"}]
    cluster.save()
    page = body(admin.get("/clusters/local/"))
    assert "0 of 1 nodes answered" in page
    assert "timed out after 5 s" in page


# --- Operations ----------------------------------------------------------------------------------


@pytest.fixture
def service() -> Service:
    return make_service(make_cluster(), Env=["SECRET=swordfish"])


def make_operation(service: Service, **of: Any) -> Operation:
    fields = {"kind": "scale", "change": {"replicas": 5}, "state": "running", **of}
    return Operation.objects.create(
        cluster=service.cluster, target_id=service.engine_id, target=service.name,
        requested_by=make_user(Role.OPERATOR), requested_via="browser", **fields,
    )  # fmt: skip


def test_operations_are_found_by_state_and_cluster(service: Service, admin: Client) -> None:
    running = make_operation(service)
    failed = make_operation(service, state="failed")
    page = body(admin.get("/operations/", {"state": "active", "cluster": "local"}))
    assert f'<tr id="operation-{running.id}"' in page
    assert f'<tr id="operation-{failed.id}"' not in page


def test_a_rolled_back_update_is_never_told_as_a_success(service: Service, admin: Client) -> None:
    operation = make_operation(service, kind="update", state="rolled_back", error="exit 1")
    page = body(admin.get(f"/operations/{operation.id}/"))
    assert "Rolled back" in page
    assert "Succeeded" not in page
    assert "exit 1" in page


def test_cancelling_asks_how(service: Service, admin: Client) -> None:
    operation = make_operation(service)
    path = f"/operations/{operation.id}/cancel/"
    assert "at most one task more" in body(admin.get(path))
    assert admin.post(path, {"how": "somehow"}).status_code == 422
    admin.post(path, {"how": "back"})
    operation.refresh_from_db()
    assert (operation.state, operation.cancel) == ("cancelling", "back")


def test_cancelling_what_has_ended_is_told(service: Service, admin: Client) -> None:
    operation = make_operation(service, state="succeeded")
    answer = admin.post(f"/operations/{operation.id}/cancel/", {"how": "stop"})
    assert answer.status_code == 422
    assert "already ended" in body(answer)


def test_a_viewer_sees_operations_without_values_and_cancels_none(service: Service) -> None:
    before = {**service.spec}
    after = {**before, "TaskTemplate": {"ContainerSpec": {"Env": ["SECRET=marlin"]}}}
    operation = make_operation(service, before=before, after=after)
    viewer = browser_of(make_user(Role.VIEWER))
    page = body(viewer.get(f"/operations/{operation.id}/"))
    assert "marlin" not in page
    assert "swordfish" not in page
    assert viewer.post(f"/operations/{operation.id}/cancel/", {"how": "stop"}).status_code == 403


def test_a_failed_operation_is_asked_for_again_with_the_same_change(
    service: Service, admin: Client
) -> None:
    change = {"update_config": {"delay": 30 * 10**9}, "image": "web:9"}
    operation = make_operation(service, kind="update", state="failed", change=change)
    path = f"/operations/{operation.id}/again/"
    assert "web:9" in body(admin.get(path))
    admin.post(path, {"step": "confirm", "version": service.version, "key": "k"})
    assert Operation.objects.exclude(pk=operation.pk).get().change == change


def test_every_state_has_a_shape_and_a_word_of_its_own() -> None:
    for kind, of_kind in looks.LOOKS.items():
        words = [look.word for look in of_kind.values()]
        assert len(set(words)) >= len(words) - 1, kind  # a node and its availability share one
        assert all(look.icon and look.word for look in of_kind.values())
    assert set(looks.LOOKS["operation"]) == set(Operation.State.values)
    assert set(looks.LOOKS["cluster"]) == set(Cluster.State.values)
