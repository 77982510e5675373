"""The second stack: Redis with Sentinel."""

from collections.abc import Iterator

import pytest

from lab import images, stack
from lab.lab import Lab
from lab.swarm import NotAnswering, Swarm
from lab.waiting import wait_for, wait_until
from tests.lab.api import PATIENCE

pytestmark = pytest.mark.engine
REDIS = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli'


@pytest.fixture
def sentinels(lab: Lab) -> Iterator[Swarm]:
    tags = images.build(lab.layout.cache).tags
    stack.deploy(lab.nodes, tags, "sentinel.yml", "sentinel")
    yield Swarm(lab.nodes, "sentinel")
    stack.remove(lab.nodes, "sentinel")


def ask(swarm: Swarm, service: str, script: str) -> str:
    """Nothing if there is no answer now."""
    try:
        return swarm.run(service, script)
    except NotAnswering:
        return ""


def primary(swarm: Swarm) -> str:
    """Its address, as the sentinels have it."""
    command = "redis-cli -p 26379 sentinel get-master-addr-by-name primary"
    return ask(swarm, "sentinel", command).partition("\n")[0]


def peers(swarm: Swarm) -> tuple[str | None, str | None]:
    """How many replicas and other sentinels a sentinel knows: without either it can do nothing."""
    words = ask(swarm, "sentinel", "redis-cli -p 26379 sentinel master primary").split("\n")
    told = dict(zip(words[::2], words[1::2], strict=False))
    return told.get("num-slaves"), told.get("num-other-sentinels")


def kill(lab: Lab, swarm: Swarm, address: str) -> None:
    """SIGKILL the container with this address."""
    for task in swarm.running("redis-watched"):
        places = [a for n in task["NetworksAttachments"] for a in n["Addresses"]]
        if any(place.startswith(f"{address}/") for place in places):
            with lab.engine(task["Node"]["Description"]["Hostname"]).client() as client:
                client.kill(task["Status"]["ContainerStatus"]["ContainerID"])


def test_a_replica_takes_the_place_of_a_dead_primary_with_its_data(
    lab: Lab, sentinels: Swarm
) -> None:
    def replicated(address: str) -> bool:
        told = ask(sentinels, "redis-watched", f"{REDIS} -h {address} info replication")
        return "role:master" in told and "connected_slaves:2" in told

    first = wait_for(lambda: primary(sentinels), "the sentinels know a primary", PATIENCE)
    wait_until(lambda: replicated(first), "two replicas follow it", PATIENCE)
    wait_until(lambda: peers(sentinels) == ("2", "2"), "the sentinels know all", PATIENCE)
    assert ask(sentinels, "redis-watched", f"{REDIS} -h {first} set greeting hello") == "OK"
    assert ask(sentinels, "redis-watched", f"{REDIS} -h {first} wait 2 5000") == "2"

    kill(lab, sentinels, first)

    wait_until(lambda: primary(sentinels) not in ("", first), "another primary", PATIENCE)
    second = primary(sentinels)
    assert ask(sentinels, "redis-watched", f"{REDIS} -h {second} get greeting") == "hello"
    wait_until(lambda: replicated(second), "the dead one is back as a replica", PATIENCE)
