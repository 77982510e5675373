"""A Swarm of two nodes, a manager and a worker that can be lost and come back."""

import subprocess
from contextlib import ExitStack
from types import TracebackType

from tests.engines.engine import Engine
from tests.engines.simulated import SimulatedEngine
from tests.engines.waiting import wait_until

MANAGER, WORKER = "10.99.0.1", "10.99.0.2"
CABLE = "cable"


class EnginePair:
    """Two real engines on one cable. The worker is lost by a power failure."""

    worker_name = "node-2"

    def __init__(self) -> None:
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Where the manager answers."""
        return self.manager.url

    def __enter__(self) -> "EnginePair":
        with ExitStack() as stack:
            self.manager = stack.enter_context(Engine(swarm=False, hostname="node-1"))
            self.worker = stack.enter_context(Engine(swarm=False, hostname=self.worker_name))
            self._connect()
            self._form_swarm()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _connect(self) -> None:
        first, second = self.manager.namespace, self.worker.namespace
        ends = (CABLE, "netns", str(first), "type", "veth", "peer", CABLE, "netns", str(second))
        _run("ip", "link", "add", *ends)
        for namespace, address in ((first, MANAGER), (second, WORKER)):
            enter = ("nsenter", "--target", str(namespace), "--net")
            _run(*enter, "ip", "address", "add", f"{address}/24", "dev", CABLE)
            _run(*enter, "ip", "link", "set", CABLE, "up")

    def _form_swarm(self) -> None:
        with self.manager.client() as manager, self.worker.client() as worker:
            manager.init_swarm(advertise_addr=MANAGER, listen_addr=f"{MANAGER}:2377")
            worker.join_swarm(
                remote_addrs=[f"{MANAGER}:2377"],
                join_token=manager.inspect_swarm()["JoinTokens"]["Worker"],
                advertise_addr=WORKER,
                listen_addr=f"{WORKER}:2377",
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        def both_ready() -> bool:
            with self.manager.client() as client:
                states = [node["Status"]["State"] for node in client.nodes()]
            return states == ["ready", "ready"]

        wait_until(both_ready, "both nodes are ready", 60)

    def lose_worker(self) -> None:
        """Cut its power; managers notice after three missed heartbeats (10 to 16 s)."""
        self.worker.power_off()

    def restore_worker(self) -> None:
        self.worker.power_on(prepare=self._connect)
        self._wait_ready()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10)


class SimulatedPair(SimulatedEngine):
    """The same, simulated: the worker is lost at once."""

    worker_name = "worker-2"

    def __init__(self) -> None:
        super().__init__("--nodes", "2", "--managers", "1")

    def __enter__(self) -> "SimulatedPair":
        super().__enter__()
        return self

    def lose_worker(self) -> None:
        self.post(f"/_simulator/nodes/{self.worker_name}/down")

    def restore_worker(self) -> None:
        self.post(f"/_simulator/nodes/{self.worker_name}/up")
