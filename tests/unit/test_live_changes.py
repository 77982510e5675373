"""The log of numbered changes: no gaps, in the order of commits, for whoever resumes from it."""

import random
import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from live import changes
from live.changes import Touched
from live.models import Change

pytestmark = pytest.mark.django_db(transaction=True)


def _record(*keys: str, cluster: str = "prod") -> int:
    with transaction.atomic():
        return changes.record(Touched(cluster, "service", key) for key in keys)


def _in_threads(*jobs: Callable[[], None]) -> None:
    """Run the jobs at once, each with a database connection of its own; raise what one raised."""
    errors: list[Exception] = []  # raised again below

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_nothing_has_changed_at_first() -> None:
    assert changes.current() == 0
    assert changes.since(0) == []


def test_changes_are_numbered_and_read_back_in_order() -> None:
    assert _record("a", "b") == 2
    assert _record("c") == 3
    assert changes.current() == 3
    assert [t.key for t in changes.since(1) or []] == ["b", "c"]
    assert changes.since(3) == []


def test_all_of_a_change_comes_back() -> None:
    touched = Touched("prod", "task", "t1", "s1", "shop")
    with transaction.atomic():
        changes.record([touched, touched])
    assert changes.since(0) == [touched]


def test_nothing_takes_no_number() -> None:
    assert _record() == 0
    assert not Change.objects.exists()


def test_a_change_is_refused_outside_a_transaction() -> None:
    """Its number would be free before what it tells of can be seen."""
    with pytest.raises(transaction.TransactionManagementError):
        changes.record([Touched("prod", "service", "a")])
    assert changes.current() == 0


def test_a_change_that_was_rolled_back_leaves_no_gap() -> None:
    _record("a")
    with pytest.raises(RuntimeError), transaction.atomic():
        changes.record([Touched("prod", "service", "b")])
        raise RuntimeError
    assert _record("c") == 2
    assert [t.key for t in changes.since(0) or []] == ["a", "c"]


def test_writers_at_once_leave_no_gap_and_a_reader_sees_every_change_once_and_in_order() -> None:
    chance = random.Random(7)
    ended = threading.Event()
    seen: list[str] = []

    def write(writer: int) -> None:
        for number in range(25):
            try:
                with transaction.atomic():
                    changes.record([Touched("prod", "service", f"{writer}:{number}")])
                    if chance.random() < 0.3:
                        raise RuntimeError
            except RuntimeError:
                _record(f"{writer}:{number}")

    def read() -> None:
        last_look = False
        while not last_look:
            last_look = ended.is_set()
            fresh = changes.since(len(seen))
            assert fresh is not None, f"a gap after {len(seen)}"
            seen.extend(touched.key for touched in fresh)

    def all_write() -> None:
        try:
            _in_threads(*(lambda w=writer: write(w) for writer in range(4)))
        finally:
            ended.set()

    _in_threads(all_write, read)
    assert sorted(seen) == sorted(f"{w}:{n}" for w in range(4) for n in range(25))
    for writer in range(4):
        own = [key for key in seen if key.startswith(f"{writer}:")]
        assert own == [f"{writer}:{number}" for number in range(25)]


def test_a_reader_who_is_too_far_behind_is_told_so() -> None:
    for key in "abcdef":
        _record(key)
    Change.objects.filter(sequence__lte=3).delete()
    assert changes.since(2) is None
    assert [t.key for t in changes.since(3) or []] == ["d", "e", "f"]
    Change.objects.all().delete()
    assert changes.since(3) is None
    assert changes.since(6) == []


def test_a_reader_from_before_a_restored_backup_is_told_so_too() -> None:
    _record("a")
    assert changes.since(7) is None
    assert changes.since(2**70) is None


def test_more_than_anyone_can_resume_from_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEEP", 3)
    for key in "abcdef":
        _record(key)
    assert changes.since(2) is None
    assert changes.prune() == 3
    assert [t.key for t in changes.since(3) or []] == ["d", "e", "f"]
    assert changes.prune() == 0


def test_a_flood_is_one_reset_for_each_cluster() -> None:
    keys = [str(number) for number in range(changes.MOST_AT_ONCE)]
    assert _record(*keys) == changes.MOST_AT_ONCE
    with transaction.atomic():
        changes.record(
            Touched(cluster, "task", key)
            for cluster in ("test", "prod")
            for key in [*keys, "one-more"]
        )
    told = changes.since(changes.MOST_AT_ONCE)
    assert told == [Touched("prod", "reset", "prod"), Touched("test", "reset", "test")]
