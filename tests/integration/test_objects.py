"""Secrets and configs as the panel reads them, on a real engine and the simulated Swarm alike."""

import base64
from collections.abc import Callable, Iterator

import pytest

from clusters.inventory.watch import Watch
from clusters.models import MODELS
from clusters.ports import Noun, ObjectMissing, Refused
from live import changes
from tests.contract.swarm_api import service_spec, unique
from tests.integration.panel import Panel
from tests.integration.rotating import keeper, mounted

NOUNS = pytest.mark.parametrize("noun", ["secret", "config"])


@pytest.fixture(params=["panel", "simulated_panel"])
def sam(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Panel]:
    with keeper(request.getfixturevalue(request.param)) as ready:
        yield ready


def created(panel: Panel, noun: Noun, name: str, data: bytes = b"\0\xff") -> str:
    spec = {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": {"a": "b"}}
    return panel.engine.create(noun, spec)


def touched(since: int) -> set[tuple[str, str]]:
    return {(t.noun, t.key) for t in changes.since(since) or []}


def event(noun: str) -> dict[str, str]:
    return {"Type": noun}


@NOUNS
def test_what_the_engine_has_and_what_it_says_of_it(sam: Panel, noun: Noun) -> None:
    name = unique("one")
    key = created(sam, noun, name)
    longer = created(sam, noun, f"{name}-longer")
    listed = sam.engine.secrets() if noun == "secret" else sam.engine.configs()
    assert {raw["ID"] for raw in listed} == {key, longer}
    assert sam.engine.named(noun, name)["ID"] == key, "not the one that merely begins so"
    with pytest.raises(ObjectMissing, match="ghost"):
        sam.engine.named(noun, "ghost")
    with pytest.raises(Refused, match="already exists"):
        created(sam, noun, name)
    sam.engine.remove(noun, longer)
    with pytest.raises(ObjectMissing):
        sam.engine.remove(noun, longer)


@NOUNS
def test_what_is_in_use_is_refused_with_the_engines_own_words(sam: Panel, noun: Noun) -> None:
    key = created(sam, noun, unique("one"))
    sam.look()
    found = MODELS[noun]._default_manager.get(engine_id=key)
    service = sam.start(replicas=0, container=mounted(found))
    with pytest.raises(Refused, match=f"in use by the following service: {service.name}"):
        sam.engine.remove(noun, key)


@NOUNS
def test_the_watcher_keeps_the_rows_true(sam: Panel, noun: Noun) -> None:
    watch: Watch = sam.watch()
    watch.step([])
    key, since = created(sam, noun, unique("one")), changes.current()
    watch.step([])
    assert not MODELS[noun]._default_manager.exists(), "it is not yet due, and nobody told it"
    watch.step([event(noun)])
    row = MODELS[noun]._default_manager.get()
    assert (row.engine_id, row.labels) == (key, {"a": "b"})
    assert touched(since) == {(noun, key)}
    if noun == "config":
        assert bytes(row.data) == b"\0\xff"  # type: ignore[union-attr]
    else:
        assert not hasattr(row, "data")
    since = changes.current()
    watch.step([event(noun)])
    assert changes.current() == since, "what did not change is not told"
    sam.engine.remove(noun, key)
    watch.step([event(noun)])
    assert not MODELS[noun]._default_manager.exists()
    assert touched(since) == {(noun, key)}


@NOUNS
def test_a_service_that_begins_or_ceases_to_use_it_is_told(sam: Panel, noun: Noun) -> None:
    key = created(sam, noun, unique("one"))
    watch = sam.watch()
    watch.step([])
    found = MODELS[noun]._default_manager.get()

    def after(change: Callable[[], object]) -> bool:
        """Whether the object is told as changed once the watcher has seen the service's change."""
        since = changes.current()
        change()
        watch.step([{"Type": "service", "Actor": {"ID": ids[0]}}])
        assert ("service", ids[0]) in touched(since)
        return (noun, key) in touched(since)

    ids: list[str] = []
    spec = service_spec(replicas=0, Labels={}, container=mounted(found))
    assert after(lambda: ids.append(sam.swarm.create(spec)))
    assert not after(
        lambda: sam.swarm.change(ids[0], lambda spec: spec["Labels"].update(other="change"))
    )
    assert after(lambda: sam.swarm.delete(f"/services/{ids[0]}"))
