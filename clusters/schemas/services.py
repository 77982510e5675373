"""Services, with their tasks and revisions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from access.paging import Paging
from clusters.readings import Health
from clusters.selectors.services import SORTS

SORT = f"^-?({'|'.join(SORTS)})$"
Spec = dict[str, Any]


class ServiceFilter(Paging):
    q: str = Field(
        "", max_length=200, description="Words in the name, the image or the last error."
    )
    stack: str | None = Field(
        None, max_length=64, description="One stack; an empty value asks for services without one."
    )
    state: Health | None = Field(None, description="What the service is in.")
    image: str = Field("", max_length=512, description="A part of the image's name.")
    sort: str = Field(
        "name",
        pattern=SORT,
        description="A column: " + ", ".join(SORTS) + ". “-” before it reverses the order.",
    )


class Replicas(Schema):
    running: int
    desired: int


class UpdateStatus(Schema):
    state: str = Field(description="Swarm's own word; empty if there was no update.")
    message: str


class ServiceRow(Schema):
    """A service as Swarm last showed it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "kq3s1o2m6v0r8t4y7u9i5p1a2",
                    "name": "shop_web",
                    "cluster": "local",
                    "stack": "shop",
                    "image": "registry.example.net/shop/web:1.4",
                    "mode": "replicated",
                    "state": "running",
                    "replicas": {"running": 3, "desired": 3},
                    "update": {"state": "completed", "message": "update completed"},
                    "version": 1041,
                    "placement": "node.role == worker",
                    "last_error": "",
                    "last_error_at": None,
                    "created_at": "2026-01-01T08:00:00Z",
                    "updated_at": "2026-01-02T08:00:00Z",
                }
            ]
        }
    )

    id: str
    name: str
    cluster: str
    stack: str = Field(description="Empty for a service without a stack.")
    image: str
    mode: str = Field(description="replicated, global, replicated-job or global-job.")
    state: str = Field(description="running, starting, updating, paused, failing, pending, …")
    replicas: Replicas
    update: UpdateStatus
    version: int = Field(description="Send it with a change to refuse overwriting somebody else's.")
    placement: str
    last_error: str
    last_error_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Task(Schema):
    id: str
    slot: str = Field(description="The replica's number, or the node of a global service's task.")
    node: str = Field(description="The node's host name; empty if the task has no node yet.")
    node_ready: bool
    state: str = Field(description="Swarm's word, or “lost” for one on a node that is not ready.")
    desired_state: str
    current: bool = Field(description="Whether it was made from the service's present template.")
    message: str
    error: str
    exit_code: int | None
    image: str
    container_id: str
    created_at: datetime
    state_at: datetime


class Revision(Schema):
    """A spec that the service has had. Roll back to it by its number."""

    number: int
    version: int
    image: str
    seen_at: datetime
    operation: UUID | None = Field(description="The operation that made it, if the panel did.")
    requested_by: str
    spec: Spec


class Service(ServiceRow):
    """A service with all that is known of it. Specs are the Engine's own."""

    spec: Spec
    previous_spec: Spec | None
    endpoint: dict[str, Any]
    tasks: list[Task]
    revisions: list[Revision] = Field(description="The newest 20, the newest first.")
