"""The API's answers and filters. The bodies that ask for changes stand in `clusters.changes`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from access.paging import Paging
from clusters.changes import Content, NewObject
from clusters.models import Cluster, Operation
from clusters.readings import Health
from clusters.selectors.services import SORTS

SORT = f"^-?({'|'.join(SORTS)})$"
OperationState = Literal[("active", *Operation.State.values)]  # type: ignore[valid-type]
Flag = Literal["true", "false"]
Spec = dict[str, Any]


# --- Questions -----------------------------------------------------------------------------------


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


class OperationFilter(Paging):
    state: OperationState | None = Field(None, description="“active” means not yet ended.")
    cluster: str = Field("", max_length=64, description="One cluster, by name.")


class LogFilter(Schema):
    tail: int = Field(200, ge=1, le=5000, description="The newest lines, of all tasks together.")
    since: int = Field(
        0, ge=0, le=366 * 86400, description="Only lines of the last so many seconds; 0 for all."
    )
    task: str = Field("", max_length=64, description="One task, by its id.")


class DryRun(Schema):
    dry_run: Flag = Field(
        "false", description="“true” answers what the change would do, and changes nothing."
    )


class ObjectFilter(Paging):
    q: str = Field("", max_length=200, description="A part of the name.")
    stack: str | None = Field(
        None, max_length=64, description="One stack; an empty value asks for those without one."
    )


# --- Secrets and configs -------------------------------------------------------------------------


class NewSecret(NewObject, Content):
    """A secret to be. Give the value as text, or in Base64 for any bytes."""

    keep: bool = Field(
        False, description="Seal the value in the panel, so that the secret can be put back."
    )


class NewConfig(NewObject, Content):
    """A config to be. Give the content as text, or in Base64 for any bytes."""


class NewValue(Content):
    """The new value of a secret."""

    keep: bool = Field(False, description="Seal the new value in the panel.")


class NewContent(Content):
    """The new content of a config."""


class Created(Schema):
    id: str
    name: str


class ObjectRow(Schema):
    id: str
    name: str
    cluster: str
    stack: str
    family: str = Field(description="What it is a version of: its name without the version.")
    version: int
    labels: dict[str, str]
    templating: str
    used_by: list[str] = Field(description="The services whose containers get it.")
    used_by_hidden: int = Field(description="How many more, that you may not see.")
    created_at: datetime
    updated_at: datetime


class SecretRow(ObjectRow):
    """A secret. Its value can be read by its services alone."""

    driver: str = Field(description="What holds the value, if it is not the Swarm itself.")


class ConfigRow(ObjectRow):
    size: int = Field(description="Bytes.")


class Mount(Schema):
    """How a service mounts it."""

    service: str
    file: str
    uid: str
    gid: str
    mode: int | None = Field(description="As a number: 292 is 0444.")


class VersionRow(Schema):
    name: str
    version: int
    created_at: datetime


class SecretDetail(SecretRow):
    consumers: list[Mount]
    versions: list[VersionRow] = Field(description="Of its family, the newest first.")


class ConfigDetail(ConfigRow):
    consumers: list[Mount]
    versions: list[VersionRow] = Field(description="Of its family, the newest first.")


class ConfigData(Schema):
    name: str
    size: int
    text: str | None = Field(description="Null if the content is no text in UTF-8.")
    base64: str


class RotatedService(Schema):
    service: str
    tasks: int = Field(description="Tasks that Swarm would replace.")
    update_config: dict[str, Any]


class RotationPreview(Schema):
    """What a rotation would do. Nothing was changed."""

    dry_run: Literal[True]
    kind: str
    target: str
    new_name: str = Field(description="Of the version that would be created.")
    services: list[RotatedService] = Field(description="In the order of their turns.")
    warnings: list[str]


# --- Answers -------------------------------------------------------------------------------------


class Difference(Schema):
    """One path of the spec that differs; null means absent."""

    path: str = Field(examples=["TaskTemplate.ContainerSpec.Image"])
    before: Any = None
    after: Any = None
    secret: bool = Field(False, description="An environment value; hidden from some roles.")


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


class Manager(Schema):
    address: str
    error: str = ""


class NodeCount(Schema):
    ready: int
    total: int


class ServiceCount(Schema):
    total: int
    troubled: int
    by_state: dict[str, int]


class ClusterRow(Schema):
    """A cluster at a glance, and how old that glance is."""

    name: str
    state: Literal[tuple(Cluster.State.values)] = Field(description="What its managers answer.")  # type: ignore[valid-type]
    message: str
    fresh: bool = Field(description="Whether what is shown is the present state.")
    stale_because: str
    seen_at: datetime | None = Field(description="When the picture was last known to be true.")
    simulated: bool
    swarm_id: str
    engine_version: str
    api_version: str
    managers: list[Manager]
    nodes: NodeCount
    services: ServiceCount
    tasks: Replicas
    active_operations: int


class Node(Schema):
    id: str
    hostname: str
    role: str
    availability: str
    state: str
    message: str
    address: str
    leader: bool
    reachability: str
    engine_version: str
    platform: str
    cpus: float
    memory: int = Field(description="Bytes.")
    labels: dict[str, str]
    running: int = Field(description="Tasks that run on it.")


class Network(Schema):
    id: str
    name: str
    stack: str
    driver: str
    scope: str
    attachable: bool
    encrypted: bool
    ingress: bool
    subnets: list[str]


class Stack(Schema):
    name: str
    services: int
    running: int
    desired: int
    troubled: int


class ClusterDetail(ClusterRow):
    members: list[Node]
    networks: list[Network]
    stacks: list[Stack]


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


class Decision(Schema):
    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=500, description="Why; the person who asked reads it.")


class Cancel(Schema):
    model_config = ConfigDict(extra="forbid")

    how: Literal["stop", "back"] = Field(
        description="“stop” leaves the tasks as they are now; “back” returns to the spec before."
    )
