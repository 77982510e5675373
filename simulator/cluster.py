"""A whole simulated Swarm: its store, its managers' loops and its nodes' agents."""

from simulator.agent import Agents
from simulator.allocator import Allocator
from simulator.clock import Clock, now
from simulator.events import Events
from simulator.identifiers import join_token, object_id
from simulator.logs import Chatter, Logs
from simulator.objects import Network, Node, Record, TaskState
from simulator.orchestrator import Orchestrator
from simulator.ports import PublishedPorts
from simulator.reaper import Reaper
from simulator.scheduler import Scheduler
from simulator.store import Store

GIGABYTE = 1 << 30
HISTORY_LIMIT = 5


class Swarm:
    """`active` is False for an engine outside Swarm mode, until it is initialised."""

    def __init__(
        self, speed: float = 1.0, active: bool = True, chatter: dict[str, Chatter] | None = None
    ) -> None:
        self.clock = Clock(speed)
        self.store = Store()
        self.events = Events(self.store)
        self.logs = Logs(chatter, speed)
        self.agents = Agents(self.store, self.clock, self.events)
        self.orchestrator = Orchestrator(self.store, self.clock)
        self.allocator = Allocator(self.store, self.clock)
        self.scheduler = Scheduler(self.store, self.clock)
        self.reaper = Reaper(self.store, HISTORY_LIMIT)
        self.ports = PublishedPorts()
        self.record = Record("")
        self.engine_id = object_id().upper()
        self.tokens: dict[str, str] = {}
        self.spec: dict[str, object] = {}
        self.active = False
        if active:
            self.initialise()

    def initialise(self, first_node: str = "manager-1") -> None:
        """Make this engine the first manager of a new Swarm."""
        self.active = True
        self.record = Record(object_id(), version=self.store.index, created=now(), updated=now())
        self.tokens = {"Worker": join_token("worker"), "Manager": join_token("manager")}
        self.spec = swarm_spec()
        leader = self.add_node(first_node, role="manager", leader=True)
        self.events.local_node_id = leader.id
        ingress = {"Name": "ingress", "Driver": "overlay", "Ingress": True}
        self.store.load(Network(object_id(), spec=ingress, subnet=0, vxlan=4096))

    def add_node(
        self,
        hostname: str,
        role: str = "worker",
        labels: dict[str, str] | None = None,
        leader: bool = False,
        cpus: int = 8,
        gigabytes: int = 32,
    ) -> Node:
        number = len(self.store.nodes) + 1
        spec = {"Labels": labels or {}, "Role": role, "Availability": "active"}
        node = Node(
            object_id(),
            spec=spec,
            hostname=hostname,
            address=f"10.10.{number // 250}.{number % 250 + 1}",
            nano_cpus=cpus * 1_000_000_000,
            memory_bytes=gigabytes * GIGABYTE,
            leader=leader,
        )
        return self.store.load(node)

    @property
    def local_node(self) -> Node:
        """The node whose engine answers."""
        return self.store.nodes.by_id[self.events.local_node_id]

    def adopt_tasks(self) -> None:
        """Start watching over tasks that were loaded in the running state."""
        for task in self.store.tasks:
            if task.state == TaskState.RUNNING:
                self.scheduler.adopt(task)
                self.agents.adopt(task)


def swarm_spec() -> dict[str, object]:
    return {
        "Name": "default",
        "Labels": {},
        "Orchestration": {"TaskHistoryRetentionLimit": HISTORY_LIMIT},
        "Raft": {
            "SnapshotInterval": 10000,
            "KeepOldSnapshots": 0,
            "LogEntriesForSlowFollowers": 500,
            "ElectionTick": 10,
            "HeartbeatTick": 1,
        },
        "Dispatcher": {"HeartbeatPeriod": 5_000_000_000},
        "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    }
