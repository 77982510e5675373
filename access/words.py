"""Actions and roles in the words of people who are to give and to use them."""

from access.policy import ALLOWED, STEP_UP, Action, Role

ROLES: dict[Role, str] = {
    Role.VIEWER: "Looks at clusters, services and operations; changes nothing, reads no logs.",
    Role.ON_CALL: "Keeps things running at night: logs, restarts, and scaling up to a bound.",
    Role.OPERATOR: "Runs services: updates, rollbacks, approvals, and environment values.",
    Role.SECRET_MANAGER: "Writes, rotates and removes secrets and configs; never reads a secret.",
    Role.ADMIN: "Does everything, and says who else may; does not read the audit trail.",
    Role.AUDITOR: "Reads the audit trail and nothing else.",
}
ACTIONS: dict[Action, str] = {
    Action.CLUSTER_VIEW: "See the cluster, its nodes and networks",
    Action.CLUSTER_REGISTER: "Add a cluster to the panel",
    Action.CLUSTER_REMOVE: "Take a cluster off the panel",
    Action.SWARM_INIT: "Make a Swarm of an engine that is in none",
    Action.SERVICE_VIEW: "See services and their tasks",
    Action.SERVICE_ENV: "Read the values of environment variables",
    Action.SERVICE_LOGS: "Read logs",
    Action.SERVICE_SCALE: "Scale a service",
    Action.SERVICE_UPDATE: "Update a service",
    Action.SERVICE_ROLLBACK: "Roll a service back",
    Action.SERVICE_RESTART: "Restart a service's tasks",
    Action.SERVICE_WIDEN: "Roll back to mounts, secrets or privileges that were taken away",
    Action.OPERATION_VIEW: "See what was asked for and what became of it",
    Action.OPERATION_CANCEL: "Cancel an operation",
    Action.OPERATION_APPROVE: "Approve somebody else's change",
    Action.SECRET_VIEW: "See that a secret exists and who uses it; never its value",
    Action.SECRET_WRITE: "Create and rotate secrets",
    Action.SECRET_REMOVE: "Remove secrets",
    Action.CONFIG_VIEW: "Read configs",
    Action.CONFIG_WRITE: "Create and rotate configs",
    Action.CONFIG_REMOVE: "Remove configs",
    Action.METRICS_QUERY: "Ask the Prometheus of a whole cluster anything, and save panels",
    Action.ACCESS_VIEW: "See who may do what",
    Action.ACCESS_MANAGE: "Say who may do what",
    Action.BREAK_GLASS: "Take emergency rights for an hour",
    Action.AUDIT_VIEW: "Read the audit trail",
}


def said(action: Action) -> str:
    """An action in words; one that has none yet by its own name."""
    return ACTIONS.get(action, action.value)


def by_token(action: Action) -> bool:
    """Whether a token can do it: what needs a fresh proof, none can."""
    return action not in STEP_UP


def roles_table() -> list[tuple[Action, str, bool, list[bool]]]:
    """Each action, its words, whether it needs a proof, and for each role whether it may."""
    return [
        (action, said(action), action in STEP_UP, [action in ALLOWED[role] for role in Role])
        for action in Action
    ]
