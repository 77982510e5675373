"""`make lab`: whatever is missing of the lab is made, in order and timed."""

from controlpanel.supervisor.timings import Timings
from lab import checks, images, packages, preflight, stack, store, system
from lab.cgroups import Group
from lab.lab import Lab
from lab.layout import Layout
from lab.panel import Panel

NEEDED = ("docker.io", "iproute2", "iptables")
HEALTHY_SECONDS = 300.0
MIB = 1024**2


def say(line: str) -> None:
    print(line, flush=True)


def panel_of(layout: Layout) -> Panel:
    return Panel(layout.directory("panel"), Group(f"{layout.group}/panel"))


def up(
    layout: Layout, *, engine: int | None = None, panel: bool = True, tethered: bool = False
) -> Lab:
    """Raises what its steps raise; what stands by then stays, for the next try to go on with.

    `tethered` ends the Swarm with this process.
    """
    system.provide(*NEEDED)
    timings = Timings(say)
    with timings.part("machine"):
        preflight.check(layout)
    lab, tags = _make(layout, engine, timings, tethered=tethered)
    with timings.part("nodes"):
        lab.power_on()
    with timings.part("swarm"):
        lab.form_swarm()
    with timings.part("stack"):
        stack.deploy(lab.nodes, tags)
        checks.wait(lab.nodes, HEALTHY_SECONDS, lambda line: say(f"    {line}"))
    if panel:
        with timings.part("panel"):
            _start_panel(lab)
    _summary(lab, timings)
    return lab


def _make(
    layout: Layout, engine: int | None, timings: Timings, *, tethered: bool
) -> tuple[Lab, dict[str, str]]:
    with timings.part("images"):
        built = images.build(layout.cache)
    programs = None
    if engine is not None:
        with timings.part("engine"):
            programs = packages.engine(layout.cache, engine)
    with timings.part("store"):
        born_with = store.provide(built.archive, programs)
    lab = Lab(layout, images=born_with, programs=programs, tethered=tethered)
    lab.remember()
    return lab, built.tags


def _start_panel(lab: Lab) -> None:
    panel = panel_of(lab.layout)
    panel.start()
    panel.register([engine.url for engine in lab.managers], checks.prometheus_of(lab.nodes))


def _summary(lab: Lab, timings: Timings) -> None:
    say("\nHow long each part took:")
    for line in timings.table():
        say(line)
    say(f"\nMemory of all of it: {lab.memory() / MIB:.0f} MB")
    first = lab.managers[0].url
    say(f"Its first manager: DOCKER_HOST={first}")
    panel = panel_of(lab.layout)
    if panel.running():
        say(panel.welcome())
    say("`make lab-down` ends it and removes every trace.")
