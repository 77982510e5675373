"""What a change would do."""

from typing import Any, Literal

from ninja import Schema
from pydantic import Field

Flag = Literal["true", "false"]


class DryRun(Schema):
    dry_run: Flag = Field(
        "false", description="“true” answers what the change would do, and changes nothing."
    )


class Difference(Schema):
    """One path of the spec that differs; null means absent."""

    path: str = Field(examples=["TaskTemplate.ContainerSpec.Image"])
    before: Any = None
    after: Any = None
    secret: bool = Field(False, description="An environment value; hidden from some roles.")


class TaskRef(Schema):
    id: str
    slot: str
    node: str


class Preview(Schema):
    """What a change would do. Nothing was changed."""

    dry_run: Literal[True]
    kind: str
    target: str
    version: int = Field(
        description="Send it with the change, so that it applies to this very spec."
    )
    changes_nothing: bool
    differences: list[Difference]
    restarts: list[TaskRef] = Field(description="The running tasks that Swarm would replace.")
    adds: int = Field(description="Tasks that would be added.")
    removes: int = Field(description="Tasks that would be removed.")
    awaits_approval: bool = Field(
        description="Whether it would wait for somebody else: the cluster or stack is protected."
    )
    warnings: list[str]
