"""One thing that happened, whoever tells of it; and the list of those who can tell."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from access.models import User
from clusters.models import Cluster, Service

# The lanes of the axis, from what concerns everything to what concerns one service.
KINDS = {
    "cluster": "Cluster",
    "leader": "Leader",
    "node": "Nodes",
    "service": "Services",
    "alert": "Alerts",
    "operation": "Operations",
    "engine": "Engine",
}
MOST = 2000  # entries of one answer, the newest ones


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for. A source tells nothing that `user` may not see."""

    user: User
    cluster: Cluster
    since: datetime
    until: datetime
    kinds: frozenset[str] = frozenset(KINDS)
    stack: str | None = None  # None: all; "" holds services without a stack
    service: Service | None = None

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `state` is shown by its look: see clusters.templatetags.looks."""

    id: str  # unique, and good for an element's id
    kind: str  # of KINDS
    at: datetime
    name: str  # what it happened to
    look: str  # the kind of state, e.g. "service"
    state: str  # e.g. "failing"
    before: str = ""
    text: str = ""
    who: str = ""
    link: str = ""
    key: str = ""  # the engine id of what it happened to
    stack: str = ""
    until: datetime | None = None  # its end, if it lasted
    open: bool = False  # it still lasts
    last_at: datetime | None = None  # the last time, if it happened several times
    count: int = 1


Source = Callable[[Question], Iterable[Entry]]
_sources: dict[Source, frozenset[str]] = {}  # and the kinds that each tells of


def add_source(source: Source, *kinds: str) -> None:
    """Let the timeline ask this one, too: an app does so once, when it is ready.

    A source answers with its entries within the question's time, at most MOST of them, and is
    asked for no others. An alert has the look "alert", and is "firing" or "resolved".
    """
    _sources[source] = frozenset(kinds)


def told_kinds() -> dict[str, str]:
    """The kinds that somebody tells of, with their titles, in the order of their lanes."""
    told = frozenset(chain.from_iterable(_sources.values()))
    return {kind: title for kind, title in KINDS.items() if kind in told}


def entries(question: Question) -> list[Entry]:
    """From all sources together, the newest first; at most MOST."""
    asked = (source for source, kinds in _sources.items() if kinds & question.kinds)
    told = chain.from_iterable(source(question) for source in asked)
    found = [entry for entry in told if entry.kind in question.kinds]
    return sorted(found, key=lambda entry: (entry.last_at or entry.at, entry.id), reverse=True)[
        :MOST
    ]
