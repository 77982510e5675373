"""Raw objects of the Engine, read: what a service's tasks add up to, and what state it is in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from clusters import readings, specs
from clusters.readings import Health
from tests.unit.raw import Raw, service, spec, task

PENDING_ERROR = "no suitable node (scheduling constraints not satisfied on 1 node)"


def _health(tasks: list[Raw], nodes: tuple[str, ...] = ("n1",), **of: Any) -> Health:
    return readings.tally(service(**of), tasks, nodes).health


def _three(*tasks: Raw) -> list[Raw]:
    """These tasks, and enough that run to make three."""
    return [*tasks, *(task(slot=slot) for slot in range(len(tasks) + 1, 4))]


def test_tasks_that_run_are_counted_against_the_wanted() -> None:
    tally = readings.tally(service(), _three(), ["n1"])
    assert (tally.running, tally.desired, tally.health) == (3, 3, Health.RUNNING)
    assert (tally.last_error, tally.last_error_at) == ("", None)


def test_a_task_on_a_lost_node_claims_to_run_and_is_not_counted() -> None:
    tasks = _three(task(slot=1, node="lost"))
    tally = readings.tally(service(), tasks, ["n1"])
    assert (tally.running, tally.health) == (2, Health.STARTING)


def test_a_task_that_is_to_stop_is_not_counted_though_it_still_runs() -> None:
    tasks = [*_three(), task(slot=1, desired="shutdown", at="2026-01-01T00:00:30Z")]
    assert readings.tally(service(), tasks, ["n1"]).running == 3


def test_too_few_tasks_and_a_fresh_failure_is_failing() -> None:
    failed = task("failed", slot=1, desired="shutdown", error="task: non-zero exit (3)")
    tasks = _three(task("starting", slot=1), task(slot=2), task(slot=3)) + [failed]
    tally = readings.tally(service(), tasks, ["n1"])
    assert tally.health == Health.FAILING
    assert tally.last_error == "task: non-zero exit (3)"
    assert tally.last_error_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def test_the_last_error_is_the_newest() -> None:
    old = task("failed", desired="shutdown", error="old", at="2026-01-01T00:00:01Z")
    new = task("rejected", desired="shutdown", error="new", at="2026-01-01T00:00:02Z")
    assert readings.tally(service(), [new, old, *_three()], ["n1"]).last_error == "new"


def test_a_failure_in_a_slot_that_runs_again_is_history() -> None:
    failed = task("failed", slot=1, desired="shutdown", error="x", at="2026-01-01T00:00:01Z")
    assert _health([failed, *_three()]) == Health.RUNNING
    assert _health([failed, task(slot=1), task(slot=2), task("starting", slot=3)]) == (
        Health.STARTING
    )


def test_a_task_that_finds_no_node_is_pending_and_says_why() -> None:
    failed = task("failed", slot=1, desired="shutdown", error="x", at="2026-01-01T00:09:00Z")
    tasks = [failed, *_three(task("pending", error=PENDING_ERROR))]
    tally = readings.tally(service(), tasks, ["n1"])
    assert (tally.health, tally.last_error) == (Health.PENDING, PENDING_ERROR)


def test_a_task_that_just_waits_is_starting() -> None:
    for state in ("new", "pending", "assigned", "preparing", "starting"):
        assert _health(_three(task(state))) == Health.STARTING


def test_tasks_are_as_asked_by_number_and_by_template() -> None:
    asked = service()
    template = asked["Spec"]["TaskTemplate"]
    present = [{**one, "Spec": {**template, "Runtime": "container"}} for one in _three()]
    assert readings.as_asked(asked, present)
    ended = {**task("failed", desired="shutdown"), "Spec": {}}
    assert readings.as_asked(asked, [ended, *present])
    assert not readings.as_asked(asked, present[:2])
    assert not readings.as_asked(asked, [*present[:2], {**present[2], "Spec": {"ForceUpdate": 9}}])


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ("updating", Health.UPDATING),
        ("rollback_started", Health.UPDATING),
        ("paused", Health.PAUSED),
        ("rollback_paused", Health.PAUSED),
        ("completed", Health.RUNNING),
        ("rollback_completed", Health.RUNNING),
    ],
)
def test_a_rollout_shows(state: str, health: Health) -> None:
    assert _health(_three(), state=state) == health


def test_a_rollout_that_a_person_stopped_is_paused_though_swarm_calls_it_updating() -> None:
    assert _health(_three(), state="updating", spec=specs.held(spec())) == Health.PAUSED


def test_no_task_wanted_is_stopped() -> None:
    tally = readings.tally(service(spec=specs.scaled(spec(), 0)), [], ["n1"])
    assert (tally.desired, tally.health) == (0, Health.STOPPED)


@pytest.mark.parametrize("mode", ["ReplicatedJob", "GlobalJob"])
def test_a_job_that_is_done_is_complete(mode: str) -> None:
    job = service(spec={**spec(), "Mode": {mode: {}}}, status={"DesiredTasks": 0})
    done = task("complete", desired="complete")
    assert readings.tally(job, [done], ["n1"]).health == Health.COMPLETE


def test_a_job_that_has_not_begun_is_not_complete() -> None:
    job = service(spec={**spec(), "Mode": {"ReplicatedJob": {}}}, status={"DesiredTasks": 2})
    assert readings.tally(job, [], ["n1"]).health == Health.STARTING


def test_a_global_service_wants_what_swarm_says() -> None:
    everywhere = service(spec={**spec(), "Mode": {"Global": {}}}, status={"DesiredTasks": 2})
    tasks = [task(slot=0, node="n1"), task("preparing", slot=0, node="n2")]
    tally = readings.tally(everywhere, tasks, ["n1", "n2"])
    assert (tally.running, tally.desired, tally.health) == (1, 2, Health.STARTING)


def test_a_failure_of_a_global_service_is_told_by_its_node() -> None:
    everywhere = service(spec={**spec(), "Mode": {"Global": {}}}, status={"DesiredTasks": 2})
    failed = task("failed", slot=0, node="n2", desired="shutdown", error="x")
    tasks = [task(slot=0, node="n1"), task("ready", slot=0, node="n2", desired="ready"), failed]
    assert readings.tally(everywhere, tasks, ["n1", "n2"]).health == Health.FAILING


# --- Fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100000, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_the_engines_times_are_read(text: str | None, moment: datetime | None) -> None:
    assert readings.moment(text) == moment


def test_a_task_of_the_present_template_has_its_hash() -> None:
    """The Engine names the default runtime in a task's spec, and not in the service's."""
    template = spec()["TaskTemplate"]
    made = task()
    made["Spec"] = {**template, "Runtime": "container"}
    assert readings.task_fields(made)["template_hash"] == readings.template_hash(template)


def test_an_exit_code_is_that_of_a_task_that_has_ended() -> None:
    running, failed = task(), task("failed")
    for raw in (running, failed):
        raw["Status"]["ContainerStatus"] = {"ExitCode": 3, "ContainerID": "c"}
    assert readings.task_fields(running)["exit_code"] is None
    assert readings.task_fields(failed)["exit_code"] == 3


def test_the_smallest_objects_that_an_engine_gives_can_be_read() -> None:
    small: Raw = {
        "ID": "x",
        "Version": {"Index": 1},
        "Spec": {},
        "CreatedAt": "2026-01-01T00:00:00Z",
    }
    assert readings.node_fields(small)["state"] == "unknown"
    assert readings.task_fields(small)["state"] == "new"
    assert readings.network_fields({"Id": "x", "Name": "net", "Labels": None})["subnets"] == []


def test_what_an_engine_says_at_length_fits_its_column() -> None:
    """One node with a long version must not keep the whole cluster from being stored."""
    long: Raw = {
        "ID": "x",
        "Version": {"Index": 1},
        "Spec": {"Role": "worker", "Availability": "active"},
        "Status": {"State": "ready", "Addr": "a" * 300},
        "Description": {
            "Hostname": "h" * 300,
            "Engine": {"EngineVersion": "0.0.0-20260101123456-abcdef0123456789abcdef"},
            "Platform": {"OS": "o" * 80, "Architecture": "x" * 80},
        },
    }
    fields = readings.node_fields(long)
    widths = {"hostname": 255, "address": 64, "engine_version": 32, "platform": 64}
    assert all(len(fields[name]) <= width for name, width in widths.items())


@pytest.mark.parametrize(
    ("state", "desired", "settled"),
    [
        ("running", "running", True),
        ("running", "shutdown", False),
        ("starting", "running", False),
        ("shutdown", "shutdown", True),
        ("failed", "shutdown", True),
        ("complete", "complete", True),
        ("pending", "running", False),
    ],
)
def test_a_task_is_settled_when_no_change_is_due(state: str, desired: str, settled: bool) -> None:
    assert readings.settled(task(state, desired=desired)) is settled
