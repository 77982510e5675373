"""A spec with every field that the engine knows survives our operations: nothing is changed but
what was asked for, and nothing but our own label is added."""

import copy
from collections.abc import Iterator

import pytest

from clusters.changes import (
    Limits,
    Reservations,
    Resources,
    Restart,
    Rollback,
    RolloutConfig,
    Scale,
    ServiceChange,
    Update,
)
from clusters.models import Operation, Revision, Service
from clusters.ports import Raw
from clusters.specs import OPERATION_LABEL
from tests.contract.specs import create_references, full_spec, remove_references
from tests.integration.panel import Panel

State = Operation.State


@pytest.fixture(params=["panel", "simulated_panel"])
def any_panel(request: pytest.FixtureRequest) -> Panel:
    """Beside the real engine, and beside the simulated one."""
    panel: Panel = request.getfixturevalue(request.param)
    return panel


@pytest.fixture
def full(any_panel: Panel) -> Iterator[Service]:
    """A service with every field, and without tasks: what it asks for runs nowhere."""
    references = create_references(any_panel.swarm)
    spec = full_spec(references, replicas=0)
    any_panel.swarm.create(spec)
    yield any_panel.service(spec["Name"])
    remove_references(any_panel.swarm, references)


def _do(panel: Panel, name: str, change: ServiceChange) -> Raw:
    """The engine's spec after the change, our label left out."""
    service = panel.service(name)
    operation = panel.do(service, change)
    assert operation.state == State.SUCCEEDED, operation.error
    written = panel.swarm.service(service.engine_id)["Spec"]
    assert written["Labels"][OPERATION_LABEL] == str(operation.pk)
    assert written == {
        **operation.after,
        "Labels": written["Labels"],
    }, "the engine gives back what was foreseen"
    return panel.raw(service)


def test_every_field_survives_every_operation(any_panel: Panel, full: Service) -> None:
    expected = copy.deepcopy(any_panel.raw(full))
    container = expected["TaskTemplate"]["ContainerSpec"]

    def holds_after(change: ServiceChange) -> None:
        assert _do(any_panel, full.name, change) == expected

    expected["TaskTemplate"]["ForceUpdate"] += 1
    holds_after(Restart())

    container["Image"] = "lab/web:2"
    container["Env"] = ["A=2", "EMPTY=", "NEW=x"]
    container["Labels"]["added"] = "1"
    expected["Labels"] |= {"mine": "y"}
    holds_after(
        Update(
            image="lab/web:2",
            env={"A": "2", "NEW": "x"},
            labels={"mine": "y"},
            container_labels={"added": "1"},
        )
    )

    expected["TaskTemplate"]["Resources"]["Limits"] |= {"NanoCPUs": 750_000_000}
    del expected["TaskTemplate"]["Resources"]["Limits"]["Pids"]
    expected["TaskTemplate"]["Resources"]["Reservations"]["MemoryBytes"] = 8 << 20
    expected["TaskTemplate"]["Placement"]["Constraints"] = ["node.labels.disk == ssd"]
    holds_after(
        Update(
            resources=Resources(
                limits=Limits(cpus=0.75, pids=None), reservations=Reservations(memory="8M")
            ),
            constraints=["node.labels.disk == ssd"],
        )
    )

    expected["UpdateConfig"] |= {"Parallelism": 2, "MaxFailureRatio": 1}
    del expected["UpdateConfig"]["Delay"]
    holds_after(
        Update(update_config=RolloutConfig(parallelism=2, delay="0s", max_failure_ratio=1.0))
    )


def test_a_rollback_restores_every_field(any_panel: Panel, full: Service) -> None:
    before = any_panel.raw(full)
    assert any_panel.do(full, Update(image="lab/web:2", env={"A": None})).state == State.SUCCEEDED
    assert _do(any_panel, full.name, Rollback()) == before
    assert any_panel.do(full := any_panel.service(full.name), Update(image="lab/web:3")).result
    first = Revision.objects.filter(service_engine_id=full.engine_id).last()
    assert first is not None
    assert _do(any_panel, full.name, Rollback(revision=first.number)) == before


def test_every_field_survives_scaling(any_panel: Panel, full: Service) -> None:
    """Its tasks can run nowhere, so only the spec is looked at: the scale itself goes on."""
    expected = copy.deepcopy(any_panel.raw(full))
    expected["Mode"]["Replicated"]["Replicas"] = 2
    operation = any_panel.request(full, Scale(replicas=2))
    any_panel.step_until(operation, lambda: operation.accepted_version is not None)
    assert any_panel.raw(full) == expected


def test_emptied_sections_are_given_back_as_they_were_foreseen(panel: Panel) -> None:
    """An update to a service without these sections, and their removal again."""
    service = panel.start(replicas=0)
    added = Update(
        env={"A": "1"},
        constraints=["node.role == manager"],
        resources=Resources(limits=Limits(memory="64M", cpus=0.5, pids=99)),
        container_labels={"a": "b"},
    )
    _do(panel, service.name, added)
    removed = Update(
        env={"A": None},
        constraints=[],
        resources=Resources(limits=Limits(memory=None, cpus=0, pids=None)),
        container_labels={"a": None},
    )
    _do(panel, service.name, removed)


def test_sections_that_were_missing_are_written_out_in_full(panel: Panel) -> None:
    service = panel.start(replicas=0, UpdateConfig=None, RollbackConfig=None)
    written = _do(panel, service.name, Update(update_config=RolloutConfig(parallelism=2)))
    assert written["UpdateConfig"]["Parallelism"] == 2
    assert written["UpdateConfig"]["FailureAction"] == "pause"
