"""What the Engine says no with, as one of our errors: older ones tell by the text alone."""

import pytest
import requests
from docker.errors import APIError

from clusters.adapters.docker_engine import _translated
from clusters.ports import (
    EngineError,
    EngineUnreachable,
    EngineUnsupported,
    NoLeader,
    NotInSwarmMode,
    ObjectMissing,
    Refused,
    StaleVersion,
)

SEQUENCE = "rpc error: code = Unknown desc = update out of sequence"
NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few"
    " managers are online."
)
NO_MANAGER = 'This node is not a swarm manager. Use "docker swarm init" to create one.'


def _error(status: int, text: str) -> EngineError:
    response = requests.Response()
    response.status_code = status
    return _translated("unix:///x", APIError(text, response, text), 5.0)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (500, SEQUENCE, StaleVersion),
        (409, SEQUENCE, StaleVersion),
        (500, NO_LEADER, NoLeader),
        (503, NO_LEADER, NoLeader),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", NoLeader),
        (500, "rpc error: code = Unavailable desc = connection error", NoLeader),
        (500, "rpc error: code = Unknown desc = raft: node lost leader status", NoLeader),
        (503, NO_MANAGER, NotInSwarmMode),
        (404, "service web not found", ObjectMissing),
        (
            400,
            "client version 1.30 is too old. Minimum supported API version is 1.44",
            EngineUnsupported,
        ),
        (400, "invalid memory value 1: Must be at least 4MiB", Refused),
        (409, "rpc error: code = AlreadyExists desc = name conflicts", Refused),
        (500, "something else", Refused),
    ],
)
def test_a_refusal_is_told_by_its_kind(status: int, text: str, kind: type[EngineError]) -> None:
    assert type(_error(status, text)) is kind


def test_a_refusal_keeps_the_engines_own_words() -> None:
    assert str(_error(400, "invalid memory value 1")) == "invalid memory value 1"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ReadTimeout("x"), "unix:///x did not answer within 5 s"),
        (requests.ConnectTimeout("x"), "unix:///x did not answer within 5 s"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "cannot be reached: Connection refused",
        ),
    ],
)
def test_silence_is_no_refusal(error: Exception, words: str) -> None:
    told = _translated("unix:///x", error, 5.0)
    assert type(told) is EngineUnreachable
    assert words in str(told)
