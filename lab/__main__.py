"""A real Swarm of five nodes on this machine with the reference stack, and what can be done to it.

`make lab` is the command `up`, `make lab-down` is `down`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

import docker.errors
import requests.exceptions

from lab import images, stack
from lab.engine import EngineFailed
from lab.lab import Lab, NoSuchNode
from lab.layout import Layout
from lab.lock import only_one
from lab.packages import PackagesFailed
from lab.panel import PanelFailed
from lab.preflight import CannotStart
from lab.sandbox import CommandFailed
from lab.stack import StackFailed
from lab.swarm import NotAnswering
from lab.up import MIB, panel_of, say, up
from lab.waiting import Timeout

Run = Callable[[Layout, argparse.Namespace], None]
FAILURES = (
    CannotStart, CommandFailed, EngineFailed, NoSuchNode, NotAnswering, PackagesFailed, PanelFailed,
    StackFailed, Timeout, OSError, subprocess.SubprocessError, docker.errors.DockerException,
    requests.exceptions.RequestException,
)  # fmt: skip
WAY_OUT = "`make lab` goes on from what is there; `make lab-down` removes all of it."
NODE_COMMANDS: dict[str, tuple[str, Callable[[Lab, str], None]]] = {
    "off": ("cut a node's power: everything on it dies at once", Lab.off),
    "on": ("give it power again, and wait for its engine", Lab.on),
    "kill": ("SIGKILL its dockerd; the containers run on", lambda lab, n: lab.engine(n).kill()),
    "stop": ("SIGTERM its dockerd", lambda lab, n: lab.engine(n).stop()),
    "start": ("start its dockerd again", lambda lab, n: lab.engine(n).start()),
    "cut": ("cut it off from every other node", lambda lab, n: lab.partition([[], [n]])),
}


def main() -> int:
    arguments = _parser().parse_args()
    layout = Layout(subnet=os.environ.get("PILOTHOUSE_LAB_SUBNET", Layout.subnet))
    try:
        arguments.run(layout, arguments)
    except FAILURES as failure:
        print(f"{failure}\n{WAY_OUT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. {WAY_OUT}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run=run, name=name)
        return added

    begin = command("up", _up, "make whatever is missing, and wait until all of it is healthy")
    begin.add_argument("--engine", type=int, help="a newer engine's major version, such as 28")
    begin.add_argument("--no-panel", dest="panel", action="store_false", help="only the Swarm")
    command("down", _down, "end all of it and remove every trace but the cache")
    command("status", _status, "show the nodes")
    for name, (words, _) in NODE_COMMANDS.items():
        command(name, _on_node, words).add_argument("node", help="n1 to n5")
    part = command("partition", _partition, "part the network, as in: partition n1,n2 n3,n4,n5")
    part.add_argument("groups", nargs="+", help="nodes that go on reaching one another")
    command("heal", _heal, "undo every partition")
    for name, run, words in (
        ("deploy", _deploy, "put a further stack of lab/stack on the Swarm, such as sentinel"),
        ("remove", _remove, "take a stack away again"),
    ):
        command(name, run, words).add_argument("stack", choices=stack.FURTHER)
    for name, words in (
        ("docker", "run the docker client against a node's engine"),
        ("exec", "run a command on a node"),
    ):
        inside = command(name, _docker if name == "docker" else _exec, words)
        inside.add_argument("node")
        inside.add_argument("words", nargs=argparse.REMAINDER)
    return parser


def _up(layout: Layout, arguments: argparse.Namespace) -> None:
    with only_one(layout):
        up(layout, engine=arguments.engine, panel=arguments.panel)


def _down(layout: Layout, arguments: argparse.Namespace) -> None:
    with only_one(layout):
        panel_of(layout).stop()
        left = Lab(layout).down()
    if left:
        raise CannotStart("\n".join(["Something is left of the lab:", *left]))
    say(f"Nothing is left of the lab but its cache in {layout.cache}.")


def _status(layout: Layout, arguments: argparse.Namespace) -> None:
    lab = Lab.found(layout)
    say(f"{'node':<6}{'address':<14}{'engine':<10}{'memory':>10}   socket")
    for node in layout.nodes:
        engine = lab.engine(node.name)
        state = "off" if not engine.sandbox.running() else "on" if engine.dockerd() else "dead"
        memory = f"{engine.sandbox.group.memory() / MIB:.0f} MB"
        say(f"{node.name:<6}{layout.address(node):<14}{state:<10}{memory:>10}   {engine.url}")
    panel = panel_of(layout)
    say(f"The panel is at {panel.url}." if panel.running() else "The panel is not running.")


def _on_node(layout: Layout, arguments: argparse.Namespace) -> None:
    lab = Lab.found(layout)
    with only_one(layout):
        NODE_COMMANDS[arguments.name][1](lab, arguments.node)


def _partition(layout: Layout, arguments: argparse.Namespace) -> None:
    with only_one(layout):
        Lab.found(layout).partition([group.split(",") for group in arguments.groups])


def _heal(layout: Layout, arguments: argparse.Namespace) -> None:
    with only_one(layout):
        Lab.found(layout).heal()


def _deploy(layout: Layout, arguments: argparse.Namespace) -> None:
    nodes, tags = Lab.found(layout).nodes, images.build(layout.cache).tags
    stack.deploy(nodes, tags, f"{arguments.stack}.yml", arguments.stack)


def _remove(layout: Layout, arguments: argparse.Namespace) -> None:
    stack.remove(Lab.found(layout).nodes, arguments.stack)


def _docker(layout: Layout, arguments: argparse.Namespace) -> None:
    url = Lab.found(layout).engine(arguments.node).url
    os.execvp("docker", ["docker", "--host", url, *arguments.words])  # noqa: S606 - no shell


def _exec(layout: Layout, arguments: argparse.Namespace) -> None:
    inside = Lab.found(layout).engine(arguments.node).sandbox.entering(*arguments.words)
    os.execvp(inside[0], inside)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
