"""What the product needs of a store of time series, and how it can fail. No framework here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Value = float | None  # None: not a number, or infinite

MOST_POINTS = 11_000  # of each series: Prometheus refuses more
MOST_SERIES = 2_000  # of one answer
MOST_BYTES = 16 * 2**20  # of one answer


class MetricsError(Exception):
    """A question has no answer. `str()` is a sentence for the person who asked."""


class MetricsAway(MetricsError):
    """The source does not answer, or not to us: it may do later, or once somebody helps."""


class WrongQuery(MetricsError):
    """The query makes no sense; `str()` is Prometheus' own message.

    `line` and `column` count from 1 and tell where it stopped reading; 0 if it did not say.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line, self.column = line, column


class TooMuch(MetricsError):
    """The answer would be larger than what Prometheus gives or the panel takes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an answer. A point is (seconds since 1970, value); a gap has no point."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, Value], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """`warnings` are Prometheus' own words on what may be missing from it."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Metrics(Protocol):
    """A store of time series that is asked in PromQL. Every call ends within the source's timeout.

    Each raises MetricsAway, WrongQuery, TooMuch.
    """

    def instant(self, query: str, at: datetime | None = None) -> Answer:
        """The value of each series at one moment: one point each. Now, if none is given."""

    def range(self, query: str, start: datetime, end: datetime, step: int) -> Answer:
        """Each series from `start` to `end`, both included, every `step` seconds."""

    def values(
        self, label: str, start: datetime, end: datetime, selector: str = ""
    ) -> tuple[str, ...]:
        """What the label says in the selector's series, or in all of them; sorted."""

    def labels(self, start: datetime, end: datetime, selector: str) -> tuple[str, ...]:
        """The names of the labels that the selector's series have; sorted."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a source. `token` and `password` are secrets."""

    address: str  # http://host:port/path or https://…
    token: str = ""  # for Authorization: Bearer
    username: str = ""  # for basic authentication, with `password`
    password: str = ""
    ca: str = ""  # PEM of a private CA; "" trusts the public ones
    timeout: float = 10.0  # seconds for a whole answer
    refused: tuple[str, ...] = ()  # networks that are never connected to
