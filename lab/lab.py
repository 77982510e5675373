"""The lab's Swarm as a whole: up, down, and what can be done to its nodes."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from lab import formation, leftovers, store
from lab.cgroups import Group
from lab.engine import Engine
from lab.layout import Layout, NodePlan
from lab.network import Switch
from lab.preflight import CannotStart
from lab.sandbox import CommandFailed
from lab.swarm import Address, Nodes

SWITCH, RECORD = "switch", "made-of.json"


class NoSuchNode(Exception):
    """The lab has no node of this name."""


class Lab:
    """One lab. Whatever is there already is left as it is, so a half-built one is completed.

    `images` is the store that nodes are born with, `programs` the prefix of another engine's
    programs than the machine's own; `tethered` ends all of it with this process.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        images: Path | None = None,
        programs: Path | None = None,
        tethered: bool = False,
    ) -> None:
        self.layout = layout
        self._images = images
        self._programs = programs
        self._tethered = tethered
        self.group = Group(layout.group)
        self.switch = Switch(layout.directory(SWITCH), self._group_of(SWITCH))
        self.engines = {
            node.name: Engine(
                layout.directory(node.name), self._group_of(node.name), node.name,
                programs=programs, tethered=tethered,
            )
            for node in layout.nodes
        }  # fmt: skip

    # --- On disk, for the next command -----------------------------------------------------------

    def remember(self) -> None:
        """Keep what it is made of. Raises CannotStart if one runs that is made of other things."""
        made_of = json.dumps(
            [str(path) if path else None for path in (self._images, self._programs)]
        )
        record = self.layout.root / RECORD
        if record.exists() and record.read_text() != made_of and self.running():
            raise CannotStart(
                "A lab of other images or another engine runs: `make lab-down` first."
            )
        self.layout.root.mkdir(parents=True, exist_ok=True)
        record.write_text(made_of)

    @classmethod
    def found(cls, layout: Layout) -> "Lab":
        """The lab that was made on this machine. Raises CannotStart if there is none."""
        record = layout.root / RECORD
        if not record.exists():
            raise CannotStart("There is no lab on this machine: `make lab` first.")
        images, programs = (Path(text) if text else None for text in json.loads(record.read_text()))
        return cls(layout, images=images, programs=programs)

    def running(self) -> bool:
        return bool(self.group.processes())

    def _group_of(self, name: str) -> Group:
        return Group(f"{self.layout.group}/{name}")

    def engine(self, name: str) -> Engine:
        """Raises NoSuchNode."""
        if name not in self.engines:
            raise NoSuchNode(f"There is no node {name}: {', '.join(self.engines)}.")
        return self.engines[name]

    @property
    def managers(self) -> list[Engine]:
        return [self.engines[node.name] for node in self.layout.nodes if node.manager]

    @property
    def nodes(self) -> Nodes:
        """Where each node's engine answers, and the node itself."""
        return {
            node.name: Address(self.engines[node.name].url, self.layout.address(node))
            for node in self.layout.nodes
        }

    # --- All of it -------------------------------------------------------------------------------

    def power_on(self) -> None:
        """The switch and every node are on, and their engines answer."""
        self._start_switch()
        for node in self.layout.nodes:
            self._boot(node)
        for engine in self.engines.values():
            engine.until_up()

    def form_swarm(self) -> None:
        formation.form(self.layout, self.engines)

    def down(self) -> list[str]:
        """End all of its processes and remove all of its files, mounts, groups and interfaces.

        Answers what is left in spite of that.
        """
        self.group.kill()
        self.group.remove()
        if self.layout.on_machine:
            self.switch.unplug_machine(self.layout.interface, self.layout.network)
        if self.layout.root.exists():
            shutil.rmtree(self.layout.root)
        return leftovers.of(self.layout)

    def _start_switch(self) -> None:
        layout, switch = self.layout, self.switch
        if switch.sandbox.running():
            return
        for engine in self.engines.values():  # their cables ended in the switch that is gone
            engine.power_off()
        switch.power_on(tethered=self._tethered)
        if layout.on_machine:
            switch.plug_machine(layout.interface, layout.machine_address, layout.network)
        switch.serve_names(layout.dns_address)

    # --- One node --------------------------------------------------------------------------------

    def _boot(self, node: NodePlan) -> None:
        engine = self.engines[node.name]
        if not engine.sandbox.running():
            self._furnish(node)
            self.switch.unplug(node.name)
            engine.power_on()
        if node.name not in self.switch.ports():
            self.switch.plug(node.name, engine.sandbox, self.layout.address(node))
        engine.launch()

    def _furnish(self, node: NodePlan) -> None:
        """What a node finds on its disk."""
        directory, address = self.layout.directory(node.name), self.layout.address(node)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "resolv.conf").write_text(f"nameserver {self.layout.dns_address}\n")
        (directory / "hosts").write_text(f"127.0.0.1 localhost\n{address} {node.name}\n")
        if self._images is not None:
            store.give(self._images, directory)

    def off(self, name: str) -> None:
        """Cut the node's power: everything on it dies at once, its disk stays."""
        self.engine(name).power_off()
        self.switch.unplug(name)

    def on(self, name: str) -> None:
        """Give it power again, and wait until its engine answers."""
        engine = self.engine(name)
        self._boot(next(node for node in self.layout.nodes if node.name == name))
        engine.until_up()

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        """Part the network: the nodes of each group reach one another alone.

        Nodes that are not named stay with the first group, as does the machine.
        """
        for name in (name for group in groups for name in group):
            self.engine(name)
        off = [name for group in groups for name in group if name not in self.switch.ports()]
        if off:
            raise CommandFailed(f"{', '.join(off)} is off and has no cable.")
        self.switch.heal()
        self.switch.partition(groups)

    def heal(self) -> None:
        self.switch.heal()

    def memory(self) -> int:
        """Bytes that all of it holds."""
        return self.group.memory()
