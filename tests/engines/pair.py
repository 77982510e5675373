"""A Swarm of two nodes, a manager and a worker that can be lost and come back."""

from types import TracebackType

from lab import formation
from lab.lab import Lab
from lab.layout import Layout, NodePlan
from lab.waiting import wait_until
from tests.engines import images, leftovers
from tests.engines.engine import programs
from tests.engines.simulated import SimulatedEngine

NODES = (NodePlan(1, True, {}), NodePlan(2, False, {}))


class EnginePair:
    """A lab of two nodes. The worker is lost by a power failure."""

    worker_name = "n2"

    def __init__(self) -> None:
        name = leftovers.new_name().removeprefix("pilothouse-")
        base = leftovers.base_directory()
        layout = Layout(name, nodes=NODES, on_machine=False, base=base)
        self._lab = Lab(layout, programs=programs(), tethered=True)

    @property
    def url(self) -> str:
        """Where the manager answers."""
        return self._lab.engine("n1").url

    def __enter__(self) -> "EnginePair":
        leftovers.purge()
        leftovers.make(self._lab.layout.root)
        try:
            self._lab.power_on()
            for engine in self._lab.engines.values():
                engine.load(images.archive())
            self._lab.form_swarm()
        except BaseException:
            self._lab.down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lab.down()

    def lose_worker(self) -> None:
        """Cut its power; managers notice after three missed heartbeats (10 to 16 s)."""
        self._lab.off(self.worker_name)

    def restore_worker(self) -> None:
        self._lab.on(self.worker_name)
        with self._lab.engine("n1").client() as client:
            wait_until(lambda: len(formation.ready_nodes(client)) == 2, "both nodes are ready", 60)


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
