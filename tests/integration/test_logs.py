"""Logs of a real engine's tasks, over the WebSocket and the API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from access.models import ApiToken, Grant, User
from access.policy import Role, Scope
from access.tokens import find_token, issue_token
from clusters.changes import Restart
from clusters.models import Cluster, Node, Service
from tests.engines import wait_until
from tests.integration.flaky_link import FlakyLink
from tests.integration.log_socket import LogSocket
from tests.integration.panel import Panel, user

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore:No directory at:UserWarning")]

COUNT = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done"


def start(panel: Panel, script: str, replicas: int = 1, **container: Any) -> Service:
    return panel.start(replicas=replicas, container={"Command": ["sh", "-c", script], **container})


def socket(panel: Panel, service: Service, who: User | None = None, **query: Any) -> LogSocket:
    return LogSocket(who or panel.actor.user, panel.cluster.name, service.name, **query)


def read_api(service: Service, **query: Any) -> Any:
    token = issue_token(user(), "test")
    path = f"/api/v1/clusters/lab/services/{service.name}/logs"
    return Client().get(path, query, headers={"authorization": f"Bearer {token}"})


def test_lines_come_as_they_are_written_and_say_whose_they_are(panel: Panel) -> None:
    service = start(panel, COUNT, replicas=2)
    with socket(panel, service) as log:
        log.wait_for("line 3")
        wait_until(lambda: len({line["task"] for line in log.lines}) == 2, "both tasks speak")
        shown = len(log.lines)
        wait_until(lambda: len(log.lines) > shown + 4, "more lines come")
    assert {line["task"] for line in log.lines} == {f"{service.name}.1", f"{service.name}.2"}
    assert {line["node"] for line in log.lines} == {"node-1"}
    for task in {line["task_id"] for line in log.lines}:
        own = [line["text"] for line in log.lines if line["task_id"] == task]
        assert own == [f"line {n}" for n in range(1, len(own) + 1)], "none lost, none twice"


def test_streams_and_terminals(panel: Panel) -> None:
    both = start(panel, "echo out; echo err >&2; sleep 1000")
    with socket(panel, both) as log:
        log.wait_for("out")
        log.wait_for("err")
    assert {(line["text"], line["stream"]) for line in log.lines} == {
        ("out", "stdout"), ("err", "stderr"),
    }  # fmt: skip
    terminal = start(panel, "echo on a terminal; sleep 1000", TTY=True)
    with socket(panel, terminal) as log:
        log.wait_for("on a terminal")
    assert log.texts == ["on a terminal"]


def test_tail_since_and_task(panel: Panel) -> None:
    service = start(panel, "seq 1 50; sleep 3; echo later; sleep 1000", replicas=2)
    with socket(panel, service, tail=5) as log:
        log.wait_for("50")
        assert len(log.frames[0]["lines"]) == 5
    one = panel.swarm.running(service.engine_id)[0]["ID"]
    with socket(panel, service, task=one) as log:
        log.wait_for("later")
    assert {line["task_id"] for line in log.lines} == {one}
    with socket(panel, service, since=1) as log:
        wait_until(lambda: bool(log.frames), "the past is told")
        assert "50" not in log.texts


def test_tasks_that_replace_others_are_joined_and_those_that_end_have_their_last_word(
    panel: Panel,
) -> None:
    live = "echo hello from $HOSTNAME; while :; do sleep 0.1; done"
    script = f"trap 'echo last words; exit 0' TERM; {live}"
    service = start(panel, script, replicas=2, StopSignal="SIGTERM")
    with socket(panel, service) as log:
        wait_until(lambda: len(log.lines) == 2, "two tasks say hello")
        operation = panel.request(service, Restart())
        while operation.active:
            panel.step(operation)
            panel.look()

        def all_said() -> bool:
            panel.look()
            return len(set(log.texts) - {"last words"}) == 4 and log.texts.count("last words") == 2

        wait_until(all_said, "four tasks said hello, two said good-bye", 30)
    assert len(log.lines) == 6


def test_a_task_that_failed_is_read_after_its_end(panel: Panel) -> None:
    container = {"Image": "lab/web:1", "Command": ["sh", "-c", "echo why; exit 3"]}
    template = {"ContainerSpec": container, "RestartPolicy": {"Condition": "none"}}
    service = panel.swarm.create(task=template)
    panel.swarm.task_in(service, "failed")
    panel.look()
    row = Service.objects.get(engine_id=service)
    with socket(panel, row) as log:
        log.wait_for("why")
    answer = read_api(row)
    assert answer["Content-Type"] == "application/jsonl"
    assert [json.loads(line)["text"] for line in answer.content.splitlines()] == ["why"]


def test_a_long_line_is_whole_up_to_its_mark(panel: Panel) -> None:
    service = start(panel, "head -c 40000 /dev/zero | tr '\\0' x; echo; echo after; sleep 1000")
    with socket(panel, service) as log:
        log.wait_for("after")
    text = log.texts[0]
    assert text.startswith("x" * 4000)
    assert text.endswith("… (36,000 more characters)")


def test_a_flood_neither_grows_nor_hides_the_end(panel: Panel) -> None:
    service = start(panel, "sleep 2; seq 1 60000; echo the end; sleep 1000")
    with socket(panel, service) as log:
        log.wait_for("the end", 60)
    assert len(log.lines) < 60_000
    assert any("left out" in notice for notice in log.notices)


def test_a_node_that_is_not_ready_is_named_at_once(panel: Panel) -> None:
    service = start(panel, COUNT)
    Node.objects.update(state="down")
    with socket(panel, service) as log:
        log.wait_for("node-1 is not ready")
        assert not log.lines
        Node.objects.update(state="ready")
        log.wait_for("line 3")
    Node.objects.update(state="down")
    notices = [json.loads(line) for line in read_api(service).content.splitlines()]
    assert [notice["node"] for notice in notices] == ["node-1"]


# --- Who may look, and for how long --------------------------------------------------------------


def test_nobody_is_refused_before_the_socket_opens(panel: Panel) -> None:
    with LogSocket(None, "lab", "web") as log:
        log.wait_closed(4401)
    assert not log.accepted


def test_a_viewer_without_the_right_is_told_so(panel: Panel) -> None:
    service = start(panel, COUNT)
    with socket(panel, service, user("eye", Role.VIEWER)) as log:
        log.wait_closed(4403)
    assert not log.lines
    stranger = user("stranger", Role.OPERATOR, cluster="elsewhere")
    with socket(panel, service, stranger) as log:
        log.wait_closed(4404)


def test_what_is_not_there_is_told_so(panel: Panel) -> None:
    service = start(panel, COUNT)
    with socket(panel, service, task="nope") as log:
        log.wait_closed(4404)
    with LogSocket(panel.actor.user, "lab", "ghost") as log:
        log.wait_closed(4404)
    with socket(panel, service, tail="many") as log:
        log.wait_closed(4400)


@pytest.mark.parametrize("ending", ["grant", "user", "session"])
def test_a_socket_ends_with_the_right_to_it(panel: Panel, ending: str) -> None:
    service = start(panel, COUNT)
    with socket(panel, service) as log:
        log.wait_for("line 2")
        if ending == "grant":
            Grant.objects.all().delete()
        elif ending == "user":
            User.objects.update(is_active=False)
        else:
            log.session.delete()
        log.wait_closed(4404 if ending == "grant" else 4401)


def with_token(panel: Panel, **of: Any) -> User:
    """The panel's user as a program that came with a token."""
    token = find_token(issue_token(panel.actor.user, "t", **of))
    assert token is not None
    return token.user


@pytest.mark.parametrize(("ending", "code"), [("revoked", 4401), ("expired", 4401), ("role", 4403)])
def test_a_programs_log_ends_with_its_token_within_a_second(
    panel: Panel, ending: str, code: int
) -> None:
    service = start(panel, COUNT)
    with socket(panel, service, with_token(panel)) as log:
        log.wait_for("line 2")
        now = timezone.now()
        changes: dict[str, dict[str, Any]] = {
            "revoked": {"revoked_at": now}, "expired": {"expires_at": now},
            "role": {"role": Role.VIEWER},
        }  # fmt: skip
        ApiToken.objects.update(**changes[ending])
        log.wait_closed(code)
        assert (timezone.now() - now).total_seconds() < 1
        shown = len(log.lines)
    assert len(log.lines) == shown


def test_a_token_of_another_place_opens_no_log(panel: Panel) -> None:
    service = start(panel, COUNT)
    with socket(panel, service, with_token(panel, scope=Scope("elsewhere"))) as log:
        log.wait_closed(4404)
    assert log.lines == []


def test_a_service_that_is_removed_closes_its_log(panel: Panel) -> None:
    service = start(panel, COUNT)
    with socket(panel, service) as log:
        log.wait_for("line 2")
        panel.swarm.remove_services()
        panel.look()
        log.wait_closed(4404)


# --- Bad days ------------------------------------------------------------------------------------


@pytest.fixture
def link(panel: Panel) -> Iterator[FlakyLink]:
    """The way to the engine, for logs."""
    link = FlakyLink(panel.cluster.addresses[0])
    link.connect()
    Cluster.objects.update(addresses=[link.url])
    yield link
    link.close()


def test_an_engine_that_hangs_is_named_and_read_again_when_it_answers(
    panel: Panel, link: FlakyLink, settings: Any
) -> None:
    settings.ENGINE_TIMEOUT = 1.0
    service = start(panel, COUNT)
    with link.silence():
        answer = read_api(service)
        assert answer.status_code == 503
        assert "no answer within 1 s" in answer.json()["detail"]
    with link.silence(), socket(panel, service) as log:
        log.wait_for("no answer within 1 s")
    with socket(panel, service) as log:
        log.wait_for("line 3")


def test_a_log_goes_on_where_the_connection_broke(panel: Panel, link: FlakyLink) -> None:
    service = start(panel, COUNT)
    with socket(panel, service) as log:
        log.wait_for("line 3")
        link.cut()
        log.wait_for("cannot be reached")
        link.connect()
        shown = len(log.lines)
        wait_until(lambda: len(log.lines) > shown + 3, "the log goes on")
    assert log.texts == [f"line {n}" for n in range(1, len(log.texts) + 1)]
