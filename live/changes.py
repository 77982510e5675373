"""Record numbered changes, read those since a number, and drop the old."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction

from live.models import Change, Counter

CHANNEL = "pilothouse_changes"
KEEP = 20_000  # changes; a viewer that is further behind reloads its page part
MOST_AT_ONCE = 500  # above it, one "reset" is cheaper for every reader than the list


@dataclass(frozen=True, slots=True)
class Touched:
    """One object that changed, as `record` takes it and `since` gives it back."""

    cluster: str
    noun: str
    key: str
    parent: str = ""
    stack: str = ""


def record(touched: Iterable[Touched]) -> int:
    """Number the changes and announce them; returns the last number.

    Must be called inside the transaction that makes the changes, as its last statement: the
    counter's row is locked from here to the commit, so that numbers follow the order of commits.
    """
    rows = list(dict.fromkeys(touched))
    if not rows:
        return current()
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("record() needs the transaction of the change")
    if len(rows) > MOST_AT_ONCE:
        rows = [Touched(cluster, "reset", cluster) for cluster in sorted({r.cluster for r in rows})]
    last = _take_numbers(len(rows))
    first = last - len(rows) + 1
    Change.objects.bulk_create(
        Change(
            sequence=first + i,
            cluster=r.cluster,
            noun=r.noun,
            key=r.key,
            parent=r.parent,
            stack=r.stack,
        )
        for i, r in enumerate(rows)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(last)])
    return last


def _take_numbers(count: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO live_counter (id, last) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET last = live_counter.last + %s RETURNING last",
            [count, count],
        )
        return int(cursor.fetchone()[0])


def current() -> int:
    """The number of the last change; 0 before the first."""
    return Counter.objects.filter(pk=1).values_list("last", flat=True).first() or 0


def since(sequence: int) -> list[Touched] | None:
    """What changed after `sequence`, oldest first; None if the log does not hold that.

    It reaches back less far, or the number is of another log: the database was restored.
    """
    last = current()  # before the rows: what is committed in between is no gap
    rows = list(Change.objects.filter(sequence__gt=sequence)[: KEEP + 1])
    if not rows:
        return [] if last == sequence else None
    if rows[0].sequence != sequence + 1 or len(rows) > KEEP:
        return None
    return [Touched(r.cluster, r.noun, r.key, r.parent, r.stack) for r in rows]


def prune() -> int:
    """Drop changes that nobody can resume from; returns how many."""
    return Change.objects.filter(sequence__lte=current() - KEEP).delete()[0]
