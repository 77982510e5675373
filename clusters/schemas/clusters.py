"""Clusters, and what they consist of."""

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import Field

from clusters.models import Cluster
from clusters.schemas.services import Replicas


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
