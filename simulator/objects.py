"""The objects that a Swarm's managers store. Specs are kept as the client posted them."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

Spec = dict[str, Any]


class TaskState(IntEnum):
    """In the order of a task's life; the numbers are swarmkit's, the names the API's."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832

    @property
    def api_name(self) -> str:
        return self.name.lower()


@dataclass(slots=True)
class Record:
    """What every stored object has. `version` is the index of its last write."""

    id: str
    version: int = 0
    created: int = 0
    updated: int = 0
    rendered: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True, frozen=True)
class UpdateStatus:
    state: str
    message: str
    started: int
    completed: int | None = None


@dataclass(slots=True)
class Service(Record):
    spec: Spec = field(default_factory=dict)
    previous_spec: Spec | None = None
    spec_version: int = 0
    previous_spec_version: int = 0
    update_status: UpdateStatus | None = None
    endpoint_ports: list[Spec] = field(default_factory=list)
    virtual_ips: list[Spec] = field(default_factory=list)
    job_iteration: int | None = None
    last_execution: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["Name"])

    @property
    def mode(self) -> str:
        """`Replicated`, `Global`, `ReplicatedJob` or `GlobalJob`."""
        return str(next(iter(self.spec["Mode"])))

    @property
    def is_job(self) -> bool:
        return self.job_iteration is not None

    @property
    def replicas(self) -> int:
        return int((self.spec["Mode"].get("Replicated") or {}).get("Replicas", 0))


@dataclass(slots=True, frozen=True)
class TaskStatus:
    state: TaskState
    message: str
    timestamp: int
    error: str = ""
    container_id: str | None = None
    pid: int = 0
    exit_code: int = 0


@dataclass(slots=True)
class Task(Record):
    service_id: str = ""
    slot: int = 0
    by_node: bool = False
    node_id: str = ""
    spec: Spec = field(default_factory=dict)
    spec_version: int = 0
    endpoint_spec: Spec | None = None
    status: TaskStatus = TaskStatus(TaskState.NEW, "created", 0)
    desired: TaskState = TaskState.RUNNING
    networks: list[Spec] = field(default_factory=list)
    job_iteration: int | None = None
    started: int = 0

    @property
    def state(self) -> TaskState:
        return self.status.state

    @property
    def place(self) -> tuple[int, str]:
        """What its tasks replace each other in: a slot, or a node of a global service."""
        return (0, self.node_id) if self.by_node else (self.slot, "")

    @property
    def image(self) -> str:
        return str(self.spec["ContainerSpec"]["Image"])


@dataclass(slots=True)
class Node(Record):
    spec: Spec = field(default_factory=dict)
    hostname: str = ""
    address: str = ""
    nano_cpus: int = 0
    memory_bytes: int = 0
    engine_labels: dict[str, str] = field(default_factory=dict)
    state: str = "ready"
    message: str = ""
    leader: bool = False
    reachability: str = "reachable"

    @property
    def availability(self) -> str:
        return str(self.spec["Availability"])

    @property
    def role(self) -> str:
        return str(self.spec["Role"])

    @property
    def invalid(self) -> bool:
        """Tasks may not stay on it."""
        return self.state == "down" or self.availability == "drain"


@dataclass(slots=True)
class Network(Record):
    spec: Spec = field(default_factory=dict)
    subnet: int = 0
    vxlan: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["Name"])


@dataclass(slots=True)
class Secret(Record):
    spec: Spec = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.spec["Name"])


@dataclass(slots=True)
class Config(Record):
    spec: Spec = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.spec["Name"])
