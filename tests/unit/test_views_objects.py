"""The pages of secrets and configs: who sees what, and that no value comes back."""

import base64
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from access.authorize import Actor
from access.models import AuditEntry, Protection
from access.policy import Role
from clusters import fragments
from clusters.api import objects as api_objects
from clusters.changes import Content
from clusters.models import Cluster, Config, KeptSecret, Operation, Secret, Service
from clusters.operations import rotations
from clusters.ports import EngineUnreachable, Noun, Raw, Refused
from clusters.problems import NotFound
from clusters.selectors.objects import family, object_seen_by
from clusters.views import objects
from live.changes import Touched
from tests.unit.panel import (
    MARKS,
    browser_of,
    client_of,
    make_cluster,
    make_config,
    make_secret,
    make_service,
    make_user,
    mounted,
)

pytestmark = MARKS
CANARY = "canary-5f1c"
SECRETS, CONFIGS = "/clusters/local/secrets/", "/clusters/local/configs/"
PASSWORD = f"{SECRETS}password/"
LABELS = {"labels-TOTAL_FORMS": "0", "labels-INITIAL_FORMS": "0"}


class FakeEngine:
    """Takes whatever is created or removed, or fails as it is told."""

    def __init__(self) -> None:
        self.created: list[tuple[Noun, Raw]] = []
        self.removed: list[tuple[Noun, str]] = []
        self.failure: Exception | None = None

    def create(self, noun: Noun, spec: Raw) -> str:
        if self.failure:
            raise self.failure
        self.created.append((noun, spec))
        return "new-id"

    def remove(self, noun: Noun, object_id: str) -> None:
        if self.failure:
            raise self.failure
        self.removed.append((noun, object_id))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    for module in (objects, api_objects):
        monkeypatch.setattr(module, "engine_for", lambda cluster: fake)
        monkeypatch.setattr(module, "wake", lambda operation_id: None)
    return fake


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster()


@pytest.fixture
def admin() -> Client:
    return browser_of(make_user(Role.ADMIN))


def text(answer: Any) -> str:
    return answer.content.decode()


def consumer(cluster: Cluster, *found: Any, name: str = "web", **of: Any) -> Service:
    return make_service(cluster, name, **mounted(*found), **of)


# --- Who sees what -------------------------------------------------------------------------------

EVERY_PAGE = [
    SECRETS, PASSWORD, f"{PASSWORD}rotate/", f"{PASSWORD}remove/", "/clusters/local/new-secret/",
    "/clusters/local/kept-secrets/gone/put-back/", "/clusters/local/kept-secrets/gone/forget/",
    CONFIGS, f"{CONFIGS}settings/", f"{CONFIGS}settings/rotate/", f"{CONFIGS}settings/remove/",
    f"{CONFIGS}settings/compare/", f"{CONFIGS}settings/data/", "/clusters/local/new-config/",
]  # fmt: skip


def everything(cluster: Cluster, user: Any, **of: Any) -> None:
    make_secret(cluster, **of)
    make_config(cluster, **of)
    KeptSecret.objects.create(cluster=cluster, name="gone", sealed=b"x", kept_by=user, **of)


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_forbidden_equals_absent(cluster: Cluster, path: str) -> None:
    admin, viewer = make_user(Role.ADMIN), make_user(Role.VIEWER)
    everything(cluster, admin, stack="shop")
    assert browser_of(admin).get(path).status_code == 200
    assert browser_of(viewer).get(path).status_code == 404
    absent = browser_of(viewer).get(path.replace("password", "x").replace("settings", "x"))
    assert absent.status_code == 404
    foreign = browser_of(make_user(Role.SECRET_MANAGER, cluster="elsewhere"))
    assert foreign.get(path).status_code == 404


def test_a_grant_on_one_stack_shows_that_stack_alone(cluster: Cluster) -> None:
    make_secret(cluster, "ours", stack="shop")
    make_secret(cluster, "theirs", stack="bank")
    browser = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack="shop"))
    page = text(browser.get(SECRETS))
    assert "ours" in page and "theirs" not in page
    assert browser.get(f"{SECRETS}theirs/").status_code == 404
    assert browser.get(f"{SECRETS}theirs/rotate/").status_code == 404


def test_who_may_only_look_is_told_what_they_may_not_do(cluster: Cluster) -> None:
    make_secret(cluster)
    browser = browser_of(make_user(Role.ON_CALL))
    page = text(browser.get(PASSWORD))
    assert "Rotate" not in page and "Remove" not in page
    for path in (f"{PASSWORD}rotate/", f"{PASSWORD}remove/", "/clusters/local/new-secret/"):
        assert browser.get(path).status_code == 403
        assert browser.post(path, {"step": "preview", "value": "x"}).status_code == 403
    assert browser.get(CONFIGS).status_code == 404, "on-call sees no configs"


@pytest.mark.parametrize("path", [f"{PASSWORD}rotate/", "/clusters/local/new-secret/"])
def test_an_old_proof_is_no_proof(cluster: Cluster, engine: FakeEngine, path: str) -> None:
    make_secret(cluster)
    browser = Client()
    browser.force_login(make_user(Role.SECRET_MANAGER))
    answer = browser.post(path, {"step": "confirm", "name": "n", "value": CANARY, **LABELS})
    assert answer.status_code in (302, 403)
    assert not engine.created


def test_the_way_there_is_shown_to_those_who_may_go_it(cluster: Cluster, admin: Client) -> None:
    found = make_secret(cluster)
    consumer(cluster, found)
    assert f'href="{SECRETS}"' in text(admin.get("/clusters/local/"))
    assert f'href="{PASSWORD}"' in text(admin.get("/clusters/local/services/web/configuration/"))
    assert "Secrets of local" in text(admin.get("/palette/", {"q": "secrets"}))
    assert f'href="{PASSWORD}"' in text(admin.get("/palette/", {"q": "passw"}))
    viewer = browser_of(make_user(Role.VIEWER))
    assert f'href="{SECRETS}"' not in text(viewer.get("/clusters/local/"))
    page = text(viewer.get("/clusters/local/services/web/configuration/"))
    assert f'href="{PASSWORD}"' not in page
    assert "password" not in text(viewer.get("/palette/", {"q": "passw"}))


# --- Looking -------------------------------------------------------------------------------------


def test_the_table_tells_who_uses_it_and_finds_what_nobody_uses(
    cluster: Cluster, admin: Client
) -> None:
    used, unused = make_secret(cluster, "used"), make_secret(cluster, "unused", stack="shop")
    consumer(cluster, used, name="web")
    consumer(cluster, used, name="api")
    page = text(admin.get(SECRETS))
    assert "api, web" in page and "not used" in page
    narrowed = text(admin.get(SECRETS, {"used": "no"}))
    assert unused.name in narrowed and "api, web" not in narrowed
    assert "No secret matches" in text(admin.get(SECRETS, {"q": "nothing is called so"}))
    assert "api, web" in text(admin.get(SECRETS, {"q": "api"}))


def test_services_that_one_may_not_see_are_counted_and_not_named(cluster: Cluster) -> None:
    found = make_secret(cluster, stack="shop")
    consumer(cluster, found, name="shop_web", stack="shop")
    consumer(cluster, found, name="bank_core", stack="bank")
    browser = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack="shop"))
    for path in (SECRETS, PASSWORD):
        page = text(browser.get(path))
        assert "shop_web" in page and "bank_core" not in page
        assert "that you may not see" in page


def test_a_page_tells_how_each_service_mounts_it(cluster: Cluster, admin: Client) -> None:
    found = make_secret(cluster, labels={"team": "blue"})
    consumer(cluster, found)
    page = text(admin.get(PASSWORD))
    for told in ("/run/secrets/password", "33", "44", "0440", "team", "blue", "1 at a time"):
        assert told in page


def test_versions_of_a_family_stand_together(cluster: Cluster, admin: Client) -> None:
    for name in ("db", "db_v2", "db_v10", "dba"):
        make_secret(cluster, name)
    own = {"io.pilothouse.family": "db", "io.pilothouse.version": "11"}
    make_secret(cluster, "named-otherwise", labels=own)
    user = make_user(Role.ADMIN)
    newest = Secret.objects.get(name="db_v2")
    names = [found.name for found in family(user, newest)]
    assert names == ["named-otherwise", "db_v10", "db_v2", "db"]


def test_a_configs_text_is_inert_and_numbered(cluster: Cluster, admin: Client) -> None:
    make_config(cluster, data=b"<script>alert(1)</script>\nsecond")
    page = text(admin.get(f"{CONFIGS}settings/"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert 'data-line="2"></td><td class="text-line">second' in page


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\0b"])
def test_a_binary_config_says_that_it_is_one(cluster: Cluster, admin: Client, data: bytes) -> None:
    make_config(cluster, data=data)
    assert "This config is binary" in text(admin.get(f"{CONFIGS}settings/"))
    answer = admin.get(f"{CONFIGS}settings/data/")
    assert answer.content == data
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="settings"'


@pytest.mark.parametrize("view", ["unified", "split"])
def test_two_configs_are_compared(cluster: Cluster, admin: Client, view: str) -> None:
    make_config(cluster, "app_v1", b"same\nold line\n")
    make_config(cluster, "app_v2", b"same\nnew line\n")
    page = text(admin.get(f"{CONFIGS}app_v2/compare/", {"view": view}))  # the version before
    assert "removed: </span>old line" in page and "added: </span>new line" in page
    turned = text(admin.get(f"{CONFIGS}app_v1/compare/", {"with": "app_v2", "view": view}))
    assert "removed: </span>new line" in turned


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a\nb\n", "same content"),
        (b"\xff", "at least one of them is binary"),
        (b"a\r\nb\r\n", "in how lines end"),
        (b"x\n" * 3001, "more than 3,000 lines"),
    ],
)
def test_what_cannot_be_compared_says_why(
    cluster: Cluster, admin: Client, data: bytes, told: str
) -> None:
    make_config(cluster)
    make_config(cluster, "other", data)
    page = text(admin.get(f"{CONFIGS}settings/compare/", {"with": "other"}))
    assert told in page


# --- Creating ------------------------------------------------------------------------------------


def create(browser: Client, noun: str = "secret", **fields: Any) -> Any:
    form = {"name": "fresh", "value": CANARY, **LABELS, **fields}
    return browser.post(f"/clusters/local/new-{noun}/", form)


@pytest.mark.parametrize("noun", ["secret", "config"])
def test_a_value_goes_to_the_engine_and_the_trail_tells_of_it(
    cluster: Cluster, engine: FakeEngine, admin: Client, noun: Noun
) -> None:
    labels = {
        "labels-TOTAL_FORMS": "1", "labels-INITIAL_FORMS": "0",
        "labels-0-name": "team", "labels-0-value": "blue",
    }  # fmt: skip
    answer = create(admin, noun, stack="shop", value="one\r\ntwo\r\n", **labels)
    assert answer.status_code == 302
    ((created, spec),) = engine.created
    assert created == noun
    assert spec == {
        "Name": "fresh",
        "Labels": {"team": "blue", "com.docker.stack.namespace": "shop"},
        "Data": base64.b64encode(b"one\ntwo\n").decode(),
    }
    trail = AuditEntry.objects.filter(action=f"{noun}.write").order_by("id")
    assert [(e.phase, e.outcome, e.stack) for e in trail] == [
        ("intent", "", "shop"), ("result", "succeeded", "shop"),
    ]  # fmt: skip


def test_a_file_is_taken_byte_for_byte(cluster: Cluster, engine: FakeEngine, admin: Client) -> None:
    file = SimpleUploadedFile("key.bin", b"\0\xff\r\n")
    assert create(admin, value="", file=file).status_code == 302
    assert engine.created[0][1]["Data"] == base64.b64encode(b"\0\xff\r\n").decode()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"value": ""}, "Give a value, or a file"),
        ({"value": "x", "file": SimpleUploadedFile("f", CANARY.encode())}, "not both"),
        ({"value": "x" * 512_000}, "A secret holds at most 500 KB"),
        ({"value": "", "file": SimpleUploadedFile("f", b"")}, "cannot be empty"),
        ({"name": "a b"}, "A name has at most 64"),
        ({"name": "password"}, "There is a secret named password already"),
    ],
)
def test_what_is_wrong_is_said_and_the_value_is_not_given_back(
    cluster: Cluster, engine: FakeEngine, admin: Client, fields: dict[str, Any], told: str
) -> None:
    make_secret(cluster)
    answer = create(admin, **fields)
    assert answer.status_code == 422
    assert told in text(answer)
    assert CANARY not in text(answer) and "xxxx" not in text(answer)
    assert not engine.created


def test_all_that_is_missing_is_said_at_once(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    answer = create(admin, name="", value="")
    assert "This field is required." in text(answer)
    assert "Give a value, or a file." in text(answer)


@pytest.mark.parametrize(
    ("failure", "outcome", "told"),
    [
        (Refused("the name is taken"), "failed", "The engine refused: the name is taken"),
        (EngineUnreachable("tcp://a did not answer."), "interrupted", "is not known"),
    ],
)
def test_a_call_that_failed_is_told_and_audited(
    cluster: Cluster,
    engine: FakeEngine,
    admin: Client,
    failure: Exception,
    outcome: str,
    told: str,
) -> None:
    engine.failure = failure
    answer = create(admin, keep="on")
    assert answer.status_code == 422
    assert told in text(answer) and CANARY not in text(answer)
    assert [e.outcome for e in AuditEntry.objects.filter(target="fresh").order_by("id")] == [
        "", outcome,
    ]  # fmt: skip
    assert not KeptSecret.objects.exists()


def test_one_creates_in_ones_own_stack_alone(cluster: Cluster, engine: FakeEngine) -> None:
    browser = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack="shop"))
    assert 'value="shop"' in text(browser.get("/clusters/local/new-secret/"))
    assert create(browser, stack="").status_code in (403, 404)
    assert create(browser, stack="bank").status_code in (403, 404)
    assert create(browser, stack="shop").status_code == 302
    assert len(engine.created) == 1
    hidden = {
        "labels-TOTAL_FORMS": "1", "labels-INITIAL_FORMS": "0",
        "labels-0-name": "com.docker.stack.namespace", "labels-0-value": "bank",
    }  # fmt: skip
    assert create(browser, stack="shop", **hidden).status_code == 422
    assert len(engine.created) == 1


# --- Rotating ------------------------------------------------------------------------------------


def preview(browser: Client, path: str = PASSWORD, **fields: Any) -> Any:
    return browser.post(f"{path}rotate/", {"step": "preview", "value": CANARY, **fields})


def hidden(answer: Any, name: str) -> str:
    return text(answer).split(f'name="{name}" value="')[1].split('"')[0]


def confirm(browser: Client, shown: Any, path: str = PASSWORD, **fields: Any) -> Any:
    typed = {name: hidden(shown, name) for name in ("sealed", "key")}
    return browser.post(f"{path}rotate/", {"step": "confirm", **typed, **fields})


def test_a_rotation_from_the_new_value_to_the_operation(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    found = make_secret(cluster, stack="shop", labels={"team": "blue"})
    service = consumer(cluster, found, stack="shop")
    shown = preview(admin)
    page = text(shown)
    for told in ("password_v2", "web", "1 at a time; stop first; on failure pauses", "stack shop"):
        assert told in page
    assert CANARY not in page, "what was typed is not echoed"
    assert not engine.created, "a preview changes nothing"

    answer = confirm(admin, shown)
    operation = Operation.objects.get()
    assert answer.status_code == 302 and str(operation.pk) in answer["Location"]
    assert (operation.kind, operation.holds) == ("secret-rotate", [service.engine_id])
    ((_, spec),) = engine.created
    assert spec["Name"] == "password_v2"
    assert spec["Data"] == base64.b64encode(CANARY.encode()).decode()
    assert spec["Labels"]["io.pilothouse.operation"] == str(operation.pk)
    assert spec["Labels"]["team"] == "blue"
    assert "to password_v2" in text(admin.get(f"/operations/{operation.pk}/"))
    assert "rotating" in text(admin.get(SECRETS))

    confirm(admin, shown)  # a second click
    assert (Operation.objects.count(), len(engine.created)) == (1, 1)


def test_what_was_sealed_for_one_person_and_secret_is_of_no_use_elsewhere(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_secret(cluster)
    make_secret(cluster, "other")
    shown = preview(admin)
    assert confirm(admin, shown, f"{SECRETS}other/").status_code == 422
    assert confirm(browser_of(make_user(Role.ADMIN)), shown).status_code == 422
    answer = admin.post(f"{PASSWORD}rotate/", {"step": "confirm", "sealed": "nonsense"})
    assert answer.status_code == 422
    assert "give it again" in text(answer).lower()
    assert not engine.created and not Operation.objects.exists()


def test_an_engine_that_refuses_the_new_version_is_told_at_once(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_secret(cluster)
    shown = preview(admin)
    engine.failure = Refused("there is no room")
    answer = confirm(admin, shown)
    assert answer.status_code == 422
    assert "The engine refused: there is no room" in text(answer)
    operation = Operation.objects.get()
    assert (operation.state, AuditEntry.objects.latest("id").outcome) == ("failed", "failed")


def test_a_rotation_that_awaits_a_second_person_says_so_before(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_secret(cluster)
    assert "second person" not in text(preview(admin))
    Protection.objects.create(cluster=cluster.name)
    assert "once a second person has approved it" in text(preview(admin))


def test_a_config_is_edited_and_its_difference_shown(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_config(cluster, data=b"same\nold\n")
    path = f"{CONFIGS}settings/"
    assert "same\nold\n" in text(admin.get(f"{path}rotate/")), "one begins with what there is"
    shown = preview(admin, path, value="same\r\nnew\r\n")
    assert "added: </span>new" in text(shown)
    edited = admin.post(f"{path}rotate/", {"step": "edit", "sealed": hidden(shown, "sealed")})
    assert "same\nnew\n" in text(edited)
    same = preview(admin, path, value="same\r\nold\r\n")
    assert same.status_code == 422 and "nothing would change" in text(same)
    assert confirm(admin, shown, path).status_code == 302


def test_a_file_takes_the_place_of_a_text_that_nobody_touched(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_config(cluster, data=b"same\nold\n")
    path = f"{CONFIGS}settings/"
    file = SimpleUploadedFile("new.conf", b"same\nof a file\n")
    shown = preview(admin, path, value="same\r\nold\r\n", file=file)
    assert "added: </span>of a file" in text(shown)
    file.seek(0)
    both = preview(admin, path, value="same\r\ntyped\r\n", file=file)
    assert both.status_code == 422 and "the content or a file, not both" in text(both)


def test_what_was_typed_for_a_config_is_there_when_the_engine_refuses(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_config(cluster, data=b"old\n")
    path = f"{CONFIGS}settings/"
    shown = preview(admin, path, value="typed\n")
    engine.failure = Refused("there is no room")
    assert "typed\n</textarea>" in text(confirm(admin, shown, path))


def test_a_secrets_value_does_not_come_back_when_one_goes_back(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_secret(cluster)
    shown = preview(admin)
    back = {"step": "edit", "sealed": hidden(shown, "sealed"), "keep": "on"}
    edited = admin.post(f"{PASSWORD}rotate/", back)
    assert edited.status_code == 200
    assert CANARY not in text(edited)
    assert " checked" in text(edited), "what was ticked stays ticked"


def test_what_cannot_be_rotated_says_why(cluster: Cluster, admin: Client) -> None:
    make_secret(cluster, driver="vault")
    assert "comes from vault" in text(admin.get(f"{PASSWORD}rotate/"))
    found = make_secret(cluster, "other")
    service = consumer(cluster, found)
    service.spec["UpdateConfig"] = {"Delay": 87_600 * 3600 * 10**9}
    service.save()
    assert "stopped half way" in text(admin.get(f"{SECRETS}other/rotate/"))


def test_a_service_outside_of_ones_scope_is_not_changed(
    cluster: Cluster, engine: FakeEngine
) -> None:
    found = make_secret(cluster, stack="shop")
    consumer(cluster, found, name="bank_core", stack="bank")
    browser = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack="shop"))
    answer = preview(browser)
    assert answer.status_code == 403
    assert "bank_core" not in text(answer)
    assert not Operation.objects.exists()


def test_a_rotation_beyond_its_stack_is_seen_by_those_who_see_the_cluster(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    """Its steps name the services, which are not for the eyes of one stack's people."""
    found = make_secret(cluster, stack="shop")
    consumer(cluster, found, name="shop_web", stack="shop")
    consumer(cluster, found, name="bank_core", stack="bank")
    confirm(admin, preview(admin))
    operation = Operation.objects.get()
    browser = browser_of(make_user(Role.SECRET_MANAGER, cluster="local", stack="shop"))
    assert "bank_core" in text(admin.get(f"/operations/{operation.pk}/"))
    assert browser.get(f"/operations/{operation.pk}/").status_code == 404
    for path in ("/operations/", SECRETS, PASSWORD, "/clusters/local/services/shop_web/"):
        assert "bank_core" not in text(browser.get(path))


def test_a_careful_colleague_warns(cluster: Cluster, admin: Client) -> None:
    found = make_secret(cluster, stack="shop")
    consumer(cluster, found, health="failing")
    warnings = text(preview(admin))
    assert "another docker stack deploy goes back" in warnings
    assert "web is not well" in warnings


def test_a_rotation_is_seen_by_those_who_may_see_secrets(cluster: Cluster) -> None:
    user = make_user(Role.ADMIN)
    Operation.objects.create(
        kind="secret-rotate", cluster=cluster, target="password", target_id="secret:id-password",
        requested_by=user, holds=["id-web"], change={"version": "password_v2"},
        plan={"consumers": [], "old": {}, "new": {"name": "password_v2"}},
    )  # fmt: skip
    service = make_service(cluster)
    on_call, viewer = browser_of(make_user(Role.ON_CALL)), browser_of(make_user(Role.VIEWER))
    assert "password" in text(on_call.get("/operations/"))
    assert "password" not in text(viewer.get("/operations/"))
    path = f"/clusters/local/services/{service.name}/"
    assert "Rotate" in text(on_call.get(path)), "and stands on the page of each of its services"
    assert "password" not in text(viewer.get(path))


def test_a_service_that_is_rotated_is_busy_to_those_who_may_not_know_why(
    cluster: Cluster,
) -> None:
    Operation.objects.create(
        kind="config-rotate", cluster=cluster, target="settings", target_id="config:id-settings",
        requested_by=make_user(Role.ADMIN), holds=["id-web"],
    )  # fmt: skip
    make_service(cluster)
    browser = browser_of(make_user(Role.ON_CALL))
    form = {"replicas": "5", "version": "10", "step": "confirm"}
    answer = browser.post("/clusters/local/services/web/scale/", form)
    assert answer.status_code == 409
    assert "still under way" in text(answer) and "/operations/" in text(answer)
    assert Operation.objects.count() == 1


# --- Removing, and what is kept ------------------------------------------------------------------


def test_a_name_must_be_typed_to_remove(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    make_secret(cluster)
    assert admin.post(f"{PASSWORD}remove/", {"name": "passwort"}).status_code == 422
    assert not engine.removed
    assert admin.post(f"{PASSWORD}remove/", {"name": "password"}).status_code == 302
    assert engine.removed == [("secret", "id-password")]


def test_before_a_secret_is_removed_one_reads_what_becomes_of_its_value(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    secret = make_secret(cluster)
    assert "Its value is gone with it" in text(admin.get(f"{PASSWORD}remove/"))
    kept = {"cluster": cluster, "name": secret.name, "kept_by": make_user(Role.ADMIN)}
    KeptSecret.objects.create(**kept, sealed=b"x")
    assert "can be put back" in text(admin.get(f"{PASSWORD}remove/"))


def test_what_is_in_use_names_its_services(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    consumer(cluster, make_secret(cluster))
    assert "in use by web" in text(admin.get(f"{PASSWORD}remove/"))
    answer = admin.post(f"{PASSWORD}remove/", {"name": "password"})
    assert answer.status_code == 422
    assert not engine.removed


def test_a_kept_value_is_sealed_put_back_and_forgotten(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    create(admin, keep="on")
    kept = KeptSecret.objects.get()
    assert CANARY.encode() not in bytes(kept.sealed)
    assert "Kept, but not in the Swarm" in text(admin.get(SECRETS))
    back = "/clusters/local/kept-secrets/fresh/put-back/"
    assert admin.post(back).status_code == 302
    assert engine.created[1] == engine.created[0]
    forget = "/clusters/local/kept-secrets/fresh/forget/"
    assert admin.post(forget, {"name": "other"}).status_code == 422
    assert admin.post(forget, {"name": "fresh"}).status_code == 302
    assert not KeptSecret.objects.exists()
    assert admin.post(back).status_code == 404


def test_a_new_secret_of_the_name_takes_the_place_of_what_was_kept(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    create(admin, keep="on")
    create(admin, value="another")
    assert not KeptSecret.objects.exists(), "the first value is out of date"


def test_a_secret_that_is_there_cannot_be_put_back(cluster: Cluster, admin: Client) -> None:
    make_secret(cluster, "fresh")
    KeptSecret.objects.create(
        cluster=cluster, name="fresh", sealed=b"x", kept_by=make_user(Role.ADMIN)
    )
    assert "Kept, but not" not in text(admin.get(SECRETS))
    assert admin.post("/clusters/local/kept-secrets/fresh/put-back/").status_code == 404


def test_a_changed_key_is_said_when_one_puts_back(
    cluster: Cluster, engine: FakeEngine, admin: Client, settings: Any
) -> None:
    create(admin, keep="on")
    KeptSecret.objects.update(sealed=b"sealed by another key")
    answer = admin.post("/clusters/local/kept-secrets/fresh/put-back/")
    assert answer.status_code == 422
    assert "PILOTHOUSE_SECRET_KEY was changed" in text(answer)


# --- Live ----------------------------------------------------------------------------------------


def live(role: Role, topic: str, *touched: Touched, **scope: str) -> dict[str, str]:
    return fragments.render(make_user(role, **scope), topic, list(touched))


def test_a_row_is_pushed_to_those_who_may_see_it(cluster: Cluster) -> None:
    make_secret(cluster, stack="shop")
    topic, change = "objects:secret:local", Touched("local", "secret", "id-password")
    assert "password" in live(Role.ADMIN, topic, change)["object-id-password"]
    assert live(Role.VIEWER, topic, change) == {}
    foreign = live(Role.SECRET_MANAGER, topic, change, cluster="local", stack="bank")
    assert "id-password" not in json.dumps(foreign), "nor that there is one, nor that it moved"


def test_a_rotation_moves_its_row_and_its_page(cluster: Cluster) -> None:
    make_secret(cluster)
    change = Touched("local", "operation", "any", "secret:id-password")
    assert "object-id-password" in live(Role.ADMIN, "objects:secret:local", change)
    assert "object" in live(Role.ADMIN, "object:secret:local:id-password", change)
    other = Touched("local", "operation", "any", "id-web")
    assert live(Role.ADMIN, "object:secret:local:id-password", other) == {}


def test_a_page_whose_secret_was_replaced_leads_to_the_new_one(cluster: Cluster) -> None:
    Operation.objects.create(
        kind="secret-rotate", cluster=cluster, target="password", target_id="secret:id-password",
        state="succeeded", requested_by=make_user(Role.ADMIN),
        plan={"new": {"name": "password_v2"}},
    )  # fmt: skip
    change = Touched("local", "secret", "id-password")
    (gone,) = live(Role.ADMIN, "object:secret:local:id-password", change).values()
    assert "no longer in the Swarm" in gone and f'href="{SECRETS}password_v2/"' in gone


@pytest.mark.parametrize("topic", ["objects:nonsense:local", "object:secret", "objects:secret:x"])
def test_a_topic_that_makes_no_sense_shows_nothing(cluster: Cluster, topic: str) -> None:
    assert live(Role.ADMIN, topic, Touched("local", "secret", "id")) == {}


# --- No value in what is said of a failure -------------------------------------------------------


def test_a_body_that_makes_no_sense_is_refused_without_its_value(
    cluster: Cluster, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(Role.ADMIN)
    bodies: list[dict[str, Any]] = [
        {"name": "n", "value": CANARY, "value_base64": CANARY},
        {"name": "n", "value_base64": CANARY},
        {"name": "n", "value": [CANARY]},
        {"name": "n", "value": CANARY, "strange": CANARY},
        {"name": "a b", "value": CANARY},
        {"name": "n"},
    ]
    for body in bodies:
        answer = client.post("/clusters/local/configs", body)
        assert answer.status_code == 422, answer.content
        assert CANARY not in text(answer)
    assert CANARY not in caplog.text
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Content.model_validate({"value": CANARY, "value_base64": CANARY})
    assert CANARY not in repr(caught.value) and CANARY not in str(caught.value)
    assert CANARY not in repr(Content(value=CANARY))


def test_a_bug_of_ours_shows_no_value_even_to_developers(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: Any
) -> None:
    """Django's own page of a bug, with every frame and its variables."""
    settings.DEBUG = True

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("clusters.operations.making.labels_of", broken)
    monkeypatch.setattr(objects, "engine_for", lambda cluster: FakeEngine())
    browser = browser_of(make_user(Role.ADMIN))
    browser.raise_request_exception = False
    answer = create(browser)
    assert answer.status_code == 500
    page = text(answer)
    assert "a bug" in page
    at = page.find(CANARY)
    assert at < 0, page[max(0, at - 500) : at + 100]
    assert CANARY not in caplog.text


# --- The API -------------------------------------------------------------------------------------


def test_the_api_tells_consumers_versions_and_a_configs_data(cluster: Cluster) -> None:
    found = make_config(cluster)
    consumer(cluster, found)
    client = client_of(Role.OPERATOR)
    (row,) = client.get("/clusters/local/configs").json()["items"]
    assert (row["name"], row["used_by"], row["size"]) == ("settings", ["web"], 4)
    whole = client.get("/clusters/local/configs/settings").json()
    (mount,) = whole["consumers"]
    assert (mount["service"], mount["file"], mount["mode"]) == ("web", "settings", 0o440)
    assert [version["name"] for version in whole["versions"]] == ["settings"]
    data = client.get("/clusters/local/configs/settings/data").json()
    assert (data["text"], base64.b64decode(data["base64"])) == ("a\nb\n", b"a\nb\n")
    assert client.get("/clusters/local/configs", stack="shop").json()["total"] == 0


def test_the_api_rotates_a_config_once_per_key(cluster: Cluster, engine: FakeEngine) -> None:
    found = make_config(cluster)
    consumer(cluster, found)
    client = client_of(Role.OPERATOR)
    path, body = "/clusters/local/configs/settings/rotate", {"value": "new"}
    foreseen = client.post(f"{path}?dry_run=true", body).json()
    assert (foreseen["new_name"], foreseen["services"][0]["service"]) == ("settings_v2", "web")
    assert not engine.created and not Operation.objects.exists()
    first, second = (client.post(path, body, Idempotency_Key="k") for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert len(engine.created) == 1
    busy = client.post(path, {"value": "newer"})
    assert busy.status_code == 409
    assert len(engine.created) == 1


def test_the_api_of_a_browser_with_a_proof_writes_secrets(
    cluster: Cluster, engine: FakeEngine, admin: Client
) -> None:
    body = {"name": "fresh", "value_base64": base64.b64encode(b"\0").decode(), "keep": True}
    answer = admin.post("/api/v1/clusters/local/secrets", body, content_type="application/json")
    assert answer.status_code == 201
    assert answer["Location"] == "/api/v1/clusters/local/secrets/fresh"
    assert engine.created[0][1]["Data"] == "AA=="
    assert KeptSecret.objects.count() == 1
    make_secret(cluster)
    assert admin.delete("/api/v1/clusters/local/secrets/password").status_code == 204
    assert engine.removed == [("secret", "id-password")]


def test_rotating_needs_the_right_when_it_is_asked_for(cluster: Cluster) -> None:
    """Not only in the view: the operation itself asks."""
    found = make_secret(cluster)
    actor = Actor(make_user(Role.ON_CALL), "browser")
    with pytest.raises(Exception, match="does not allow"):
        rotations.request(actor, found, b"x", engine=FakeEngine(), wake=print)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        object_seen_by(make_user(Role.VIEWER), cluster, "secret", "password")
    assert not Operation.objects.exists()
    assert isinstance(make_config(cluster), Config)
