"""What is pushed to an open page is what its person may see: by topic, role and scope.

A socket asks for topics by name, and whoever knows a name can ask for it: each rendering looks at
the rights anew. The same for logs, which are asked for by cluster and service.
"""

import json
from typing import Any

import pytest

from access.authorize import Actor, Forbidden
from access.models import User
from access.policy import ALLOWED, EVERYWHERE, Action, Role, Scope
from clusters import fragments
from clusters.logs.sources import look
from clusters.models import Operation, Service
from clusters.problems import NotFound
from live.changes import Touched
from tests.unit.panel import MARKS
from tests.unit.world import (
    ARGUMENTS,
    HERE,
    OTHER_CLUSTER,
    OTHER_STACK,
    SCOPES,
    hold,
    make_person,
    world,
)

pytestmark = MARKS
__all__ = ["world"]
OWN = Scope("alpha", "shop")
SEES = [role for role in Role if Action.SERVICE_VIEW in ALLOWED[role]]


def topics(place: str) -> list[str]:
    """Every topic that there is, of what is at this place."""
    cluster, name = SCOPES[place].cluster, ARGUMENTS["service"][place]
    service = Service.objects.get(name=name)
    operation = Operation.objects.get(pk=ARGUMENTS["operation"][place])
    found = [
        "overview", "operations", "tray", "alarms", f"services:{cluster}", f"cluster:{cluster}",
        f"freshness:{cluster}", f"service:{cluster}:{service.engine_id}",
        f"operation:{operation.pk}", f"metrics:{cluster}:{name}:1h", f"sparklines:{cluster}",
        f"panels:{cluster}:{SCOPES[place].stack}:1h", f"panels:{cluster}::1h",
        f"source:{cluster}", f"timeline:{cluster}", f"alerts:{cluster}:1h",
    ]  # fmt: skip
    found += ["emergencies", f"emergency:{ARGUMENTS['emergency'][place]}"]
    for noun in ("secret", "config"):
        found.append(f"objects:{noun}:{cluster}")
        rows = getattr(service.cluster, f"{noun}s").filter(stack=SCOPES[place].stack)
        found += [f"object:{noun}:{cluster}:{row.engine_id}" for row in rows]
    return found


def pushed(user: User, topic: str) -> str:
    return json.dumps(fragments.render(user, topic, None))


def foreign_words(place: str) -> list[str]:
    """The names of what is there; of a stack beside one's own, not its cluster's."""
    words = [ARGUMENTS["service"][place], f"/access/emergencies/{ARGUMENTS['emergency'][place]}/"]
    return [*words, "beta"] if place == OTHER_CLUSTER else words


def test_every_topic_is_tried(world: None) -> None:
    tried = {topic.partition(":")[0] for topic in topics(HERE)}
    assert tried == {*fragments._TOPICS, *fragments._ABOVE}


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("place", [OTHER_STACK, OTHER_CLUSTER])
def test_nothing_of_elsewhere_is_pushed(world: None, place: str, role: Role | None) -> None:
    person = make_person(role)
    hold(person, OWN)
    for topic in topics(place):
        told = pushed(person, topic)
        for word in foreign_words(place):
            assert word not in told, (topic, word)


@pytest.mark.parametrize("topic", ["service:beta:id-heron", "service:beta:none", "freshness:beta"])
def test_a_change_out_of_sight_pushes_nothing_at_all(world: None, topic: str) -> None:
    """Or it would tell that the cluster is there, and when something moves in it."""
    person = make_person(Role.ADMIN)
    hold(person, OWN)
    changed = [Touched("beta", noun, "beta") for noun in ("cluster", "node")]
    assert fragments.render(person, topic, changed) == {}


def test_a_change_in_a_stack_out_of_sight_removes_no_row(world: None) -> None:
    person = make_person(Role.ADMIN)
    hold(person, OWN)
    other = Service.objects.get(name=ARGUMENTS["service"][OTHER_STACK])
    secret = other.cluster.secrets.get(stack=other.stack)
    changed = [
        Touched("alpha", "service", other.engine_id),
        Touched("alpha", "secret", secret.engine_id),
    ]
    told = {**fragments.render(person, "services:alpha", changed)}
    told |= fragments.render(person, "objects:secret:alpha", changed)
    assert not any(other.engine_id in key or secret.engine_id in key for key in told)


@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_who_may_not_look_is_pushed_nothing_of_ones_own_scope(
    world: None, role: Role | None
) -> None:
    person = make_person(role)
    hold(person, OWN)
    told = "".join(pushed(person, topic) for topic in topics(HERE))
    assert (ARGUMENTS["service"][HERE] in told) == (role in SEES)


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("place", [HERE, OTHER_STACK, OTHER_CLUSTER])
def test_a_log_is_opened_by_those_who_may_read_it_there(
    world: None, place: str, role: Role | None
) -> None:
    person = make_person(role)
    hold(person, OWN)
    asked: dict[str, Any] = {
        "cluster": SCOPES[place].cluster,
        "service": ARGUMENTS["service"][place],
    }
    may = role is not None and place == HERE and Action.SERVICE_LOGS in ALLOWED[role]
    if may:
        assert look(Actor(person, "browser"), **asked).scope == OWN
        return
    with pytest.raises((Forbidden, NotFound)):
        look(Actor(person, "browser"), **asked)


def test_an_administrator_of_everything_is_pushed_all_of_it(world: None) -> None:
    """Or the tests above would be passed by rendering nothing."""
    person = make_person(Role.ADMIN)
    hold(person, EVERYWHERE)
    for place in (HERE, OTHER_STACK, OTHER_CLUSTER):
        told = "".join(pushed(person, topic) for topic in topics(place))
        assert all(word in told for word in foreign_words(place))
