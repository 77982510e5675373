"""Rules of writing into a raw spec: only the asked-for paths change, and never the input."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clusters import specs
from clusters.changes import Limits, Reservations, Resources, RollbackConfig, RolloutConfig, Update
from clusters.ports import Noun
from tests.unit import raw
from tests.unit.raw import Raw, without

ENV = ("TaskTemplate", "ContainerSpec", "Env")
CHANGES: list[tuple[Update, list[tuple[str, ...]]]] = [
    (Update(image="lab/web:9"), [("TaskTemplate", "ContainerSpec", "Image")]),
    (Update(env={"A": "1", "B": None}), [ENV]),
    (Update(labels={"a": "1", "b": None}), [("Labels",)]),
    (Update(container_labels={"a": "1"}), [("TaskTemplate", "ContainerSpec", "Labels")]),
    (
        Update(constraints=["node.role == worker"]),
        [("TaskTemplate", "Placement", "Constraints")],
    ),
    (Update(constraints=[]), [("TaskTemplate", "Placement", "Constraints")]),
    (
        Update(resources=Resources(limits=Limits(cpus=1.5))),
        [("TaskTemplate", "Resources", "Limits", "NanoCPUs")],
    ),
    (
        Update(resources=Resources(reservations=Reservations(memory="1G"))),
        [("TaskTemplate", "Resources", "Reservations", "MemoryBytes")],
    ),
    (Update(update_config=RolloutConfig(parallelism=4)), [("UpdateConfig",)]),
    (Update(rollback_config=RollbackConfig(parallelism=4)), [("RollbackConfig",)]),
]


def _without(spec: Raw, paths: list[tuple[str, ...]]) -> Raw:
    for path in paths:
        spec = without(spec, *path)
    return spec


@pytest.mark.parametrize(("change", "paths"), CHANGES)
@given(spec=raw.specs())
def test_an_update_touches_its_own_paths_alone(
    spec: Raw, change: Update, paths: list[tuple[str, ...]]
) -> None:
    before = copy.deepcopy(spec)
    after = specs.updated(spec, change)
    assert spec == before
    assert _without(after, paths) == _without(before, paths)


@given(spec=raw.specs(raw.replicated), replicas=st.integers(0, 10_000))
def test_a_scale_changes_the_replicas_alone(spec: Raw, replicas: int) -> None:
    before = copy.deepcopy(spec)
    after = specs.scaled(spec, replicas)
    assert spec == before
    assert specs.replicas_of(after) == replicas
    assert specs.scaled(after, before["Mode"]["Replicated"]["Replicas"]) == before


@given(spec=raw.specs(raw.unscalable))
def test_what_has_no_replica_count_is_not_scaled(spec: Raw) -> None:
    assert specs.replicas_of(spec) is None
    with pytest.raises(specs.NotScalable, match="has no replica count"):
        specs.scaled(spec, 2)


@pytest.mark.parametrize("mode", [{}, {"Replicated": {}}, {"Replicated": None}])
def test_a_count_that_is_left_out_is_one_and_can_be_changed(mode: Raw) -> None:
    spec = {**raw.spec(), "Mode": mode}
    assert specs.replicas_of(spec) == 1
    assert specs.replicas_of(specs.scaled(spec, 4)) == 4


@given(spec=raw.specs())
def test_a_restart_changes_the_force_counter_alone(spec: Raw) -> None:
    before = copy.deepcopy(spec)
    after = specs.restarted(spec)
    assert spec == before
    counter = ("TaskTemplate", "ForceUpdate")
    assert without(after, *counter) == without(before, *counter)
    assert specs.replaces_tasks(before, after)


# --- Environment, labels, constraints ------------------------------------------------------------


def _updated_env(before: list[str], **change: str | None) -> Any:
    after = specs.updated(raw.spec(Env=before), Update(env=change))
    return after["TaskTemplate"]["ContainerSpec"].get("Env")


def test_changed_variables_keep_their_place_new_come_last_and_nulls_go() -> None:
    assert _updated_env(["A=1", "B=2", "C=3"], C="x", A=None, D="new") == ["B=2", "C=x", "D=new"]


def test_values_may_hold_equals_signs_and_be_empty() -> None:
    assert _updated_env(["A=x=y", "B"], C="a=b=c", B="") == ["A=x=y", "B=", "C=a=b=c"]


def test_an_environment_without_variables_is_left_out_as_the_engine_does() -> None:
    assert _updated_env(["A=1"], A=None) is None


@given(before=raw.env_lists, change=st.dictionaries(raw.names, raw.values | st.none(), min_size=1))
def test_an_environment_holds_what_was_asked_and_what_was_not_asked_for(
    before: list[str], change: dict[str, str | None]
) -> None:
    after = dict(entry.split("=", 1) for entry in _updated_env(before, **change) or [])
    kept = dict(entry.split("=", 1) for entry in before)
    assert after == {k: v for k, v in {**kept, **change}.items() if v is not None}


def test_labels_are_merged_so_that_the_stack_keeps_its_own() -> None:
    spec = {**raw.spec(), "Labels": {"com.docker.stack.namespace": "shop", "old": "1"}}
    after = specs.updated(spec, Update(labels={"new": "2", "old": None}))
    assert after["Labels"] == {"com.docker.stack.namespace": "shop", "new": "2"}


def test_constraints_are_replaced_and_what_else_places_the_tasks_stays() -> None:
    spec = raw.spec()
    spec["TaskTemplate"]["Placement"] = {"Constraints": ["node.role == worker"], "MaxReplicas": 2}
    after = specs.updated(spec, Update(constraints=["node.labels.disk == ssd"]))
    assert after["TaskTemplate"]["Placement"] == {
        "Constraints": ["node.labels.disk == ssd"],
        "MaxReplicas": 2,
    }
    assert specs.updated(spec, Update(constraints=[]))["TaskTemplate"]["Placement"] == {
        "MaxReplicas": 2
    }


# --- Resources and rollouts ----------------------------------------------------------------------


def _limited(present: Raw, **limits: Any) -> Any:
    spec = raw.spec()
    spec["TaskTemplate"]["Resources"] = {"Limits": present}
    change = Update(resources=Resources(limits=Limits(**limits)))
    return specs.updated(spec, change)["TaskTemplate"]["Resources"].get("Limits")


def test_an_amount_that_is_not_mentioned_stays_and_a_null_goes() -> None:
    present = {"NanoCPUs": 5 * 10**8, "MemoryBytes": 64, "Pids": 100}
    assert _limited(present, memory="128M", cpus=None) == {"MemoryBytes": 2**27, "Pids": 100}


def test_the_last_amount_takes_its_section_along() -> None:
    assert _limited({"Pids": 100}, pids=None) is None


def test_an_amount_of_zero_is_no_amount_as_for_the_engine() -> None:
    assert _limited({"Pids": 1, "MemoryBytes": 5}, memory=0) == {"Pids": 1}


def test_a_rollout_keeps_the_fields_that_are_not_mentioned() -> None:
    present = {"Parallelism": 3, "Delay": 7, "FutureField": "x"}
    spec = {**raw.spec(), "UpdateConfig": present}
    after = specs.updated(spec, Update(update_config=RolloutConfig(failure_action="rollback")))
    assert after["UpdateConfig"] == {**present, "FailureAction": "rollback"}


def test_a_rollout_is_written_as_the_engine_gives_it_back() -> None:
    """The Engine leaves out a delay or monitor of zero, and writes whole numbers without a point:
    were ours different, our own spec would not be recognised in its answer."""
    change = Update(
        update_config=RolloutConfig(delay="0s", monitor="0s", max_failure_ratio=0.0),
    )
    config = specs.updated(raw.spec(), change)["UpdateConfig"]
    assert config == {
        "Parallelism": 1,
        "FailureAction": "pause",
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    assert isinstance(config["MaxFailureRatio"], int)


def test_a_delay_can_be_taken_away() -> None:
    spec = {**raw.spec(), "UpdateConfig": {"Parallelism": 1, "Delay": 10**9}}
    after = specs.updated(spec, Update(update_config=RolloutConfig(delay=0)))
    assert after["UpdateConfig"] == {"Parallelism": 1}


# --- Going back ----------------------------------------------------------------------------------


@given(spec=raw.specs(raw.replicated), revision=raw.specs(raw.replicated))
def test_a_return_keeps_the_replica_count_or_restores_it(spec: Raw, revision: Raw) -> None:
    kept = specs.returned_to(spec, revision, keep_replicas=True)
    assert kept == specs.scaled(revision, specs.replicas_of(spec) or 0)
    assert specs.returned_to(spec, revision, keep_replicas=False) == revision


@given(spec=raw.specs(raw.replicated), revision=raw.specs(raw.unscalable))
def test_a_return_to_another_mode_has_no_count_to_keep(spec: Raw, revision: Raw) -> None:
    assert specs.returned_to(spec, revision, keep_replicas=True) == revision


def test_a_return_leaves_the_label_of_the_operation_that_wrote_the_revision() -> None:
    revision = specs.marked(raw.spec(), "an-old-operation")
    assert specs.operation_of(specs.returned_to(raw.spec(), revision, keep_replicas=True)) == ""


@given(spec=raw.specs())
def test_a_held_spec_tells_itself_and_differs_in_its_rollout_alone(spec: Raw) -> None:
    before = copy.deepcopy(spec)
    held = specs.held(spec)
    assert spec == before
    assert specs.is_held(held)
    assert not specs.is_held(spec)
    assert without(held, "UpdateConfig") == without(spec, "UpdateConfig")
    assert not specs.replaces_tasks(spec, held)


# --- What a change means -------------------------------------------------------------------------


@given(before=raw.specs(), after=raw.specs())
def test_specs_differ_exactly_if_a_difference_is_found(before: Raw, after: Raw) -> None:
    assert bool(specs.differences(before, after)) == (before != after)
    assert specs.differences(before, copy.deepcopy(before)) == []


@given(before=raw.specs(), after=raw.specs())
def test_differences_are_those_of_the_way_back_reversed(before: Raw, after: Raw) -> None:
    there, back = specs.differences(before, after), specs.differences(after, before)
    assert [(d.path, d.before, d.after) for d in there] == [
        (d.path, d.after, d.before) for d in back
    ]


@given(env=raw.env_lists)
def test_the_order_of_the_environment_is_a_difference_that_can_be_seen(env: list[str]) -> None:
    """It restarts the tasks, so it must not pass for "nothing would change"."""
    assume(len(env) > 1)
    found = specs.differences(raw.spec(Env=env), raw.spec(Env=env[::-1]))
    assert [d.path for d in found] == ["TaskTemplate.ContainerSpec.Env"]
    assert found[0].secret


def test_the_environment_is_compared_by_name() -> None:
    found = specs.differences(raw.spec(Env=["A=1", "B=2"]), raw.spec(Env=["A=1", "B=3", "C=4"]))
    assert [(d.path.rpartition(".")[2], d.before, d.after, d.secret) for d in found] == [
        ("B", "2", "3", True),
        ("C", None, "4", True),
    ]


@given(spec=raw.specs())
def test_the_label_of_an_operation_is_no_difference(spec: Raw) -> None:
    marked = specs.marked(spec, "b7b2")
    assert specs.operation_of(marked) == "b7b2"
    assert specs.differences(spec, marked) == []
    assert specs.spec_hash(spec) == specs.spec_hash(marked)
    assert not specs.replaces_tasks(spec, marked)


def test_the_label_is_none_in_a_spec_without_labels_either() -> None:
    spec = without(raw.spec(), "Labels")
    assert specs.differences(spec, specs.marked(spec, "b7b2")) == []
    assert specs.spec_hash(spec) == specs.spec_hash(specs.marked(spec, "b7b2"))


def test_the_identity_of_a_spec_does_not_depend_on_how_a_number_is_written() -> None:
    whole = {**raw.spec(), "UpdateConfig": {"MaxFailureRatio": 1}}
    point = {**raw.spec(), "UpdateConfig": {"MaxFailureRatio": 1.0}}
    assert specs.spec_hash(whole) == specs.spec_hash(point)


# --- Hiding --------------------------------------------------------------------------------------

SECRET = "hunter2-the-value"


@given(spec=raw.specs(), name=raw.names)
def test_no_value_of_the_environment_shows(spec: Raw, name: str) -> None:
    spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"{name}={SECRET}", SECRET + "="]
    before = copy.deepcopy(spec)
    shown = specs.redacted(spec)
    assert spec == before
    assert f"={SECRET}" not in repr(shown)
    assert [entry.split("=")[0] for entry in shown["TaskTemplate"]["ContainerSpec"]["Env"]] == [
        name,
        SECRET,
    ]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"TaskTemplate": None},
        {"TaskTemplate": {}},
        {"TaskTemplate": {"ContainerSpec": {}}},
        {"TaskTemplate": {"ContainerSpec": {"Env": ["A=2"]}}},
    ],
)
def test_every_difference_that_holds_a_value_is_marked_secret(other: Raw) -> None:
    spec = {"TaskTemplate": {"ContainerSpec": {"Env": [f"A={SECRET}"]}}}
    for found in (*specs.differences(spec, other), *specs.differences(other, spec)):
        assert found.secret or SECRET not in repr(found)


# --- Reading -------------------------------------------------------------------------------------


def test_an_image_is_named_without_the_digest() -> None:
    spec = raw.spec(Image="shop/web:2@sha256:" + "0" * 64)
    assert specs.image_of(spec) == "shop/web:2"


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ({"Replicated": {"Replicas": 2}}, "replicated"),
        ({"Global": {}}, "global"),
        ({"ReplicatedJob": {}}, "replicated-job"),
        ({"GlobalJob": {}}, "global-job"),
    ],
)
def test_the_mode_is_named_as_docker_names_it(mode: Raw, name: str) -> None:
    assert specs.mode_of({"Mode": mode}) == name


# --- Secrets and configs -------------------------------------------------------------------------


@given(raw.specs(), st.sampled_from(["secret", "config"]))
def test_a_rotation_changes_one_reference_and_nothing_else(spec: Raw, noun: Noun) -> None:
    title = noun.title()
    file = {"Name": "f", "UID": "1", "GID": "2", "Mode": 0o400, "FutureField": 1}
    given_refs = [
        {"File": file, f"{title}ID": "old", f"{title}Name": "name", "FutureField": {"a": 1}},
        {"File": file, f"{title}ID": "other", f"{title}Name": "other"},
        {"Runtime": {}, f"{title}ID": "old", f"{title}Name": "name"},
    ]
    spec["TaskTemplate"]["ContainerSpec"][f"{title}s"] = given_refs
    before = copy.deepcopy(spec)
    led = specs.rereferenced(spec, noun, "old", "new", "name_v2")
    assert spec == before, "the input is never changed"
    assert [r.id for r in specs.references(led, noun)] == ["new", "other", "new"]
    assert specs.rereferenced(led, noun, "new", "old", "name") == before, "and all the way back"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("db", ("db", 1)),
        ("db_v2", ("db", 2)),
        ("app.v10", ("app", 10)),
        ("v2", ("v2", 1)),
        ("key-2024", ("key-2024", 1)),
        ("db_v0", ("db_v0", 1)),
    ],
)
def test_a_name_tells_family_and_version(name: str, family: tuple[str, int]) -> None:
    assert specs.family_of(name, {}) == family
    own = {specs.FAMILY_LABEL: "mine", specs.VERSION_LABEL: "7"}
    assert specs.family_of(name, own) == ("mine", 7)
    assert specs.family_of(name, {**own, specs.VERSION_LABEL: "x"}) == family


def test_a_version_of_a_long_family_still_has_a_name_that_is_taken() -> None:
    name = specs.version_name("x" * 64, 12)
    assert (len(name), name.endswith("_v12")) == (64, True)
