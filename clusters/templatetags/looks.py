"""How each state is told: by a shape and a word of its own, which a colour only helps."""

from typing import NamedTuple


class Look(NamedTuple):
    """How a state is told: a tone (colour), an icon (shape) and a word."""

    tone: str
    icon: str
    word: str


# Every state has a word and a shape of its own; the tone alone tells nothing.
_SERVICE = {
    "running": Look("good", "circle-check", "Running"),
    "starting": Look("busy", "loader", "Starting"),
    "updating": Look("busy", "refresh", "Updating"),
    "paused": Look("warn", "player-pause", "Paused"),
    "failing": Look("bad", "circle-x", "Failing"),
    "unstable": Look("bad", "activity", "Unstable"),
    "pending": Look("warn", "hourglass", "Pending"),
    "stopped": Look("idle", "circle-minus", "Stopped"),
    "complete": Look("good", "checks", "Complete"),
}
_TASK = {
    "new": Look("busy", "circle-dashed", "New"),
    "allocated": Look("busy", "circle-dashed", "Allocated"),
    "pending": Look("warn", "hourglass", "Pending"),
    "assigned": Look("busy", "circle-dashed", "Assigned"),
    "accepted": Look("busy", "circle-dashed", "Accepted"),
    "preparing": Look("busy", "loader", "Preparing"),
    "ready": Look("busy", "loader", "Ready"),
    "starting": Look("busy", "loader", "Starting"),
    "running": Look("good", "circle-check", "Running"),
    "complete": Look("good", "checks", "Complete"),
    "shutdown": Look("idle", "circle-minus", "Shut down"),
    "failed": Look("bad", "circle-x", "Failed"),
    "rejected": Look("bad", "ban", "Rejected"),
    "remove": Look("idle", "circle-minus", "Removed"),
    "orphaned": Look("warn", "help-circle", "Orphaned"),
    "lost": Look("warn", "help-circle", "Lost"),
}
_OPERATION = {
    "awaiting": Look("warn", "user-check", "Awaiting approval"),
    "pending": Look("idle", "hourglass", "Queued"),
    "running": Look("busy", "refresh", "Running"),
    "cancelling": Look("warn", "player-stop", "Cancelling"),
    "succeeded": Look("good", "circle-check", "Succeeded"),
    "failed": Look("bad", "circle-x", "Failed"),
    "rolled_back": Look("warn", "arrow-back-up", "Rolled back"),
    "cancelled": Look("idle", "circle-minus", "Cancelled"),
    "interrupted": Look("warn", "help-circle", "Interrupted"),
}
_NODE = {
    "ready": Look("good", "circle-check", "Ready"),
    "down": Look("bad", "circle-x", "Down"),
    "disconnected": Look("bad", "plug-connected-x", "Disconnected"),
    "active": Look("good", "circle-check", "Active"),
    "pause": Look("warn", "player-pause", "Paused"),
    "drain": Look("warn", "arrow-bar-right", "Drained"),
    "reachable": Look("good", "circle-check", "Reachable"),
    "unreachable": Look("bad", "circle-x", "Unreachable"),
}
_CLUSTER = {
    "unknown": Look("idle", "hourglass", "Not looked at yet"),
    "ready": Look("good", "circle-check", "Ready"),
    "not-a-swarm": Look("warn", "power", "Not in Swarm mode"),
    "no-leader": Look("bad", "crown-off", "No leader"),
    "unreachable": Look("bad", "plug-connected-x", "Unreachable"),
    "unsupported": Look("bad", "ban", "Unsupported engine"),
}
_UPDATE = {
    "updating": Look("busy", "refresh", "Updating"),
    "paused": Look("warn", "player-pause", "Paused"),
    "completed": Look("good", "circle-check", "Completed"),
    "rollback_started": Look("warn", "arrow-back-up", "Rolling back"),
    "rollback_paused": Look("bad", "player-pause", "Rollback paused"),
    "rollback_completed": Look("warn", "arrow-back-up", "Rolled back"),
}
_STEP = {
    "done": Look("good", "circle-check", "Done"),
    "running": Look("busy", "refresh", "Running"),
    "failed": Look("bad", "circle-x", "Failed"),
    "stopped": Look("idle", "player-stop", "Stopped"),
    "pending": Look("idle", "circle-dashed", "To do"),
}
_EVENT = {
    "created": Look("good", "plus", "Created"),
    "removed": Look("idle", "minus", "Removed"),
    "joined": Look("good", "plus", "Joined"),
    "left": Look("warn", "minus", "Left"),
    "update": Look("busy", "pencil", "Changed"),
    "oom": Look("bad", "alert-triangle", "Out of memory"),
    "leader": Look("warn", "crown", "New leader"),
}
_ALERT = {
    "firing": Look("bad", "alert-triangle", "Firing"),
    "resolved": Look("warn", "circle-check", "Resolved"),
}
LOOKS = {
    "event": _EVENT,
    "alert": _ALERT,
    "service": _SERVICE,
    "task": _TASK,
    "operation": _OPERATION,
    "node": _NODE,
    "cluster": _CLUSTER,
    "update": _UPDATE,
    "step": _STEP,
}


def look(kind: str, value: str) -> Look:
    """The look of a state; one that is not known yet is shown by its own name."""
    return LOOKS[kind].get(value, Look("idle", "help-circle", value or "Unknown"))
