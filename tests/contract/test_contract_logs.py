"""The logs of services and tasks."""

import struct
import time
from collections.abc import Iterator

import pytest

from tests.contract.swarm_api import SwarmApi
from tests.engines import wait_until

STDOUT, STDERR, SYSTEM = 1, 2, 3
LINES = [f"line {number}\n" for number in (1, 2, 3)]
LAST = "that was all\n"
Frames = list[tuple[int, str]]


def frames_of(content: bytes) -> Frames:
    """The stream and the text of each 8-byte-headed frame."""
    frames = []
    while content:
        stream, length = struct.unpack(">BxxxL", content[:8])
        frames.append((stream, content[8 : 8 + length].decode()))
        content = content[8 + length :]
    return frames


def raw_logs(swarm: SwarmApi, path: str, **query: object) -> bytes:
    url = f"{swarm.docker.base_url}{path}/logs"
    response = swarm.docker.get(url, params=query, timeout=10)
    assert response.status_code == 200, response.text
    return bytes(response.content)


def logs(swarm: SwarmApi, path: str, **query: object) -> Frames:
    return frames_of(raw_logs(swarm, path, **query))


@pytest.fixture(scope="module")
def talkative(api: SwarmApi) -> Iterator[str]:
    """A service of two tasks, each of which has said what it has to say."""
    service_id = api.start(image="lab/log:1", replicas=2, container={"Env": ["LAB_LINES=3"]})
    path = f"/services/{service_id}"
    wait_until(
        lambda: [text for _, text in logs(api, path, stderr=1)] == [LAST, LAST],
        "both tasks have said everything",
    )
    yield service_id
    api.delete(path)


def test_frames_tell_stdout_from_stderr(api: SwarmApi, talkative: str) -> None:
    path = f"/services/{talkative}"

    assert sorted(logs(api, path, stdout=1)) == sorted([(STDOUT, line) for line in LINES] * 2)
    assert logs(api, path, stderr=1) == [(STDERR, LAST)] * 2


def test_a_task_has_logs_of_its_own_in_order(api: SwarmApi, talkative: str) -> None:
    task_id = api.tasks(talkative)[0]["ID"]

    assert logs(api, f"/tasks/{task_id}", stdout=1) == [(STDOUT, line) for line in LINES]


def test_tail_counts_lines_of_each_task(api: SwarmApi, talkative: str) -> None:
    path = f"/services/{talkative}"

    assert len(logs(api, path, stdout=1, stderr=1, tail=1)) == 2
    assert len(logs(api, path, stdout=1, stderr=1, tail="all")) == 8
    assert logs(api, path, stdout=1, stderr=1, tail=0) == []


def test_timestamps_are_in_nanoseconds(api: SwarmApi, talkative: str) -> None:
    _, text = logs(api, f"/services/{talkative}", stderr=1, timestamps=1)[0]

    stamp, rest = text.split(" ", 1)
    assert rest == LAST
    assert len(stamp) == len("2026-01-01T00:00:00.000000000Z")
    assert stamp.endswith("Z")


def test_details_name_node_service_and_task(api: SwarmApi, talkative: str) -> None:
    task = api.tasks(talkative)[0]

    ((_, text),) = logs(api, f"/tasks/{task['ID']}", stderr=1, details=1)

    assert text == (
        f"com.docker.swarm.node.id={task['NodeID']},"
        f"com.docker.swarm.service.id={talkative},"
        f"com.docker.swarm.task.id={task['ID']} {LAST}"
    )


def test_timestamp_comes_before_details(api: SwarmApi, talkative: str) -> None:
    _, text = logs(api, f"/services/{talkative}", stderr=1, details=1, timestamps=1)[0]

    assert text.split(" ")[1].startswith("com.docker.swarm.node.id=")


def test_since_leaves_out_what_was_said_before(api: SwarmApi, talkative: str) -> None:
    path = f"/services/{talkative}"

    assert logs(api, path, stdout=1, since=int(time.time()) + 1) == []
    assert len(logs(api, path, stdout=1, since=0)) == 6


def test_following_shows_lines_as_they_are_said(swarm: SwarmApi) -> None:
    environment = ["LAB_LINES=4", "LAB_LINE_INTERVAL=0.5"]
    service_id = swarm.start(image="lab/log:1", container={"Env": environment})
    url = f"{swarm.docker.base_url}/services/{service_id}/logs"
    response = swarm.docker.get(
        url, params={"stdout": 1, "stderr": 1, "follow": 1}, stream=True, timeout=20
    )

    content = b""
    for chunk in response.iter_content(None):
        content += chunk
        if LAST.encode() in content:
            break
    response.close()

    texts = [text for _, text in frames_of(content)]
    assert texts == ["line 1\n", "line 2\n", "line 3\n", "line 4\n", LAST]


def test_a_terminal_has_no_frames(swarm: SwarmApi) -> None:
    service_id = swarm.start(image="lab/log:1", container={"Env": ["LAB_LINES=1"], "TTY": True})
    path = f"/services/{service_id}"

    wait_until(lambda: LAST.strip().encode() in raw_logs(swarm, path, stdout=1), "the last line")

    assert raw_logs(swarm, path, stdout=1, stderr=1) == b"line 1\r\nthat was all\r\n"


def test_a_service_without_tasks_has_empty_logs(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)

    assert logs(swarm, f"/services/{service_id}", stdout=1) == []


def test_a_task_that_was_never_scheduled_is_complained_about(swarm: SwarmApi) -> None:
    nowhere = {"Placement": {"Constraints": ["node.labels.zone==nowhere"]}}
    service_id = swarm.create(task=nowhere)
    wait_until(lambda: bool(swarm.tasks(service_id)), "the task exists")
    (task,) = swarm.tasks(service_id)

    assert logs(swarm, f"/tasks/{task['ID']}", stdout=1) == [
        (
            SYSTEM,
            "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log "
            "stream. some logs could not be retrieved for the following reasons: "
            f"task {task['ID']} has not been scheduled\n",
        )
    ]


@pytest.mark.parametrize("kind", ["service", "task"])
def test_logs_of_what_does_not_exist(swarm: SwarmApi, kind: str) -> None:
    answer = swarm.get(f"/{kind}s/nowhere/logs", stdout=1)

    assert (answer.status, answer.message) == (404, f"{kind} nowhere not found")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "Bad parameters: you must choose at least one stream"),
        ({"stdout": 1, "tail": "x"}, 'tail value must be a positive integer or "all"'),
        ({"stdout": 1, "tail": -1}, "negative tail values not supported"),
        (
            {"stdout": 1, "since": "abc"},
            'could not parse since timestamp: strconv.ParseInt: parsing "abc": invalid syntax',
        ),
    ],
)
def test_logs_that_are_asked_for_wrongly(
    swarm: SwarmApi, query: dict[str, object], message: str
) -> None:
    service_id = swarm.create(replicas=0)

    answer = swarm.get(f"/services/{service_id}/logs", **query)

    assert (answer.status, answer.message) == (500, message)
