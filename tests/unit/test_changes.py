"""What may be asked of a service, and what is refused before anything is done."""

from typing import Any

import pytest
from pydantic import ValidationError

from clusters.changes import Restart, Rollback, RolloutConfig, Scale, Update


def _refused(model: Any, **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    return str(caught.value)


# --- Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [0, 1, 10_000])
def test_a_replica_count_is_a_whole_number(replicas: int) -> None:
    assert Scale(replicas=replicas).replicas == replicas


NO_COUNTS: list[Any] = [-1, 2**64, 2**63, "3", "", 1.0, 1.5, True, None, [], float("nan")]


@pytest.mark.parametrize("replicas", [*NO_COUNTS, 10_001])
def test_what_is_no_replica_count_is_refused(replicas: Any) -> None:
    _refused(Scale, replicas=replicas)


def test_a_scale_names_its_count() -> None:
    _refused(Scale)


@pytest.mark.parametrize("parallelism", [*NO_COUNTS, 10_001, 2**63 + 1])
def test_a_parallelism_that_would_crash_an_engine_is_refused(parallelism: Any) -> None:
    """A real dockerd panics on 2⁶³ updaters at a time: it must never get the number."""
    _refused(RolloutConfig, parallelism=parallelism)
    _refused(Update, update_config={"parallelism": parallelism})
    _refused(Update, rollback_config={"parallelism": parallelism})


@pytest.mark.parametrize("revision", [0, -1, "1", 1.0, True])
def test_a_revision_is_a_number_from_one(revision: Any) -> None:
    _refused(Rollback, revision=revision)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, True, float("nan"), float("inf"), "much"])
def test_a_failure_ratio_is_between_zero_and_one(ratio: Any) -> None:
    _refused(RolloutConfig, max_failure_ratio=ratio)


@pytest.mark.parametrize(
    "limits",
    [
        {"cpus": -1},
        {"cpus": float("inf")},
        {"cpus": float("nan")},
        {"cpus": "many"},
        {"cpus": True},
        {"memory": "12Q"},
        {"memory": -1},
        {"memory": 2**63},
        {"memory": []},
        {"memory": 1.5},
        {"memory": True},
        {"pids": -1},
        {"pids": 2**40},
        {"pids": True},
        {"swap": 1},
    ],
)
def test_amounts_out_of_bounds_are_refused(limits: Any) -> None:
    _refused(Update, resources={"limits": limits})


@pytest.mark.parametrize(
    "delay", ["-1s", "1000000h", "9" * 400, "ten", [], {}, None, True, float("inf")]
)
def test_durations_out_of_bounds_are_refused(delay: Any) -> None:
    _refused(RolloutConfig, delay=delay)
    _refused(RolloutConfig, monitor=delay)


def test_durations_and_amounts_are_taken_in_dockers_units() -> None:
    change = Update(
        update_config={"delay": "1m30s"}, resources={"limits": {"memory": "1.5G", "cpus": 0.5}}
    )
    assert change.update_config is not None
    assert change.update_config.delay == 90 * 10**9
    assert (change.resources.limits.memory, change.resources.limits.cpus) == (3 * 2**29, 0.5)


# --- Images --------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "image",
    [
        "web",
        "web:1",
        "lab/web:1.2.3-rc.1_x",
        "a/b/c/d:latest",
        "registry.example.net/web",
        "registry.example.net:5000/shop/web:2",
        "localhost:5000/web",
        "[2001:db8::1]:5000/web:1",
        f"web@{DIGEST}",
        f"registry:5000/shop/web:2@{DIGEST}",
        "my__image/a-b--c.d_e",
        "Registry.Example.NET/web",
        "web:" + "t" * 128,
    ],
)
def test_image_references_are_accepted(image: str) -> None:
    assert Update(image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        "Web",
        "shop/Web:1",
        "web:",
        ":1",
        "web:1:2",
        "web::1",
        "web:-1",
        "web:" + "t" * 129,
        "web@sha256:123",
        "web@",
        "/web",
        "web/",
        "shop//web",
        "-web",
        "web-",
        "my___image",
        "web image",
        "web\n",
        "web:1\n--privileged",
        "web\0",
        "wéb",
        "web:tág",
        "web:١",
        "http://registry.example.net/web",
        "$(reboot)",
        "a" * 513,
        "a/" * 200_000,
        "a-" * 200_000,
        7,
        ["web"],
    ],
)
def test_what_is_no_image_reference_is_refused(image: Any) -> None:
    if image == "web\n":  # the ends are trimmed: people paste
        assert Update(image=image).image == "web"
        return
    _refused(Update, image=image)


# --- Constraints, environment, labels ------------------------------------------------------------


@pytest.mark.parametrize(
    "constraint",
    [
        "node.role == manager",
        "node.role==worker",
        "node.id != 2ivku8v2gvtg4",
        "node.hostname == node-1",
        "node.platform.os == linux",
        "node.platform.arch == x86_64",
        "node.labels.zone == eu-west-1",
        "node.labels.com.example/disk == ssd",
        "engine.labels.kernel == 6.1",
        "node.labels.note == two words",
    ],
)
def test_constraints_are_accepted(constraint: str) -> None:
    assert Update(constraints=[constraint]).constraints == [constraint]


@pytest.mark.parametrize(
    "constraint",
    [
        "",
        "node.role",
        "node.role = manager",
        "node.role === ",
        "node.role ==",
        "role == manager",
        "node.labels. == x",
        "node.labels.a b == x",
        "node.role == manager\0",
        "node.role == manager\nnode.id == x",
        "node.role > 3",
        "node.labels.zoné == x",
        7,
        None,
    ],
)
def test_what_is_no_constraint_is_refused(constraint: Any) -> None:
    _refused(Update, constraints=[constraint])


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"A": "x\0"}, {"A": 7}, []])
def test_what_is_no_variable_is_refused(env: Any) -> None:
    _refused(Update, env=env)


@pytest.mark.parametrize("labels", [{"": "x"}, {"a\0": "x"}, {"a": "x\0"}, {"a": 7}])
def test_what_is_no_label_is_refused(labels: Any) -> None:
    _refused(Update, labels=labels)
    _refused(Update, container_labels=labels)


def test_nobody_writes_the_panels_own_label() -> None:
    """It tells a panel that comes back which write was its own."""
    assert "cannot be used" in _refused(Update, labels={"io.pilothouse.operation": "x"})
    assert "cannot be used" in _refused(Update, labels={"io.pilothouse.operation": None})


# --- The whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Scale, Update, Rollback, Restart])
def test_unknown_fields_are_refused(model: Any) -> None:
    assert "Extra inputs" in _refused(model, replicas=1, image="web", colour="red")


def test_an_update_asks_for_something() -> None:
    assert "asks for no change" in _refused(Update)
    assert "asks for no change" in _refused(Update, version=7)


@pytest.mark.parametrize("version", ["7", 7.0, True])
def test_a_version_is_a_whole_number(version: Any) -> None:
    _refused(Restart, version=version)


def test_a_rollback_cannot_end_in_a_rollback() -> None:
    _refused(Update, rollback_config={"failure_action": "rollback"})


def test_what_was_asked_is_told_without_what_was_left_out() -> None:
    change = Update(image="web:2", update_config={"delay": "2s"}, version=7)
    assert change.asked() == {"image": "web:2", "update_config": {"delay": 2 * 10**9}}
    assert Rollback().asked() == {}
