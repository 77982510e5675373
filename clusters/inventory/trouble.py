"""Since when a service has been unwell: through its restarts, and until it has run for a while."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clusters.readings import Health

UNWELL = frozenset({Health.FAILING, Health.PENDING, Health.PAUSED, Health.STARTING})
# A container that crashes at its start runs for a moment, each time. Only a service that has run
# for as long as this has got over it: until then it is unstable, whatever it is in.
RECOVERED = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of a service between two looks."""

    name: str
    stack: str
    health: str
    unwell_since: datetime | None = None  # kept until it has recovered
    well_since: datetime | None = None
    failed: bool = False  # since then

    @property
    def unstable(self) -> bool:
        return self.unwell_since is not None and self.well_since is not None

    def recovered(self, now: datetime) -> bool:
        return self.unstable and self.well_since is not None and now - self.well_since >= RECOVERED


def remembered(
    name: str, stack: str, health: str, unwell: datetime | None, well: datetime | None
) -> Past:
    """As a predecessor wrote it."""
    failed = well is not None or health == Health.FAILING
    return Past(name, stack, health, unwell, well, failed)


def become(before: Past | None, name: str, stack: str, health: str, now: datetime) -> Past:
    """The same service with its present health."""
    past = Past(name, stack, health)
    failed = health == Health.FAILING or (before is not None and before.failed)
    if health in UNWELL:
        since = before.unwell_since if before else None
        return replace(past, unwell_since=since or now, failed=failed)
    if before is None or before.unwell_since is None or not failed:
        return past
    # A rollout is neither well nor unwell: only what runs afterwards tells whether it has helped.
    well = None if health == Health.UPDATING else before.well_since or now
    return replace(past, unwell_since=before.unwell_since, well_since=well, failed=True)


def over_it(past: dict[str, Past], now: datetime) -> Iterable[tuple[str, Past]]:
    """Those that have recovered by the mere passing of time, as they are from now on."""
    for key, was in past.items():
        if was.recovered(now):
            yield key, Past(was.name, was.stack, was.health)
