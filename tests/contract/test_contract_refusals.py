"""What is refused, with which status and in which words."""

from typing import Any

import pytest

from tests.contract.swarm_api import Spec, SwarmApi, service_spec, unique

INVALID = "rpc error: code = InvalidArgument desc = "


def refused(swarm: SwarmApi, spec: Spec) -> tuple[int, str]:
    answer = swarm.post("/services/create", spec)
    return answer.status, answer.body.get("message", "accepted")


@pytest.mark.parametrize(
    ("replicas", "shown"),
    [
        (-1, "number -1"),
        (1.5, "number 1.5"),
        ("3", "string"),
        (True, "bool"),
        (2**64, f"number {2**64}"),
    ],
)
def test_replicas_that_are_no_count(swarm: SwarmApi, replicas: object, shown: str) -> None:
    mode = {"Replicated": {"Replicas": replicas}}

    status, message = refused(swarm, service_spec(Mode=mode))

    assert status == 400
    assert f"json: cannot unmarshal {shown} into Go struct field " in message
    assert message.endswith(".Mode.Replicated.Replicas of type uint64")


def test_replicas_that_overflow_a_signed_number(swarm: SwarmApi) -> None:
    message = INVALID + "Number of replicas must be non-negative"

    assert refused(swarm, service_spec(replicas=2**63)) == (400, message)


def test_scaling_to_a_negative_count_changes_nothing(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)
    before = swarm.service(service_id)

    answer = swarm.replace(before, before["Spec"] | {"Mode": {"Replicated": {"Replicas": -1}}})

    assert answer.status == 400
    assert swarm.service(service_id) == before


@pytest.mark.parametrize(
    "image",
    ["lower/UPPER", "a b", "img:bad tag", "http://x", "ok@sha256:123", "-bad", "a//b", "x" * 300],
)
def test_an_image_that_is_no_reference(swarm: SwarmApi, image: str) -> None:
    message = f'{INVALID}ContainerSpec: "{image}" is not a valid repository/tag'

    assert refused(swarm, service_spec(image)) == (400, message)


def test_no_image_at_all(swarm: SwarmApi) -> None:
    message = INVALID + "ContainerSpec: image reference must be provided"

    assert refused(swarm, service_spec("")) == (400, message)


@pytest.mark.parametrize("name", ["a b", "-x", "x-", "a.b"])
def test_a_name_that_no_dns_would_take(swarm: SwarmApi, name: str) -> None:
    message = INVALID + "name must be valid as a DNS name component"

    assert refused(swarm, service_spec(Name=name)) == (400, message)


def test_a_name_that_is_too_long(swarm: SwarmApi) -> None:
    message = INVALID + "name must be 63 characters or fewer"

    assert refused(swarm, service_spec(Name="x" * 64)) == (400, message)


def test_a_name_that_is_taken(swarm: SwarmApi) -> None:
    name = unique("taken")
    swarm.create(replicas=0, Name=name)

    assert refused(swarm, service_spec(Name=name)) == (
        409,
        "rpc error: code = AlreadyExists desc = name conflicts with an existing object: "
        f"service {name} already exists",
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"Mode": {"Global": {}, "Replicated": {"Replicas": 1}}},
            "must specify only one service mode",
        ),
        (
            {"UpdateConfig": {"FailureAction": "bogus"}},
            "unrecognized update failure action bogus",
        ),
        ({"UpdateConfig": {"Order": "bogus"}}, "unrecognized update order bogus"),
        (
            {"UpdateConfig": {"MaxFailureRatio": 2}},
            INVALID + "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
        ),
        (
            {"UpdateConfig": {"Monitor": -1}},
            INVALID + "TaskSpec: update-monitor cannot be negative",
        ),
        ({"UpdateConfig": {"Delay": -1}}, INVALID + "TaskSpec: update-delay cannot be negative"),
        ({"EndpointSpec": {"Mode": "bogus"}}, 'invalid resolution mode: "bogus"'),
        (
            {"EndpointSpec": {"Mode": "dnsrr", "Ports": [{"TargetPort": 80}]}},
            INVALID
            + "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
        ),
    ],
)
def test_settings_that_make_no_sense(swarm: SwarmApi, parts: Spec, message: str) -> None:
    assert refused(swarm, service_spec(**parts)) == (400, message)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"RestartPolicy": {"Condition": "bogus"}}, 'invalid RestartCondition: "bogus"'),
        ({"RestartPolicy": {"Delay": -1}}, INVALID + "TaskSpec: restart-delay cannot be negative"),
        (
            {"Resources": {"Limits": {"NanoCPUs": 1}}},
            INVALID + "invalid cpu value 1e-09: Must be at least 0.001",
        ),
        (
            {"Resources": {"Limits": {"MemoryBytes": 1}}},
            INVALID + "invalid memory value 1: Must be at least 4MiB",
        ),
    ],
)
def test_task_settings_that_make_no_sense(swarm: SwarmApi, task: Spec, message: str) -> None:
    assert refused(swarm, service_spec(task=task)) == (400, message)


@pytest.mark.parametrize("constraint", ["zone", "node.labels.zone=a"])
def test_a_constraint_without_operator(swarm: SwarmApi, constraint: str) -> None:
    spec = service_spec(task={"Placement": {"Constraints": [constraint]}})

    assert refused(swarm, spec) == (
        500,
        "rpc error: code = Unknown desc = constraint expected one operator from ==, !=",
    )


def test_a_secret_and_a_network_that_do_not_exist(swarm: SwarmApi) -> None:
    file = {"Name": "x", "UID": "0", "GID": "0", "Mode": 292}
    secret = {"File": file, "SecretID": "nowhere", "SecretName": "gone"}

    with_secret = refused(swarm, service_spec(container={"Secrets": [secret]}))
    with_network = refused(swarm, service_spec(task={"Networks": [{"Target": "nowhere"}]}))

    assert with_secret == (400, INVALID + "secret not found: gone")
    assert with_network == (500, "network nowhere not found")


def test_a_published_port_that_is_taken(swarm: SwarmApi) -> None:
    endpoint = {"Ports": [{"TargetPort": 80, "PublishedPort": 7778}]}
    first = service_spec(replicas=0, EndpointSpec=endpoint)
    first_id = swarm.create(first)

    assert refused(swarm, service_spec(replicas=0, EndpointSpec=endpoint)) == (
        400,
        f"{INVALID}port '7778' is already in use by service '{first['Name']}' ({first_id}) "
        "as an ingress port",
    )


@pytest.mark.parametrize("spec", [{"Name": "x"}, {"Name": "x", "TaskTemplate": {}}])
def test_a_spec_without_container(swarm: SwarmApi, spec: Spec) -> None:
    assert refused(swarm, spec) == (400, "mismatched Runtime and *Spec fields")


def test_a_body_that_is_no_spec(swarm: SwarmApi) -> None:
    nothing = "mismatched Runtime and *Spec fields" if swarm.modern else "got EOF while reading"
    assert nothing in swarm.post("/services/create").message
    assert swarm.post("/services/create", []).message.endswith(
        "json: cannot unmarshal array into Go value of type swarm.ServiceSpec"
    )


# Writing over a service


def test_a_stale_version_is_refused_and_changes_nothing(swarm: SwarmApi) -> None:
    service_id = swarm.create(replicas=0)
    stale = swarm.service(service_id)
    swarm.change(service_id, lambda spec: spec["Labels"].update(changed="meanwhile"))
    before = swarm.service(service_id)

    answer = swarm.replace(stale, stale["Spec"])

    assert answer.status == 500
    assert answer.message == "rpc error: code = Unknown desc = update out of sequence"
    assert swarm.service(service_id) == before


@pytest.mark.parametrize("version", ["", "abc", "-1"])
def test_a_version_that_is_no_number(swarm: SwarmApi, version: str) -> None:
    service = swarm.service(swarm.create(replicas=0))

    answer = swarm.replace(service, service["Spec"], version=version)

    assert answer.status == 400
    assert answer.message == (
        f"invalid service version '{version}': "
        f'strconv.ParseUint: parsing "{version}": invalid syntax'
    )


def test_updating_a_service_that_does_not_exist(swarm: SwarmApi) -> None:
    answer = swarm.post("/services/nowhere/update", service_spec(), version=1)

    assert (answer.status, answer.message) == (404, "service nowhere not found")


def test_deleting_a_service_that_does_not_exist(swarm: SwarmApi) -> None:
    answer = swarm.delete("/services/nowhere")

    assert (answer.status, answer.message) == (404, "service nowhere not found")


def change_of(swarm: SwarmApi, **parts: Any) -> tuple[int, str]:
    service = swarm.service(swarm.create(replicas=0))
    answer = swarm.replace(service, service["Spec"] | parts)
    return answer.status, answer.message


def test_a_service_cannot_be_renamed(swarm: SwarmApi) -> None:
    assert change_of(swarm, Name=unique("other")) == (
        501,
        "rpc error: code = Unimplemented desc = renaming services is not supported",
    )


def test_a_global_service_cannot_be_scaled(swarm: SwarmApi) -> None:
    service = swarm.service(swarm.create(Mode={"Global": {}}))

    answer = swarm.replace(service, service["Spec"] | {"Mode": {"Replicated": {"Replicas": 2}}})

    assert (answer.status, answer.message) == (
        501,
        "rpc error: code = Unimplemented desc = service mode change is not allowed",
    )


def test_a_replica_count_on_a_global_service_is_ignored(swarm: SwarmApi) -> None:
    service_id = swarm.create(Mode={"Global": {}})

    swarm.change(service_id, lambda spec: spec.update(Mode={"Global": {"Replicas": 2}}))

    assert swarm.service(service_id)["Spec"]["Mode"] == {"Global": {}}


def test_a_rollback_without_a_previous_spec(swarm: SwarmApi) -> None:
    service = swarm.service(swarm.create(replicas=0))

    answer = swarm.replace(service, service["Spec"], rollback="previous")

    assert (answer.status, answer.message) == (
        400,
        f"rpc error: code = FailedPrecondition desc = service {service['ID']} "
        "does not have a previous spec",
    )


def test_a_rollback_of_an_unknown_kind(swarm: SwarmApi) -> None:
    service = swarm.service(swarm.create(replicas=0))

    answer = swarm.replace(service, service["Spec"], rollback="bogus")

    assert (answer.status, answer.message) == (500, "unrecognized rollback option bogus")
