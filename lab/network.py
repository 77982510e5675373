"""A switch with a cable to every node, in a network namespace of its own.

On the machine itself the filters of a Docker Engine (FORWARD DROP) would eat the nodes' frames. The
nodes have no default route, and the machine has an unreachable one for the lab's addresses while
their cable is not there: nothing leaves the lab.
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lab.cgroups import Group
from lab.sandbox import CommandFailed, Sandbox

NAMESPACES = ("net", "mount", "pid")
BRIDGE, HOST_PORT = "br0", "host"
PREFIX_LENGTH = 24
LAST_RESORT = "4278198272"  # a route's metric after which none is tried
DNS = Path(__file__).with_name("dns.py")
MAC = "02:70:68:00:00:01"  # fixed, or the kernel would take the lowest of whoever is plugged in
START = f"""
set -e
ip link set lo up
ip link add {BRIDGE} address {MAC} type bridge
ip link set {BRIDGE} up
touch "$0/ready"
exec env --ignore-signal=CHLD sleep infinity
"""
TIMEOUT = 20.0  # seconds


def host_ip(*arguments: str) -> str:
    """`ip` on the machine itself. Raises CommandFailed."""
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    if done.returncode != 0:
        raise CommandFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Switch:
    """The switch; ports are called by the names of what is plugged in."""

    def __init__(self, directory: Path, group: Group) -> None:
        self.sandbox = Sandbox(directory, group, NAMESPACES)

    def power_on(self, *, tethered: bool = False) -> None:
        self.sandbox.directory.mkdir(parents=True, exist_ok=True)
        self.sandbox.start("sh", "-c", START, str(self.sandbox.directory), tethered=tethered)

    def power_off(self) -> None:
        """Every cable vanishes with it."""
        self.sandbox.kill()

    def plug(self, name: str, node: Sandbox, address: str) -> None:
        """A cable to the node, whose end is `eth0` with this address."""
        ends = ("link", "add", name, "netns", str(self.sandbox.init), "type", "veth")
        host_ip(*ends, "peer", "name", "eth0", "netns", str(node.init))
        self._connect(name)
        node.run("ip", "address", "add", f"{address}/{PREFIX_LENGTH}", "dev", "eth0")
        node.run("ip", "link", "set", "eth0", "up")

    def unplug(self, name: str) -> None:
        """The kernel takes a dead node's cable away too, but in its own time."""
        with suppress(CommandFailed):
            self._ip("link", "delete", name)

    def plug_machine(self, interface: str, address: str, network: str) -> None:
        """A cable to the machine itself; what is left of an earlier one goes first."""
        self.unplug_machine(interface, network)
        ends = ("link", "add", interface, "type", "veth", "peer", "name", HOST_PORT)
        host_ip(*ends, "netns", str(self.sandbox.init))
        self._connect(HOST_PORT)
        host_ip("address", "add", f"{address}/{PREFIX_LENGTH}", "dev", interface)
        host_ip("link", "set", interface, "up")
        host_ip("route", "replace", "unreachable", network, "metric", LAST_RESORT)

    def unplug_machine(self, interface: str, network: str) -> None:
        """Take the machine's end away, should the kernel not have done so with the switch."""
        with suppress(CommandFailed):  # it is not there, or is going this moment
            host_ip("link", "delete", interface)
        with suppress(CommandFailed):
            host_ip("route", "delete", "unreachable", network, "metric", LAST_RESORT)

    def _connect(self, port: str) -> None:
        self._ip("link", "set", port, "master", BRIDGE)
        self._ip("link", "set", port, "up")

    def _ip(self, *arguments: str) -> str:
        return self.sandbox.run("ip", *arguments)

    def serve_names(self, address: str) -> None:
        """Answer questions for names at this address: that there is no such name."""
        present = self._ip("-oneline", "address", "show", "dev", BRIDGE)
        if f" {address}/" not in present:
            self._ip("address", "add", f"{address}/{PREFIX_LENGTH}", "dev", BRIDGE)
        self.sandbox.spawn(sys.executable, "-I", str(DNS), address, log="dns.log")

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        """Let the ports of each group reach one another alone; the first one keeps the rest."""
        for number, ports in enumerate(groups[1:], 1):
            bridge = f"part{number}"
            self._ip("link", "add", bridge, "type", "bridge")
            self._ip("link", "set", bridge, "up")
            for port in ports:
                self._ip("link", "set", port, "master", bridge)

    def heal(self) -> None:
        """Undo every partition."""
        for port in self.ports():
            self._ip("link", "set", port, "master", BRIDGE)
        for bridge in self._names("type", "bridge"):
            if bridge != BRIDGE:
                self._ip("link", "delete", bridge)

    def ports(self) -> list[str]:
        return self._names("type", "veth")

    def _names(self, *which: str) -> list[str]:
        lines = self._ip("-oneline", "link", "show", *which).splitlines()
        return [line.split()[1].rstrip(":").split("@")[0] for line in lines]
