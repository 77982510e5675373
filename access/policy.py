"""Actions, roles, and which role may do what. Pure: no framework, no rows."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """Everything that one can be allowed to do. An entry point names exactly one of these."""

    CLUSTER_VIEW = "cluster.view"
    CLUSTER_REGISTER = "cluster.register"
    CLUSTER_REMOVE = "cluster.remove"
    SWARM_INIT = "swarm.init"
    SERVICE_VIEW = "service.view"
    SERVICE_ENV = "service.env"
    SERVICE_LOGS = "service.logs"
    SERVICE_SCALE = "service.scale"
    SERVICE_UPDATE = "service.update"
    SERVICE_ROLLBACK = "service.rollback"
    SERVICE_RESTART = "service.restart"
    OPERATION_VIEW = "operation.view"
    OPERATION_CANCEL = "operation.cancel"
    AUDIT_VIEW = "audit.view"


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset({Action.CLUSTER_VIEW, Action.SERVICE_VIEW, Action.OPERATION_VIEW})
_OPERATOR = _VIEWER | {
    Action.SERVICE_ENV,
    Action.SERVICE_LOGS,
    Action.SERVICE_SCALE,
    Action.SERVICE_UPDATE,
    Action.SERVICE_ROLLBACK,
    Action.SERVICE_RESTART,
    Action.OPERATION_CANCEL,
}
ALLOWED: dict[Role, frozenset[Action]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: frozenset(Action),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an action happens: a stack, a cluster (no stack), or everything (neither)."""

    cluster: str = ""
    stack: str = ""

    def holds(self, other: "Scope") -> bool:
        """Whether a grant on this scope reaches `other`."""
        if not self.cluster:
            return True
        if self.cluster != other.cluster:
            return False
        return not self.stack or self.stack == other.stack


EVERYWHERE = Scope()
