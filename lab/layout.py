"""What the lab consists of, and where it is kept."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BASE, CACHE = "/var/lib", "/var/cache/pilothouse-lab"


@dataclass(frozen=True)
class NodePlan:
    """One node: its number gives its name and address."""

    number: int
    manager: bool
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"n{self.number}"


# A node carries one value of a label, and there are six Redis on five nodes: hence `redis2`.
NODES = (
    NodePlan(1, True, {"consul": "server1", "redis": "master1", "rabbitmq": "node1",
                       "postgres": "primary"}),
    NodePlan(2, True, {"consul": "server2", "redis": "master2", "rabbitmq": "node2",
                       "postgres": "replica1"}),
    NodePlan(3, True, {"consul": "server3", "redis": "master3", "rabbitmq": "node3",
                       "postgres": "replica2"}),
    NodePlan(4, False, {"redis": "slave1", "gpu": "true"}),
    NodePlan(5, False, {"redis": "slave2", "redis2": "slave3", "monitoring": "true"}),
)  # fmt: skip
NETWORKS = ("ai-mesh", "data-tier", "cache-tier", "monitoring")


@dataclass(frozen=True)
class Layout:
    """One lab. Labs of different names and subnets can run side by side.

    `subnet` is the first three numbers of its addresses; the machine itself has one of them only
    if `on_machine`. Base and cache must be on a real disk, where engines can store layers, and not
    below /run, of which nodes have their own; nor the cache below /var/lib.
    """

    name: str = "lab"
    subnet: str = "10.77.0"
    nodes: tuple[NodePlan, ...] = NODES
    on_machine: bool = True
    base: Path = field(default_factory=lambda: Path(os.environ.get("PILOTHOUSE_LAB_DIR", BASE)))

    @property
    def root(self) -> Path:
        """All of the running lab; removed with it."""
        return self.base / self.group

    @property
    def cache(self) -> Path:
        """Packages and images; outlives the labs, which share it."""
        return Path(os.environ.get("PILOTHOUSE_LAB_CACHE", CACHE))

    @property
    def group(self) -> str:
        return f"pilothouse-{self.name}"

    @property
    def interface(self) -> str:
        """The machine's end of its cable (15 characters at most)."""
        return f"ph-{self.name}"[:15]

    @property
    def network(self) -> str:
        return f"{self.subnet}.0/24"

    @property
    def machine_address(self) -> str:
        return f"{self.subnet}.1"

    @property
    def dns_address(self) -> str:
        return f"{self.subnet}.2"

    def address(self, node: NodePlan) -> str:
        return f"{self.subnet}.{10 + node.number}"

    def directory(self, name: str) -> Path:
        """Of a node, or of the switch."""
        return self.root / name
