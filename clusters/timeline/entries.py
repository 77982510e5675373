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
    patience: float = 0.0  # seconds to wait for a source that has to ask elsewhere: for programs

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


@dataclass(frozen=True, slots=True)
class Beside:
    """What a source that asks elsewhere says besides its entries, which it does not always know."""

    lacks: str = ""  # what cannot be told now, in words
    soon: bool = False  # it can in a moment
    topic: str = ""  # of the live push that tells of another answer, by an element with another id
    news: str = ""  # the id that such an element has as of now


Tell = Callable[[Question], Iterable[Entry]]


@dataclass(frozen=True, slots=True)
class Source:
    tell: Tell
    kinds: frozenset[str]
    there: Callable[[Cluster], bool]
    beside: Callable[[Question], Beside] | None

    def is_asked(self, question: Question) -> bool:
        return bool(self.kinds & question.kinds) and self.there(question.cluster)


_sources: dict[Tell, Source] = {}


def add_source(
    tell: Tell,
    *kinds: str,
    there: Callable[[Cluster], bool] = lambda cluster: True,
    beside: Callable[[Question], Beside] | None = None,
) -> None:
    """Let the timeline ask this one, too: an app does so once, when it is ready.

    A source answers with its entries within the question's time, at most MOST of them, and is
    asked for no others, nor of a cluster that it knows nothing of (`there`). It answers at once.
    An alert has the look "alert", and is "firing" or "resolved".
    """
    _sources[tell] = Source(tell, frozenset(kinds), there, beside)


def told_kinds(cluster: Cluster) -> dict[str, str]:
    """The kinds that somebody tells of, with their titles, in the order of their lanes."""
    told = {kind for source in _sources.values() if source.there(cluster) for kind in source.kinds}
    return {kind: title for kind, title in KINDS.items() if kind in told}


def entries(question: Question) -> list[Entry]:
    """From all sources together, the newest first; at most MOST."""
    asked = (source for source in _sources.values() if source.is_asked(question))
    told = chain.from_iterable(source.tell(question) for source in asked)
    found = [entry for entry in told if entry.kind in question.kinds]
    return sorted(found, key=lambda entry: (entry.last_at or entry.at, entry.id), reverse=True)[
        :MOST
    ]


def beside(question: Question) -> list[Beside]:
    """What the sources that are asked say besides."""
    return [s.beside(question) for s in _sources.values() if s.beside and s.is_asked(question)]
