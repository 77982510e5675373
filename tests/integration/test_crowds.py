"""The live path under a thousand viewers, and under those that do not keep up."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import transaction

from access.policy import Role
from access.tokens import issue_token
from clusters.models import Cluster, Node, Service, SwarmTask
from live import changes
from live.changes import Touched
from tests import processes
from tests.crowd import Crowd, Member
from tests.integration.panel import user
from tests.integration.web import Web, web, web_process

__all__ = ["web", "web_process"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VIEWERS, PEOPLE = 1000, 20
TASKS, AT_ONCE = 500, 20  # of the rolling update
CHANGES, LARGE = 200, 200_000  # together more than the kernel keeps for a socket


@pytest.fixture
def people(transactional_db: None) -> list[dict[str, str]]:
    """What twenty people with a token each send along."""
    found = [user(f"viewer-{number}", Role.VIEWER) for number in range(PEOPLE)]
    return [{"Authorization": f"Bearer {issue_token(who, 'test')}"} for who in found]


@pytest.fixture
def agents(transactional_db: None) -> Service:
    """A service of 500 tasks that run, in the rows: no engine is needed to look at it."""
    cluster = Cluster.objects.create(name="lab")
    Node.objects.create(cluster=cluster, engine_id="n1", hostname="n1", state="ready", version=1)
    service = Service.objects.create(
        cluster=cluster, engine_id="agents", name="agents", image="lab/web:1", mode="replicated",
        health="running", running=TASKS, desired=TASKS, version=1, spec={}, template_hash="one",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    SwarmTask.objects.bulk_create(_task(service, slot) for slot in range(1, TASKS + 1))
    return service


def _task(service: Service, slot: int, template: str = "one", **of: str) -> SwarmTask:
    return SwarmTask(
        cluster=service.cluster, service_engine_id=service.engine_id, slot=slot,
        engine_id=f"{template}-{slot}", node_engine_id="n1", template_hash=template, version=1,
        created_at=NOW, state_at=NOW, **{"state": "running", "desired_state": "running", **of},
    )  # fmt: skip


def address(web: Web, *topics: str) -> str:
    query = "&".join([f"since={changes.current()}", *(f"topics={topic}" for topic in topics)])
    return f"ws://127.0.0.1:{web.port}/live/?{query}"


def touch(service: Service, error: str) -> int:
    with transaction.atomic():
        Service.objects.filter(pk=service.pk).update(last_error=error, health="failing")
        return changes.record([Touched("lab", "service", service.engine_id)])


def sequence_of(member: Member) -> int:
    return max(json.loads(frame.partition("\n")[0])["sequence"] for frame in member.frames)


def test_a_thousand_that_come_at_once_are_all_served(
    web: Web, agents: Service, people: list[dict[str, str]]
) -> None:
    """As after a restart; and who was there before is told on meanwhile."""
    staying = web.open(user("staying"), "services:lab")
    with Crowd(address(web, "services:lab"), VIEWERS, people, at_once=VIEWERS) as crowd:
        begun = time.monotonic()
        touch(agents, "in the storm.")
        while not staying.count("in the storm."):
            staying.read(timeout=10)
        assert time.monotonic() - begun < 10
        touch(agents, "after it.")
        crowd.until_all_have("after it.")
        assert len(crowd.members) == VIEWERS


def test_a_rolling_update_of_500_tasks_reaches_a_thousand_viewers(
    web: Web, agents: Service, people: list[dict[str, str]]
) -> None:
    """Nobody ends with an old cell, and nobody is sent a whole matrix for each step."""
    with Crowd(address(web, "service:lab:agents"), VIEWERS, people) as crowd:
        crowd.until_all_have('"sequence"')
        last = _roll(agents)
        crowd.until(lambda member: sequence_of(member) >= last, "all are up to date")
        pictures = [_picture(member) for member in crowd.members]
        whole = max(len(frame) for frame in crowd.members[0].frames)
    assert all(len(picture) == TASKS for picture in pictures)
    assert {cell for picture in pictures for cell in picture.values()} == {"cell-running"}
    steps = TASKS // AT_ONCE
    assert all(sum(map(len, m.frames)) < whole * (steps / 4) for m in crowd.members)


def _roll(service: Service) -> int:
    """As the watcher writes it, twenty tasks at a time; returns the last change's number."""
    with transaction.atomic():
        Service.objects.update(template_hash="two", version=2, update_state="updating")
        last = changes.record([Touched("lab", "slots", "agents")])
    for first in range(1, TASKS + 1, AT_ONCE):
        slots = range(first, min(first + AT_ONCE, TASKS + 1))
        touched = [Touched("lab", "slot", str(slot), "agents") for slot in slots]
        for state in ("starting", "running"):
            with transaction.atomic():
                old = SwarmTask.objects.filter(slot__in=slots, template_hash="one")
                old.update(state="shutdown", desired_state="shutdown")
                new = SwarmTask.objects.filter(slot__in=slots, template_hash="two")
                if not new.update(state=state):
                    SwarmTask.objects.bulk_create(
                        _task(service, slot, "two", state=state) for slot in slots
                    )
                last = changes.record(touched)
    return last


def _picture(member: Member) -> dict[str, str]:
    """What the last of each slot's cells says."""
    picture = {}
    for frame in member.frames:
        for piece in frame.split("<li ")[1:]:
            found = re.match(r'id="slot-(\d+)"', piece)
            kinds = re.search(r'class="cell ([^"]+)"', piece)
            if found and kinds:
                state, old = kinds[1].split()[0], "cell-old" in kinds[1]
                picture[found[1]] = f"{state} cell-old" if old else state
    return picture


@pytest.fixture
def sleeper(web: Web, agents: Service, people: list[dict[str, str]]) -> Iterator[Crowd]:
    """One whose machine sleeps: its socket stays open, and nothing is read from it."""
    with Crowd(address(web, "services:lab"), 1, people, compression=None) as crowd:
        crowd.until_all_have('"sequence"')
        crowd.sleep()
        yield crowd


def test_who_sleeps_costs_nothing_and_wakes_to_the_truth(
    web: Web, agents: Service, sleeper: Crowd
) -> None:
    """However much happens meanwhile, one frame of each element waits for them."""
    awake = web.open(user("awake"), "services:lab")
    held = processes.memory(web.pid)
    for number in range(CHANGES):
        last = touch(agents, f"{'x' * LARGE} {number}.")
        awake.read_until(last)
    assert processes.memory(web.pid) - held < CHANGES * LARGE / 2**20
    sleeper.wake()
    sleeper.until_all_have(f" {CHANGES - 1}.")
    assert len(sleeper.members[0].frames) < CHANGES / 2
