"""Secrets, configs and networks."""

import base64

import pytest

from tests.contract.swarm_api import Spec, SwarmApi, service_spec, unique
from tests.engines import wait_for

INVALID = "rpc error: code = InvalidArgument desc = "
DATA = base64.b64encode(b"hello").decode()
KINDS = pytest.mark.parametrize("kind", ["secret", "config"])


def create(swarm: SwarmApi, kind: str, **fields: object) -> Spec:
    """Create a secret or config and answer it as it is read."""
    spec = {"Name": unique(kind), "Data": DATA} | fields
    answer = swarm.post(f"/{kind}s/create", spec)
    assert answer.status == 201, answer.body
    return dict(swarm.get(f"/{kind}s/{answer.body['ID']}").body)


def update(swarm: SwarmApi, kind: str, found: Spec, spec: Spec, version: object = None) -> object:
    path = f"/{kind}s/{found['ID']}/update"
    answer = swarm.post(path, spec, version=version or found["Version"]["Index"])
    return answer.status, answer.body["message"] if answer.body else ""


def test_a_secret_is_never_read_back(swarm: SwarmApi) -> None:
    secret = create(swarm, "secret", Labels={"a": "b"})

    assert secret["Spec"] == {"Name": secret["Spec"]["Name"], "Labels": {"a": "b"}}


def test_a_config_is_read_back(swarm: SwarmApi) -> None:
    config = create(swarm, "config")

    assert config["Spec"] == {"Name": config["Spec"]["Name"], "Labels": {}, "Data": DATA}


@KINDS
def test_they_are_found_by_name_and_label(swarm: SwarmApi, kind: str) -> None:
    found = create(swarm, kind, Labels={"purpose": "search"})
    name = found["Spec"]["Name"]

    assert swarm.get(f"/{kind}s/{name}").body == found
    assert swarm.get(f"/{kind}s", filters={"name": [name]}).body == [found]
    assert found in swarm.get(f"/{kind}s", filters={"label": ["purpose=search"]}).body


@KINDS
def test_a_name_is_given_once(swarm: SwarmApi, kind: str) -> None:
    name = create(swarm, kind)["Spec"]["Name"]

    answer = swarm.post(f"/{kind}s/create", {"Name": name, "Data": DATA})

    assert (answer.status, answer.message) == (
        409,
        f"rpc error: code = AlreadyExists desc = {kind} {name} already exists",
    )


@KINDS
def test_labels_can_be_changed(swarm: SwarmApi, kind: str) -> None:
    found = create(swarm, kind, Labels={"a": "b"})

    answer = update(swarm, kind, found, found["Spec"] | {"Labels": {"c": "d"}})

    assert answer == (200, "")
    changed = swarm.get(f"/{kind}s/{found['ID']}").body
    assert changed["Spec"] == found["Spec"] | {"Labels": {"c": "d"}}
    assert changed["Version"]["Index"] > found["Version"]["Index"]


@KINDS
def test_nothing_but_labels_can_be_changed(swarm: SwarmApi, kind: str) -> None:
    found = create(swarm, kind)
    refused = (400, INVALID + "only updates to Labels are allowed")

    other_data = base64.b64encode(b"other").decode()
    assert update(swarm, kind, found, found["Spec"] | {"Data": other_data}) == refused
    assert update(swarm, kind, found, found["Spec"] | {"Name": unique("other")}) == refused


@KINDS
def test_a_stale_version_is_refused(swarm: SwarmApi, kind: str) -> None:
    found = create(swarm, kind)
    update(swarm, kind, found, found["Spec"] | {"Labels": {"c": "d"}})

    assert update(swarm, kind, found, found["Spec"]) == (
        500,
        "rpc error: code = Unknown desc = update out of sequence",
    )
    assert update(swarm, kind, found, found["Spec"], version="x") == (
        400,
        f"invalid {kind} version",
    )


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("secret", {"Data": DATA}, INVALID + "name must be provided"),
        ("config", {"Data": DATA}, INVALID + "name must be provided"),
        ("secret", {"Name": "x", "Data": "!!"}, "illegal base64 data at input byte 0"),
        (
            "secret",
            {"Name": "x"},
            INVALID + "secret data must be larger than 0 and less than 512000 bytes",
        ),
        (
            "config",
            {"Name": "x"},
            INVALID + "config data must be larger than 0 and less than 1024000 bytes",
        ),
        (
            "secret",
            {"Name": "a b", "Data": DATA},
            INVALID + "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and "
            "end character must be [a-zA-Z0-9]",
        ),
    ],
)
def test_what_makes_no_secret_or_config(
    swarm: SwarmApi, kind: str, spec: Spec, message: str
) -> None:
    answer = swarm.post(f"/{kind}s/create", spec)

    assert answer.status == 400
    assert answer.message.endswith(message)


@KINDS
def test_what_is_in_use_is_not_removed(swarm: SwarmApi, kind: str) -> None:
    found, title = create(swarm, kind), kind.title()
    name = found["Spec"]["Name"]
    file = {"Name": "/given", "UID": "0", "GID": "0", "Mode": 292}
    reference = {"File": file, f"{title}ID": found["ID"], f"{title}Name": name}
    spec = service_spec(replicas=0, container={f"{title}s": [reference]})
    service_id = swarm.create(spec)

    answer = swarm.delete(f"/{kind}s/{found['ID']}")

    assert (answer.status, answer.message) == (
        400,
        f"{INVALID}{kind} '{name}' is in use by the following service: {spec['Name']}",
    )
    swarm.delete(f"/services/{service_id}")
    assert swarm.delete(f"/{kind}s/{found['ID']}").status == 204
    assert swarm.get(f"/{kind}s/{found['ID']}").status == 404


# Networks


def create_network(swarm: SwarmApi, **fields: object) -> Spec:
    spec = {"Name": unique("network"), "Driver": "overlay"} | fields
    answer = swarm.post("/networks/create", spec)
    assert answer.status == 201, answer.body

    def allocated() -> Spec | None:
        """A moment after its creation managers give it a driver and addresses."""
        network: Spec = swarm.get(f"/networks/{answer.body['Id']}").body
        return network if network["Driver"] else None

    return wait_for(allocated, "the network is allocated")


def test_an_overlay_network_spans_the_swarm(swarm: SwarmApi) -> None:
    network = create_network(swarm, Attachable=True, Labels={"a": "b"})

    assert (network["Scope"], network["Driver"]) == ("swarm", "overlay")
    assert network["Attachable"] is True
    assert network["Labels"] == {"a": "b"}
    assert network["IPAM"]["Config"][0]["Subnet"].endswith("/24")
    assert swarm.get(f"/networks/{network['Name']}").body == network
    found = swarm.get("/networks", filters={"name": [network["Name"]]}).body
    assert [entry["Id"] for entry in found] == [network["Id"]]


def test_a_network_name_is_given_once(swarm: SwarmApi) -> None:
    name = create_network(swarm)["Name"]

    answer = swarm.post("/networks/create", {"Name": name, "Driver": "overlay"})

    assert (answer.status, answer.message) == (409, f"network with name {name} already exists")


def test_a_network_in_use_is_not_removed(swarm: SwarmApi) -> None:
    network = create_network(swarm)
    task = {"Networks": [{"Target": network["Id"]}]}
    service_id = swarm.create(replicas=0, task=task)

    answer = swarm.delete(f"/networks/{network['Id']}")

    assert (answer.status, answer.message) == (
        400,
        f"rpc error: code = FailedPrecondition desc = network {network['Id']} is in use by "
        f"service {service_id}",
    )
    swarm.delete(f"/services/{service_id}")
    assert swarm.delete(f"/networks/{network['Id']}").status == 204


def test_a_task_tells_its_address_in_each_network(swarm: SwarmApi) -> None:
    network = create_network(swarm)
    service_id = swarm.start(task={"Networks": [{"Target": network["Id"]}]})

    (task,) = swarm.tasks(service_id)
    (attachment,) = task["NetworksAttachments"]
    assert attachment["Network"]["ID"] == network["Id"]
    assert attachment["Network"]["Spec"]["Name"] == network["Name"]
    assert len(attachment["Addresses"]) == 1
