"""Actions, roles, and which role may do what. Pure: no framework, no rows."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """Everything that one can be allowed to do. An entry point declares one of these."""

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
    SERVICE_WIDEN = "service.widen"  # a rollback that gives back mounts, secrets or privileges
    OPERATION_VIEW = "operation.view"
    OPERATION_CANCEL = "operation.cancel"
    OPERATION_APPROVE = "operation.approve"
    SECRET_VIEW = "secret.view"  # names, ages and consumers: a value is never shown to anybody
    SECRET_WRITE = "secret.write"
    SECRET_REMOVE = "secret.remove"
    CONFIG_VIEW = "config.view"
    CONFIG_WRITE = "config.write"
    CONFIG_REMOVE = "config.remove"
    METRICS_QUERY = "metrics.query"  # of a whole cluster: a query sees all that its source has
    ACCESS_VIEW = "access.view"
    ACCESS_MANAGE = "access.manage"
    BREAK_GLASS = "access.break-glass"
    AUDIT_VIEW = "audit.view"


class Role(StrEnum):
    VIEWER = "viewer"
    ON_CALL = "on-call"
    OPERATOR = "operator"
    SECRET_MANAGER = "secret-manager"
    ADMIN = "admin"
    AUDITOR = "auditor"


_VIEWER = frozenset({Action.CLUSTER_VIEW, Action.SERVICE_VIEW, Action.OPERATION_VIEW})
_ON_CALL = _VIEWER | {
    Action.SERVICE_LOGS,
    Action.SERVICE_SCALE,  # within the bounds of their grant
    Action.SERVICE_RESTART,
    Action.OPERATION_CANCEL,
    Action.SECRET_VIEW,
    Action.METRICS_QUERY,
    Action.BREAK_GLASS,
}
_OPERATOR = _ON_CALL | {
    Action.SERVICE_ENV,
    Action.SERVICE_UPDATE,
    Action.SERVICE_ROLLBACK,
    Action.OPERATION_APPROVE,
    Action.CONFIG_VIEW,
    Action.CONFIG_WRITE,
}
_SECRET_MANAGER = _VIEWER | {
    Action.OPERATION_CANCEL,
    Action.SECRET_VIEW,
    Action.SECRET_WRITE,
    Action.SECRET_REMOVE,
    Action.CONFIG_VIEW,
    Action.CONFIG_WRITE,
    Action.CONFIG_REMOVE,
    Action.BREAK_GLASS,
}
_ADMIN = frozenset(Action) - {Action.AUDIT_VIEW}
ALLOWED: dict[Role, frozenset[Action]] = {
    Role.VIEWER: _VIEWER,
    Role.ON_CALL: _ON_CALL,
    Role.OPERATOR: _OPERATOR,
    Role.SECRET_MANAGER: _SECRET_MANAGER,
    Role.ADMIN: _ADMIN,
    Role.AUDITOR: frozenset({Action.AUDIT_VIEW}),
}
# What breaking the glass gives for an hour: all work on clusters, no say over who may do what.
EMERGENCY = _ADMIN - {Action.ACCESS_MANAGE, Action.ACCESS_VIEW, Action.BREAK_GLASS}

# Whoever does one of these has proved within the last minutes who they are; a token cannot.
STEP_UP = frozenset(
    {
        Action.CLUSTER_REMOVE,
        Action.SERVICE_WIDEN,
        Action.OPERATION_APPROVE,
        Action.SECRET_WRITE,
        Action.SECRET_REMOVE,
        Action.CONFIG_REMOVE,
        Action.ACCESS_MANAGE,
        Action.BREAK_GLASS,
    }
)
PROOF_SECONDS = 600  # absolute: work does not prolong it


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

    def meets(self, other: "Scope") -> "Scope | None":
        """What both reach: the narrower of the two; None if they have nothing in common."""
        if self.holds(other):
            return other
        return self if other.holds(self) else None

    def __str__(self) -> str:
        """In words, for people."""
        if not self.cluster:
            return "everything"
        return f"{self.cluster}, stack {self.stack}" if self.stack else self.cluster

    @property
    def where(self) -> str:
        """In words within a sentence: "is viewer in prod", "is viewer everywhere"."""
        return f"in {self}" if self.cluster else "everywhere"


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Held:
    """Rights that somebody holds: actions × a scope, and how far they may scale (None: any way)."""

    actions: frozenset[Action]
    scope: Scope
    most_replicas: int | None = None
    emergency: bool = False  # taken by breaking the glass

    def within(self, actions: frozenset[Action], scope: Scope) -> "Held | None":
        """What is left of these rights inside a narrower frame; None if nothing is."""
        narrower, left = self.scope.meets(scope), self.actions & actions
        if not left or narrower is None:
            return None
        return Held(left, narrower, self.most_replicas)
