"""Which alerts fired, when, and of which service: what the series ALERTS tells. Pure.

An alert's annotations are not in it: its name, its severity and its labels are all that is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Labels
from dataclasses import dataclass
from hashlib import sha256

from metrics.labels import label_of
from metrics.mapping import Mapping, Service
from metrics.ports import Series
from metrics.promql import selector
from metrics.windows import Window

FIRING = selector("ALERTS", ("alertstate", "=", "firing"))
MOST = 1000  # stretches of one answer, the newest ones
_TOLD = ("alertname", "alertstate", "severity")
NOBODY = Service("")


@dataclass(frozen=True, slots=True)
class Fired:
    """One stretch in which an alert fired, in seconds since 1970.

    `service` is NOBODY if the alert names none of the cluster's. `details` are the labels of such
    an alert, which tell what it is about.
    """

    name: str
    severity: str
    details: str
    service: Service
    since: float
    until: float | None  # None: it fires still
    before: bool  # it fired already when the window began

    @property
    def title(self) -> str:
        return f"{self.name} ({self.severity})" if self.severity else self.name

    @property
    def id(self) -> str:
        """The same in each answer about the same window, as long as it moves on by whole steps."""
        what = (self.name, self.severity, self.details, self.service.name)
        digest = sha256("\0".join(what).encode()).hexdigest()[:12]
        return f"alert-{digest}-{'before' if self.before else int(self.since)}"


_What = tuple[str, str, str, Service]  # name, severity, details, service


def fired(
    mapping: Mapping,
    services: Sequence[Service],
    series: Iterable[Series],
    now: Iterable[Series],
    window: Window,
) -> tuple[Fired, ...]:
    """The stretches in which alerts fired, the oldest first.

    `now` are those that fire now: a long window's last point may be many minutes old. The same
    alert of several tasks of a service is one.
    """
    owners = _Owners(mapping, services)
    times: dict[_What, set[float]] = {}
    for one in series:
        times.setdefault(_what(one, owners), set()).update(at for at, _ in one.points)
    still = {_what(one, owners) for one in now}
    for what in still:
        times.setdefault(what, set()).add(window.end)
    found = [
        Fired(*what, first, _until(last, window, still=what in still), first <= window.start)
        for what, at in times.items()
        for first, last in spans(sorted(at), window.step)
    ]
    return tuple(sorted(found, key=lambda one: (one.since, one.id))[-MOST:])


def _what(one: Series, owners: "_Owners") -> _What:
    owner = owners.of(one.labels)
    details = label_of(one, _TOLD, " ").strip() if owner == NOBODY else ""
    name, severity = one.labels.get("alertname", "Alert"), one.labels.get("severity", "")
    return name, severity, details, owner


def _until(last: float, window: Window, *, still: bool) -> float | None:
    return None if still and last >= window.end else last


class _Owners:
    """Finds the service that an alert's labels name, by the labels that series of services have."""

    def __init__(self, mapping: Mapping, services: Sequence[Service]) -> None:
        self._known: list[tuple[str, dict[str, list[Service]]]] = []
        for naming in mapping.namings:
            by_value: dict[str, list[Service]] = {}
            for service in services:
                by_value.setdefault(naming.value(service.name, service.stack), []).append(service)
            self._known.append((naming.label, by_value))

    def of(self, labels: Labels[str, str]) -> Service:
        """NOBODY also if two stacks have a service of this name: neither may see the other's."""
        for label, by_value in self._known:
            named = by_value.get(labels.get(label, ""), [])
            if named:
                return named[0] if len(named) == 1 else NOBODY
        return NOBODY


def spans(times: Sequence[float], step: int) -> Iterator[tuple[float, float]]:
    """Times without a gap, as (first, last)."""
    first = last = None
    for at in times:
        if first is None or last is None or at - last > 1.5 * step:
            if first is not None and last is not None:
                yield first, last
            first = at
        last = at
    if first is not None and last is not None:
        yield first, last
