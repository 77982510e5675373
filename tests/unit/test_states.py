"""The states of an operation: one table, and no way round it."""

import itertools

import pytest

from clusters.models import Operation
from clusters.states import TRANSITIONS, sources

S = Operation.State


@pytest.mark.parametrize("state", [s for s in S if s not in Operation.OPEN])
def test_what_has_ended_has_ended(state: str) -> None:
    assert not TRANSITIONS[state]
    assert all(state not in sources(other) for other in S)


@pytest.mark.parametrize("state", Operation.ACTIVE)
def test_whatever_is_under_way_can_be_told_as_failed(state: str) -> None:
    assert state in sources(S.FAILED)


def test_every_state_can_be_reached_from_the_first() -> None:
    reached = {S.AWAITING}
    for _ in S:
        reached |= set(itertools.chain.from_iterable(TRANSITIONS[state] for state in reached))
    assert reached == set(S)


def test_nothing_succeeds_that_never_ran_nor_starts_again() -> None:
    assert set(sources(S.SUCCEEDED)) == {S.RUNNING, S.CANCELLING}
    assert sources(S.RUNNING) == [S.PENDING]
    assert sources(S.PENDING) == [S.AWAITING]
    assert sources(S.AWAITING) == []


def test_only_what_is_being_cancelled_or_waits_is_cancelled() -> None:
    """A running rollout is first `cancelling`: Swarm must be told."""
    assert set(sources(S.CANCELLED)) == {S.AWAITING, S.PENDING, S.CANCELLING}
    assert set(sources(S.CANCELLING)) == {S.AWAITING, S.PENDING, S.RUNNING}
