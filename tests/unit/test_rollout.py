"""How far a rollout is, read from the Engine's own objects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from clusters import specs
from clusters.operations import rollout
from clusters.operations.rollout import Rollout
from tests.unit.raw import Raw, service, spec, task

BEGAN = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
BEFORE, AFTER = "2026-01-01T00:00:59Z", "2026-01-01T00:01:01Z"
NODES = frozenset({"n1", "n2"})


def _new(state: str = "running", **of: Any) -> Raw:
    return task(state, image="lab/web:2", **of)


def _read(tasks: list[Raw], state: str = "updating", **of: Any) -> Rollout:
    raw = service(state, spec=of.pop("spec", None) or spec(Image="lab/web:2"))
    return rollout.read(raw, tasks, BEGAN, NODES, **of)


def test_tasks_of_the_new_template_are_counted() -> None:
    seen = _read([_new(slot=1), _new(slot=2), task(slot=3), _new("starting", slot=4)])
    assert (seen.new, seen.desired, seen.converged) == (2, 3, False)


def test_all_new_and_none_leaving_is_converged() -> None:
    tasks = [_new(slot=slot) for slot in (1, 2, 3)]
    assert _read(tasks, "completed").converged
    assert _read(tasks, "").converged
    assert not _read(tasks, "updating").converged
    assert not _read([*tasks, task(slot=1, desired="shutdown")], "completed").converged


def test_a_scale_down_that_swarm_has_not_begun_is_not_converged() -> None:
    """The engine accepts the spec before it marks the tasks that go."""
    eight = [_new(slot=slot) for slot in range(1, 9)]
    assert not _read(eight, "").converged


def test_a_scale_to_zero_ends_when_the_last_task_is_gone() -> None:
    none = specs.scaled(spec(Image="lab/web:2"), 0)
    assert not _read([_new()], "", spec=none).converged
    assert not _read([_new(desired="remove")], "", spec=none).converged
    assert _read([], "", spec=none).converged


def test_a_task_on_a_lost_node_neither_runs_nor_holds_the_rollout_up() -> None:
    """It claims to run for a day, though Swarm has long replaced it."""
    three = [_new(slot=slot) for slot in (1, 2, 3)]
    assert _read([*three, _new(slot=1, node="lost", desired="shutdown")], "completed").converged
    lost = [_new(slot=1, node="lost"), *three[1:]]
    assert _read(lost, "completed").new == 2


def test_a_global_service_is_converged_on_all_of_its_nodes() -> None:
    everywhere = {**spec(Image="lab/web:2"), "Mode": {"Global": {}}}
    tasks = [_new(slot=0, node="n1"), task(slot=0, node="n2")]
    seen = _read(tasks, "updating", spec=everywhere)
    assert (seen.new, seen.desired) == (1, 2)
    assert _read([tasks[0], _new(slot=0, node="n2")], "completed", spec=everywhere).converged


# --- Errors --------------------------------------------------------------------------------------


def _error(*tasks: Raw, **of: Any) -> str:
    return _read(list(tasks), **of).error


def test_the_error_is_the_newest_tasks_own() -> None:
    older = _new("failed", slot=1, error="first", at=AFTER)
    newer = _new("failed", slot=2, error="second", at="2026-01-01T00:02:00Z")
    assert _error(newer, older) == "Task 2: second"


@pytest.mark.parametrize(
    "stranger",
    [
        _new("failed", error="before the operation", at=BEFORE),
        task("failed", error="of the old template", at=AFTER),
        _new("shutdown", error="", at=AFTER),
    ],
)
def test_what_is_not_of_this_rollout_is_no_error_of_it(stranger: Raw) -> None:
    assert _error(stranger) == ""


def test_after_a_rollback_the_error_is_that_of_the_template_that_failed() -> None:
    failed = task("failed", image="lab/crash:1", error="task: non-zero exit (3)", at=AFTER)
    template = spec(Image="lab/crash:1")["TaskTemplate"]
    assert _error(failed, template=template) == "Task 1: task: non-zero exit (3)"
    assert _error(failed) == ""


def test_a_task_that_waits_in_vain_says_why() -> None:
    waiting = _new("pending", error="no suitable node", at=AFTER)
    assert _error(waiting) == "Task 1: no suitable node"
