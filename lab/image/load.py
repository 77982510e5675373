"""Load that can be set from outside: what a service under pressure looks like to its cluster."""

import random
import threading
import time
from dataclasses import asdict, dataclass

SLICE = 0.1
MEGABYTE = 1_000_000
PAGE = 4096


@dataclass
class Load:
    cpu: float = 0.0  # cores, at most one
    mem: float = 0.0  # MB that are held
    latency: float = 0.02  # seconds that an answer takes
    errors: float = 0.0  # the share of answers that are errors
    healthy: float = 1.0  # 0: the health check fails

    def __post_init__(self) -> None:
        self._ballast = bytearray()

    def start(self) -> None:
        threading.Thread(target=self._burn, daemon=True).start()

    def set(self, wanted: dict[str, str]) -> dict[str, float]:
        """Changes what is named; a ValueError says which name or number is wrong."""
        for name, value in wanted.items():
            if name not in asdict(self):
                raise ValueError(f"there is no load named {name}")
            setattr(self, name, float(value))
        self._hold(int(self.mem * MEGABYTE))
        return asdict(self)

    def fails(self) -> bool:
        return random.random() < self.errors  # noqa: S311 - weather, not a secret

    def _hold(self, size: int) -> None:
        if len(self._ballast) != size:
            self._ballast = bytearray(size)
            # Memory that was never written is not there.
            self._ballast[::PAGE] = b"x" * len(self._ballast[::PAGE])

    def _burn(self) -> None:
        while True:
            busy = SLICE * min(self.cpu, 1.0)
            end = time.monotonic() + busy
            while time.monotonic() < end:
                pass
            time.sleep(max(SLICE - busy, 0.001))
