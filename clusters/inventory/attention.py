"""What the watcher reads next, so that its cost follows the change and not the cluster.

No event tells of a task's change, and events get lost. So a service that moves is *hot* and is read
by itself, several times a second, until it has settled; what makes a service hot is
- an event of the engine (a hint, never the truth),
- the probe: tasks that wait for their start are exactly those of desired state "ready", which the
  managers hold in an index, so that asking costs the same at 10 and at 10,000 tasks;
- the comparison of the services' versions and counts, and the sweep of all tasks, both spaced so
  that they take a fixed small share of the time however large the cluster is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

HOT = 0.25  # seconds between two reads of a service that moves
COOL = 5.0  # … of one that is unsettled but has not moved for long: pending, or starting slowly
STILL = 3.0  # seconds without a movement after which the reads of an unsettled service thin out
LINGER = 1.0  # seconds after which a settled service is read for the last time: a write may be late
PROBE = 0.5
NODES = 5.0
NETWORKS = 30.0
SECRETS = 30.0
CONFIGS = 60.0  # their list comes with all of their data
HEARTBEAT = 2.0
SHARE = 0.01  # of the time, for the comparison, and as much for the sweep
COMPARE = (1.0, 30.0)  # seconds, least and most
SWEEP = (10.0, 60.0)
TOGETHER = 0.5  # seconds: what is due falls on a multiple of it, so that it is done in one step
MANY = 50  # hot services above which one sweep is cheaper than their single reads


@dataclass(slots=True)
class _Heat:
    due: float
    moved: float  # when it last differed
    awaits: bool  # something surely happened that no reading has shown yet
    interval: float = HOT


@dataclass(slots=True)
class Attention:
    """The times at which each thing is due, on a monotonic clock in seconds."""

    _hot: dict[str, _Heat] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    def heat(self, service_ids: Iterable[str], now: float, *, awaits: bool = False) -> None:
        """These services move, or may: read them at once.

        `awaits`: one of their tasks changed where it runs, and its manager may not know yet.
        """
        for service_id in service_ids:
            before = self._hot.get(service_id)
            waits = awaits or (before is not None and before.awaits)
            self._hot[service_id] = _Heat(due=now, moved=now, awaits=waits)

    def hot_due(self, now: float) -> list[str]:
        return [service_id for service_id, heat in self._hot.items() if heat.due <= now]

    def is_hot(self, service_id: str) -> bool:
        return service_id in self._hot

    def looked(
        self, service_id: str, now: float, *, moved: bool, settled: bool, as_asked: bool = False
    ) -> None:
        """A hot service was read: decide when again, or that it has settled.

        `as_asked`: its tasks are what its spec asks for, so that nothing more is expected.
        """
        heat = self._hot.get(service_id)
        if heat is None:
            return
        if moved:
            heat.moved, heat.interval, heat.awaits = now, HOT, False
        elif settled and now - heat.moved >= LINGER:
            del self._hot[service_id]
            return
        elif now - heat.moved >= STILL:
            heat.interval = min(COOL, heat.interval * 1.5)
        heat.due = now + (LINGER if as_asked and not heat.awaits else heat.interval)

    def forget(self, service_ids: Iterable[str]) -> None:
        for service_id in service_ids:
            self._hot.pop(service_id, None)

    def is_due(self, what: str, now: float) -> bool:
        return self._due.get(what, 0.0) <= now

    def again(self, what: str, now: float, after: float) -> None:
        self._due[what] = round((now + after) / TOGETHER) * TOGETHER

    def at_once(self, *what: str) -> None:
        for name in what:
            self._due[name] = 0.0

    def spaced(self, what: str, now: float, cost: float, bounds: tuple[float, float]) -> None:
        """Due again so that a thing of this cost (seconds) takes its share of the time, no more."""
        least, most = bounds
        self.again(what, now, min(most, max(least, cost / SHARE)))

    def rest(self, now: float) -> float:
        """Seconds until the next thing is due."""
        times = [heat.due for heat in self._hot.values()] + list(self._due.values())
        return max(0.0, min(times, default=now + PROBE) - now)
