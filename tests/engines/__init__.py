"""Docker Engines for tests, real and simulated: private, disposable, without a registry."""

from tests.engines.engine import Engine, EngineFailed, missing_prerequisite
from tests.engines.pair import EnginePair, SimulatedPair
from tests.engines.simulated import SimulatedEngine
from tests.engines.waiting import Timeout, wait_for, wait_until

__all__ = [
    "Engine",
    "EngineFailed",
    "EnginePair",
    "SimulatedEngine",
    "SimulatedPair",
    "Timeout",
    "missing_prerequisite",
    "wait_for",
    "wait_until",
]
