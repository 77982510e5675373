"""Operations, and what may be said to them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from access.paging import Paging
from clusters.models import Operation
from clusters.schemas.changes import Difference

OperationState = Literal[("active", *Operation.State.values)]  # type: ignore[valid-type]


class OperationFilter(Paging):
    state: OperationState | None = Field(None, description="“active” means not yet ended.")
    cluster: str = Field("", max_length=64, description="One cluster, by name.")


class Progress(Schema):
    done: int
    total: int
    unit: str


class Step(Schema):
    model_config = ConfigDict(extra="allow")

    name: str = ""
    state: str = ""
    at: datetime | None = None
    message: str = ""


class OperationRow(Schema):
    """Something asked of a cluster, from the request to its true result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b9ae1a8-7f0c-4f3a-9d5e-0a4b8f7d2c11",
                    "kind": "scale",
                    "cluster": "local",
                    "target": "shop_web",
                    "state": "running",
                    "progress": {"done": 2, "total": 3, "unit": "tasks"},
                    "steps": [],
                    "error": "",
                    "result": "",
                    "requested_by": "ada",
                    "created_at": "2026-01-02T08:00:00Z",
                    "started_at": "2026-01-02T08:00:01Z",
                    "finished_at": None,
                }
            ]
        }
    )

    id: UUID
    kind: str = Field(description="scale, update, rollback, restart or swarm-init.")
    cluster: str
    target: str
    state: str = Field(
        description="awaiting (approval), pending, running, cancelling, succeeded, failed,"
        " rolled_back, cancelled or interrupted. A rollout that Swarm took back is rolled_back,"
        " never succeeded."
    )
    progress: Progress
    steps: list[Step]
    error: str
    result: str = Field(description="The outcome in a sentence.")
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Conflict(Schema):
    """Two changes of one spec: compare them, and ask again at the current version."""

    current_version: int
    theirs: list[Difference]
    yours: list[Difference]


class OperationDetail(OperationRow):
    conflict: Conflict | None = Field(description="What somebody else changed, if that was why.")


class Decision(Schema):
    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=500, description="Why; the person who asked reads it.")


class Cancel(Schema):
    model_config = ConfigDict(extra="forbid")

    how: Literal["stop", "back"] = Field(
        description="“stop” leaves the tasks as they are now; “back” returns to the spec before."
    )
