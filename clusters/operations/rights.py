"""Which right a change asks for, and whether who asked still has it once it is carried out."""

from access.authorize import may
from access.policy import Action
from access.tokens import token_now
from clusters.changes import Restart, Resume, Rollback, Scale, ServiceChange, Update
from clusters.models import Operation

ACTIONS: dict[type[ServiceChange], tuple[Operation.Kind, Action]] = {
    Scale: (Operation.Kind.SCALE, Action.SERVICE_SCALE),
    Update: (Operation.Kind.UPDATE, Action.SERVICE_UPDATE),
    Rollback: (Operation.Kind.ROLLBACK, Action.SERVICE_ROLLBACK),
    Restart: (Operation.Kind.RESTART, Action.SERVICE_RESTART),
    Resume: (Operation.Kind.RESUME, Action.SERVICE_UPDATE),
}


def may_still(operation: Operation, action: Action) -> bool:
    """Whether who asked may do it now: with the token that they asked with, if it was one."""
    user = operation.requested_by
    if operation.api_token is not None:
        token = token_now(operation.api_token)
        if token is None:
            return False
        user = token.user
    return may(user, action, operation.scope)
