"""Managers that hand over, are lost or cut off, under the panel's eyes."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from lab.lab import Lab
from lab.waiting import wait_until
from tests.lab.api import PATIENCE, Api

pytestmark = pytest.mark.engine
MANAGERS = ("n1", "n2", "n3")


def leader(api: Api) -> str:
    return next(name for name, node in api.nodes().items() if node["leader"])


def trouble(api: Api, lab: Lab, name: str) -> str:
    """What the panel says of this manager; nothing if it is usable."""
    errors = {manager["address"]: manager["error"] for manager in api.cluster()["managers"]}
    return str(errors[lab.engine(name).url])


@contextmanager
def demoted(lab: Lab, name: str) -> Iterator[None]:
    """A manager is a worker, and a manager again whatever happens: the other tests need three."""
    other = next(manager for manager in MANAGERS if manager != name)
    with lab.engine(other).client() as client:
        _give_role(client, name, "worker")
        try:
            yield
        finally:
            _give_role(client, name, "manager")


def _give_role(client: docker.APIClient, name: str, role: str) -> None:
    (node,) = client.nodes(filters={"name": name})
    client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], "Role": role})


def test_a_leader_that_hands_over_is_hardly_noticed(api: Api, lab: Lab, web: str) -> None:
    old = leader(api)
    with demoted(lab, old):
        operation = api.do(web, "scale", replicas=12)
        api.until_succeeded(operation)
        wait_until(lambda: leader(api) != old, "there is another leader", PATIENCE)
        assert api.led()[0] == (old, leader(api))
        whole = {"running": 12, "desired": 12}
        wait_until(lambda: api.service(web)["replicas"] == whole, "twelve run", PATIENCE)
    wait_until(lambda: api.nodes()[old]["reachability"] == "reachable", "three managers", PATIENCE)


def test_a_lost_leader_is_named_and_its_work_is_done_once(lab: Lab, api: Api, web: str) -> None:
    old = leader(api)

    lab.off(old)
    operation = api.do(web, "update", env={"ROUND": "2"})

    api.until_succeeded(operation)
    wait_until(lambda: leader(api) != old, "there is another leader", PATIENCE)
    assert api.led()[0] == (old, leader(api))
    wait_until(lambda: api.cluster()["fresh"], "the picture is fresh again", PATIENCE)
    assert "reached" in trouble(api, lab, old)
    wait_until(lambda: api.nodes()[old]["state"] == "down", "the old leader is down", PATIENCE)
    # Every write is a revision: the first spec, and the one of this operation.
    assert len(api.service(web)["revisions"]) == 2


def test_a_manager_of_the_minority_is_not_believed(lab: Lab, api: Api, web: str) -> None:
    """The panel reaches the socket of a manager that has lost its quorum, as if all were well."""
    cut = "n1"  # whose address the panel tries first

    lab.partition([["n2", "n3", "n4", "n5"], [cut]])

    wait_until(lambda: api.nodes()[cut]["state"] == "down", "n1 is told as down", PATIENCE)
    wait_until(lambda: api.cluster()["fresh"], "the majority is asked", PATIENCE)
    api.until_succeeded(api.do(web, "scale", replicas=8))
    assert cut not in api.running_on(web)
    wait_until(lambda: bool(trouble(api, lab, cut)), "n1 is named as not usable", PATIENCE)

    lab.heal()
    wait_until(lambda: api.nodes()[cut]["state"] == "ready", "n1 is back", PATIENCE)
    wait_until(lambda: not trouble(api, lab, cut), "n1 is usable again", PATIENCE)
    wait_until(lambda: len(api.running_on(web)) == 8, "eight run", PATIENCE)


def test_without_a_quorum_nothing_is_written_and_all_is_told(lab: Lab, api: Api, web: str) -> None:
    lab.partition([["n1", "n4"], ["n2"], ["n3", "n5"]])
    wait_until(lambda: not api.cluster()["fresh"], "the picture is told to be old", PATIENCE)
    assert api.cluster()["stale_because"]

    operation = api.do(web, "scale", replicas=3)
    lab.heal()

    wait_until(lambda: api.cluster()["fresh"], "the picture is fresh again", PATIENCE)
    ended = api.end_of(operation)
    desired = api.service(web)["replicas"]["desired"]
    assert (ended["state"], desired) in (("succeeded", 3), ("failed", 10)), ended
