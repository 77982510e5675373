"""Record numbered changes, read those since a number, and drop the old."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

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
    at: datetime | None = field(default=None, compare=False)  # the same for all of one commit


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
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, {"count": len(rows), "channel": CHANNEL, **_columns(rows)})
        return int(cursor.fetchone()[0])


# One statement takes the numbers, writes the changes and announces the last: the counter's row is
# locked for as short as can be.
_RECORD = """
    WITH counter AS (
        INSERT INTO live_counter (id, last) VALUES (1, %(count)s)
        ON CONFLICT (id) DO UPDATE SET last = live_counter.last + %(count)s RETURNING last
    ), written AS (
        INSERT INTO live_change (sequence, cluster, noun, key, parent, stack, at)
        SELECT last - %(count)s + place, cluster, noun, key, parent, stack, statement_timestamp()
        FROM counter, unnest(
            %(cluster)s::text[], %(noun)s::text[], %(key)s::text[], %(parent)s::text[],
            %(stack)s::text[]
        ) WITH ORDINALITY AS touched (cluster, noun, key, parent, stack, place)
    )
    SELECT last, pg_notify(%(channel)s, last::text) FROM counter
"""


def _columns(rows: list[Touched]) -> dict[str, list[str]]:
    names = ("cluster", "noun", "key", "parent", "stack")
    return {name: [getattr(row, name) for row in rows] for name in names}


def current() -> int:
    """The number of the last change; 0 before the first."""
    return Counter.objects.filter(pk=1).values_list("last", flat=True).first() or 0


def since(sequence: int) -> list[Touched] | None:
    """What changed after `sequence`, oldest first; None if the log does not hold that.

    It reaches back less far, or the number is of another log: the database was restored.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, [sequence, KEEP + 1])
        found = cursor.fetchall()
    last = found[0][0] if found else 0
    rows = [row for row in found if row[1] is not None]
    if not rows:
        return [] if last == sequence else None
    if rows[0][1] != sequence + 1 or len(rows) > KEEP:
        return None
    return [Touched(*row[2:]) for row in rows]


# The counter stands first: one statement sees one moment, so nothing is committed in between.
_SINCE = """
    SELECT counter.last, change.sequence, cluster, noun, key, parent, stack, at
    FROM live_counter AS counter
    LEFT JOIN live_change AS change ON change.sequence > %s
    WHERE counter.id = 1
    ORDER BY change.sequence
    LIMIT %s
"""


def prune() -> int:
    """Drop changes that nobody can resume from; returns how many."""
    return Change.objects.filter(sequence__lte=current() - KEEP).delete()[0]
