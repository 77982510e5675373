"""What a simulated container does: nothing is run, so its image and environment decide.

A name with `missing` is in no registry; one with `crash` fails soon after its start; one with
`unhealthy` never passes its health check; one with `complete` ends well. These environment
variables decide for any image: LAB_CRASH_AFTER (seconds), LAB_EXIT_CODE, LAB_LINES,
LAB_LINE_INTERVAL (seconds).
"""

from dataclasses import dataclass

from simulator.objects import Spec

UNHEALTHY_AFTER = 1.5


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`exits_after` counts simulated seconds from the start; None runs until it is stopped."""

    available: bool = True
    exits_after: float | None = None
    exit_code: int = 0
    unhealthy: bool = False

    @property
    def error(self) -> str:
        if self.unhealthy:
            return "task: non-zero exit (137): dockerexec: unhealthy container"
        return f"task: non-zero exit ({self.exit_code})"


def environment(template: Spec) -> dict[str, str]:
    entries = (template.get("ContainerSpec") or {}).get("Env") or []
    return dict(entry.partition("=")[::2] for entry in entries)


def behaviour(template: Spec) -> Behaviour:
    image = str(template["ContainerSpec"]["Image"]).partition("@")[0]
    variables = environment(template)
    if "missing" in image:
        return Behaviour(available=False)
    if "unhealthy" in image:
        return Behaviour(exits_after=UNHEALTHY_AFTER, exit_code=137, unhealthy=True)
    if "crash" in image:
        return _exiting(variables, code=3)
    if "complete" in image:
        return _exiting(variables, code=0)
    return Behaviour() if "LAB_CRASH_AFTER" not in variables else _exiting(variables, code=3)


def _exiting(variables: dict[str, str], code: int) -> Behaviour:
    return Behaviour(
        exits_after=float(variables.get("LAB_CRASH_AFTER", "0.3")),
        exit_code=int(variables.get("LAB_EXIT_CODE", str(code))),
    )
