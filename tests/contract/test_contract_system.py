"""How an engine presents itself."""

import docker
import pytest

from tests.contract.swarm_api import SwarmApi


def test_ping_tells_the_api_version(swarm: SwarmApi) -> None:
    response = swarm.docker.get(f"{swarm.docker.base_url}/_ping", timeout=10)

    assert response.text == "OK"
    assert response.headers["Api-Version"] == swarm.docker.api_version
    assert response.headers["Ostype"] == "linux"


def test_docker_py_negotiates_the_newest_version(swarm: SwarmApi) -> None:
    client = docker.APIClient(swarm.url, version="auto", timeout=10)

    assert client.api_version == client.version()["ApiVersion"]


def test_info_names_the_node_and_its_part_in_the_swarm(swarm: SwarmApi) -> None:
    info = swarm.get("/info").body
    node = swarm.node()

    assert info["Swarm"]["LocalNodeState"] == "active"
    assert info["Swarm"]["ControlAvailable"] is True
    assert info["Swarm"]["NodeID"] == node["ID"]
    assert info["Name"] == node["Description"]["Hostname"]
    assert info["Swarm"]["Cluster"]["ID"] == swarm.get("/swarm").body["ID"]


def test_paths_work_with_and_without_a_version(swarm: SwarmApi) -> None:
    version = swarm.docker.api_version

    assert swarm.get(f"/v{version}/nodes") == swarm.get("/nodes")


def test_a_newer_version_is_refused(swarm: SwarmApi) -> None:
    answer = swarm.get("/v1.99/nodes")

    newest = swarm.docker.api_version
    assert answer.status == 400
    assert answer.message == (
        f"client version 1.99 is too new. Maximum supported API version is {newest}"
    )


def test_an_older_version_is_refused(swarm: SwarmApi) -> None:
    answer = swarm.get("/v1.2/nodes")

    assert answer.status == 400
    assert "client version 1.2 is too old. Minimum supported API version is" in str(answer.body)


def test_an_unknown_path_is_not_found(swarm: SwarmApi) -> None:
    answer = swarm.get("/no/such/path")

    assert (answer.status, answer.message) == (404, "page not found")


def test_a_swarm_cannot_be_initialised_twice(swarm: SwarmApi) -> None:
    answer = swarm.post("/swarm/init", {"ListenAddr": "0.0.0.0:2377"})

    assert answer.status == 503
    assert answer.message.startswith("This node is already part of a swarm.")


def test_the_swarm_has_join_tokens_for_each_role(swarm: SwarmApi) -> None:
    tokens = swarm.get("/swarm").body["JoinTokens"]

    assert tokens.keys() == {"Worker", "Manager"}
    assert all(token.startswith("SWMTKN-1-") for token in tokens.values())


@pytest.mark.parametrize("kind", ["service", "task", "node", "secret", "config", "network"])
def test_what_does_not_exist_is_not_found(swarm: SwarmApi, kind: str) -> None:
    answer = swarm.get(f"/{kind}s/nowhere")

    assert (answer.status, answer.message) == (404, f"{kind} nowhere not found")
