"""`docker swarm init` from the panel, for an engine outside Swarm mode."""

from collections.abc import Iterator

import pytest

from access.policy import Role
from clusters.models import Cluster, Operation
from clusters.operations.requests import request_swarm_init
from clusters.problems import Invalid
from clusters.selectors.clusters import freshness
from tests.engines import Engine
from tests.integration.panel import Panel, user

State = Operation.State


@pytest.fixture
def plain(transactional_db: None, plain_engine: Engine) -> Iterator[Panel]:
    panel = Panel(plain_engine.url)
    user(role=Role.ADMIN)
    panel.look()
    yield panel
    panel.close()


def test_a_plain_engine_is_offered_and_becomes_the_first_manager(plain: Panel) -> None:
    assert plain.cluster.state == Cluster.State.NOT_A_SWARM
    bad = request_swarm_init(plain.actor, plain.cluster, "no address", wake=plain.woken.append)
    assert plain.carry_out(bad).state == State.FAILED
    assert bad.error.startswith("The engine refused:")

    good = request_swarm_init(plain.actor, plain.cluster, "127.0.0.1", wake=plain.woken.append)
    assert plain.carry_out(good).state == State.SUCCEEDED
    assert good.result == "The engine is the first manager of a new Swarm."
    plain.look()
    assert plain.cluster.state == Cluster.State.READY
    assert [node.role for node in plain.cluster.nodes.all()] == ["manager"]
    with pytest.raises(Invalid, match="is not an engine outside Swarm mode"):
        request_swarm_init(plain.actor, plain.cluster, "127.0.0.1", wake=plain.woken.append)


def test_an_engine_outside_swarm_mode_is_no_old_picture(plain: Panel) -> None:
    assert freshness(plain.cluster).fresh
