"""What becomes of a spec between its writing and its reading."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.specs import References, create_references, full_spec, remove_references
from tests.contract.swarm_api import SECOND, Spec, SwarmApi, service_spec


@pytest.fixture(scope="module")
def references(api: SwarmApi) -> Iterator[References]:
    references = create_references(api)
    yield references
    remove_references(api, references)


def test_a_minimal_spec_is_given_its_normal_form(swarm: SwarmApi) -> None:
    container = {"Image": "lab/web:1"}
    service = swarm.service(swarm.create({"TaskTemplate": {"ContainerSpec": container}}))

    name = service["Spec"].pop("Name")
    assert name
    assert service["Spec"] == {
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "lab/web:1", "Isolation": "default"},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    assert "PreviousSpec" not in service
    assert "UpdateStatus" not in service
    assert service["Endpoint"] == {"Spec": {}}


def test_defaults_are_shown_on_request_and_not_stored(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)

    shown = swarm.get(f"/services/{service_id}", insertDefaults="true").body["Spec"]

    update = {
        "Parallelism": 1,
        "FailureAction": "pause",
        "Monitor": 5 * SECOND,
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    assert shown["UpdateConfig"] == shown["RollbackConfig"] == update
    assert shown["TaskTemplate"]["RestartPolicy"] == {
        "Condition": "any",
        "Delay": 5 * SECOND,
        "MaxAttempts": 0,
    }
    assert shown["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 10 * SECOND
    assert "UpdateConfig" not in swarm.service(service_id)["Spec"]


def test_every_field_is_returned_as_it_was_sent(swarm: SwarmApi, references: References) -> None:
    spec = full_spec(references, replicas=2)

    assert swarm.service(swarm.create(spec))["Spec"] == spec


def test_scaling_changes_replicas_and_nothing_else(swarm: SwarmApi, references: References) -> None:
    spec = full_spec(references, replicas=2)
    service_id = swarm.create(spec)
    swarm.settle(service_id)

    swarm.scale(service_id, 3)

    service = swarm.service(service_id)
    expected = copy.deepcopy(spec)
    expected["Mode"]["Replicated"]["Replicas"] = 3
    assert service["Spec"] == expected
    assert service["PreviousSpec"] == spec


def test_rare_fields_survive_an_update_and_a_rollback(
    swarm: SwarmApi, references: References
) -> None:
    spec = full_spec(references, replicas=0)
    service_id = swarm.create(spec)
    swarm.settle(service_id)

    swarm.set_image(service_id, "lab/web:2")
    updated = swarm.service(service_id)["Spec"]
    swarm.change(service_id, lambda spec: None, rollback="previous")

    expected = copy.deepcopy(spec)
    expected["TaskTemplate"]["ContainerSpec"]["Image"] = "lab/web:2"
    assert updated == expected
    assert swarm.service(service_id)["Spec"] == spec


EMPTY_FIELDS: Spec = {
    "Command": [],
    "Args": None,
    "Hostname": "",
    "Env": [],
    "Dir": "",
    "User": "",
    "TTY": False,
    "ReadOnly": False,
    "Hosts": [],
    "Secrets": [],
    "Mounts": [],
    "Sysctls": {},
    "CapabilityAdd": [],
    "Labels": {},
}


def test_empty_fields_are_left_out(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0, container=EMPTY_FIELDS)

    stored = swarm.service(service_id)["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert stored == {"Image": "lab/web:1", "Isolation": "default"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"Resources": {"Limits": {"NanoCPUs": 0}}}, {"Resources": {"Limits": {}}}),
        ({"Placement": {"Constraints": [], "MaxReplicas": 0}}, {"Placement": {}}),
        ({"RestartPolicy": {}}, {"RestartPolicy": {"Condition": "any", "MaxAttempts": 0}}),
        (
            {"RestartPolicy": {"Condition": "none", "Delay": 0}},
            {"RestartPolicy": {"Condition": "none", "Delay": 0, "MaxAttempts": 0}},
        ),
    ],
)
def test_parts_of_the_template_have_a_normal_form(
    swarm: SwarmApi, given: Spec, stored: Spec
) -> None:
    service_id = swarm.create(replicas=0, task=given)

    template = swarm.service(service_id)["Spec"]["TaskTemplate"]
    assert {name: template[name] for name in stored} == stored


def test_an_empty_update_config_means_all_at_once(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0, UpdateConfig={})

    assert swarm.service(service_id)["Spec"]["UpdateConfig"] == {
        "Parallelism": 0,
        "FailureAction": "pause",
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }


def test_a_published_port_is_assigned_and_the_service_given_an_address(swarm: SwarmApi) -> None:
    service_id = swarm.start(EndpointSpec={"Ports": [{"TargetPort": 80}]})

    service = swarm.service(service_id)
    declared = {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}
    assert service["Spec"]["EndpointSpec"] == {"Mode": "vip", "Ports": [declared]}
    (port,) = service["Endpoint"]["Ports"]
    assert port == declared | {"PublishedPort": port["PublishedPort"]}
    assert port["PublishedPort"] >= 30000
    assert len(service["Endpoint"]["VirtualIPs"]) == 1


def test_managers_write_to_a_new_service_that_joins_a_network(
    swarm: SwarmApi, references: References
) -> None:
    """So a version read right after the creation may be stale already."""
    networks = [{"Target": references.network_id}]
    service_id = swarm.create(replicas=0, task={"Networks": networks})

    service = swarm.settle(service_id)

    assert service["UpdatedAt"] > service["CreatedAt"]
    assert "PreviousSpec" not in service
    assert "UpdateStatus" not in service
    assert service["Endpoint"]["VirtualIPs"][0]["NetworkID"] == references.network_id


def test_a_network_given_by_name_is_stored_by_id(swarm: SwarmApi, references: References) -> None:
    network = swarm.get(f"/networks/{references.network_id}").body
    service_id = swarm.create(replicas=0, task={"Networks": [{"Target": network["Name"]}]})

    stored = swarm.service(service_id)["Spec"]["TaskTemplate"]["Networks"]
    assert stored == [{"Target": network["Id"]}]


@pytest.mark.parametrize(
    ("mode", "stored"),
    [
        ({}, {"Replicated": {"Replicas": 1}}),
        ({"Replicated": {}}, {"Replicated": {"Replicas": 1}}),
        ({"Replicated": {"Replicas": 0}}, {"Replicated": {"Replicas": 0}}),
        ({"Global": {}}, {"Global": {}}),
        ({"Global": {"Replicas": 3}}, {"Global": {}}),
        ({"ReplicatedJob": {}}, {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}),
    ],
)
def test_modes_have_a_normal_form(swarm: SwarmApi, mode: Spec, stored: dict[str, Any]) -> None:
    # An image whose tasks end: a real engine forgets to stop those of a removed job.
    spec = service_spec("lab/crash:1", container={"Env": ["LAB_EXIT_CODE=0"]})
    service_id = swarm.create(spec | {"Mode": mode})

    assert swarm.service(service_id)["Spec"]["Mode"] == stored
