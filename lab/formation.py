"""Makes one Swarm of the nodes' engines, or completes one that is half made."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import docker
import docker.errors

from lab.engine import Engine
from lab.layout import NETWORKS, Layout, NodePlan
from lab.waiting import wait_until

PORT = 2377
Engines = Mapping[str, Engine]


def form(layout: Layout, engines: Engines) -> None:
    """Every engine is a ready node with its role and its labels, and the networks are there."""
    first, *others = layout.nodes
    with engines[first.name].client() as manager:
        if not _is_member(manager):
            manager.init_swarm(advertise_addr=layout.address(first))
        wait_until(lambda: _is_manager(manager), "the first manager has a quorum", 90)
        tokens = manager.inspect_swarm()["JoinTokens"]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: _join(layout, engines, node, tokens), others))
        names = {node.name for node in layout.nodes}
        wait_until(lambda: names <= ready_nodes(manager), "all nodes are ready", 90)
        for node in layout.nodes:
            _label(manager, node)
        for network in NETWORKS:
            _provide_network(manager, network)


def _is_member(client: docker.APIClient) -> bool:
    return bool(client.info()["Swarm"]["LocalNodeState"] in ("active", "pending", "locked"))


def _is_manager(client: docker.APIClient) -> bool:
    try:
        return bool(client.nodes())
    except docker.errors.APIError:  # it is electing
        return False


def _join(layout: Layout, engines: Engines, node: NodePlan, tokens: Mapping[str, str]) -> None:
    with engines[node.name].client() as client:
        if not _is_member(client):
            client.join_swarm(
                remote_addrs=[f"{layout.address(layout.nodes[0])}:{PORT}"],
                join_token=tokens["Manager" if node.manager else "Worker"],
                advertise_addr=layout.address(node),
            )


def ready_nodes(manager: docker.APIClient) -> set[str]:
    """The host names of the nodes that are ready. Empty while there is no quorum."""
    try:
        nodes = manager.nodes()
    except docker.errors.APIError:
        return set()
    return {n["Description"]["Hostname"] for n in nodes if n["Status"]["State"] == "ready"}


def _label(manager: docker.APIClient, node: NodePlan) -> None:
    """Add what is missing; a node's other labels are somebody's, and stay."""
    for raw in manager.nodes(filters={"name": node.name}):
        spec = raw["Spec"]
        if (
            raw["Description"]["Hostname"] == node.name
            and not node.labels.items() <= spec["Labels"].items()
        ):
            spec["Labels"] |= node.labels
            manager.update_node(raw["ID"], raw["Version"]["Index"], spec)


def _provide_network(manager: docker.APIClient, name: str) -> None:
    if not any(found["Name"] == name for found in manager.networks(names=[name])):
        manager.create_network(name, driver="overlay", attachable=True, check_duplicate=True)
