"""What can be wrong with a request, in words that the person who asked can act on."""

from dataclasses import dataclass
from typing import Any

from access.problems import Invalid, NotFound, Problem
from clusters.specs import Difference

__all__ = ["Busy", "Clash", "Conflict", "Invalid", "NotFound", "Problem"]


class Busy(Problem):
    """The object has an operation under way. `operation_id` names it."""

    def __init__(self, message: str, operation_id: Any) -> None:
        super().__init__(message)
        self.operation_id = operation_id


@dataclass(frozen=True, slots=True)
class Clash:
    """Two changes of one spec: what somebody else did since, and what was asked."""

    current_version: int
    theirs: list[Difference]
    yours: list[Difference]


class Conflict(Problem):
    """Somebody else changed the service since the requester saw it; nothing was done."""

    def __init__(self, clash: Clash) -> None:
        super().__init__(
            "Somebody else changed this service since you looked. Nothing was changed: compare both"
            " changes and decide."
        )
        self.clash = clash
