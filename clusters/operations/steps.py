"""The steps of an operation, as its page shows them."""

from typing import Any

from django.utils import timezone

from clusters.models import Operation

TITLES = {
    "check": "Check the permission",
    "send": "Send the changed spec",
    "rollout": "Swarm brings the tasks in line",
    "stop": "Hold the rollout where it is",
    "back": "Return to the spec before",
    "init": "Initialise Swarm mode",
    "remove": "Remove it",
    "put-back": "Create it once more",
    "forget": "Delete the kept value",
    "create": "Create the new version",
    "remove-old": "Remove the old version",
    "remove-new": "Remove the new version",
}


def noted(
    operation: Operation, name: str, state: str, message: str = "", title: str = ""
) -> list[dict[str, Any]]:
    """The steps with this one in this state (running, done, failed); unchanged if it was so.

    `title` is for a step whose name is none of TITLES.
    """
    steps = [dict(step) for step in operation.steps]
    step = next((s for s in steps if s["name"] == name), None)
    if step and step["state"] == state and step["message"] == message:
        return operation.steps
    if step is None:
        step = {"name": name, "title": title or TITLES[name]}
        steps.append(step)
    step.update(state=state, message=message, at=timezone.now().isoformat())
    return steps
