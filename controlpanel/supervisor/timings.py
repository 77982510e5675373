"""How long each part of the start took."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

Say = Callable[[str], None]


@dataclass
class Timings:
    """Seconds by part, in the order in which the parts ended; `say` gets a line for each.

    `before` holds the seconds of the parts that ran before this process: the environment's.
    """

    say: Say
    before: Mapping[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the block; a part that fails gets no line."""
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun
        self.say(f"  {name:<14}{self.seconds[name]:6.1f} s")

    def table(self) -> list[str]:
        """One line per part and the total by the clock (parts may overlap, so it is no sum)."""
        total = sum(self.before.values()) + time.monotonic() - self.started
        rows = {**self.before, **self.seconds, "total": total}
        return [f"  {name:<14}{seconds:6.1f} s" for name, seconds in rows.items()]
