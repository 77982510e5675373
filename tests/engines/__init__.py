"""Docker Engines for tests, real and simulated: private, disposable, without a registry."""

from lab.waiting import Timeout, wait_for, wait_until
from tests.engines.engine import Engine, EngineFailed, missing_prerequisite
from tests.engines.pair import EnginePair, SimulatedPair
from tests.engines.simulated import SimulatedEngine

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
