"""Real Docker Engines for tests: private, disposable, without a registry."""

from tests.engines.engine import Engine, EngineFailed, missing_prerequisite

__all__ = ["Engine", "EngineFailed", "missing_prerequisite"]
