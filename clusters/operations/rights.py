"""Whether what was asked for may still be done, asked again when it is carried out."""

from access.authorize import may
from access.policy import Action
from access.tokens import token_now
from clusters.models import Operation


def may_still(operation: Operation, action: Action) -> bool:
    """Whether who asked may do it now: with the token that they asked with, if it was one."""
    user = operation.requested_by
    if operation.api_token is not None:
        token = token_now(operation.api_token)
        if token is None:
            return False
        user = token.user
    return may(user, action, operation.scope)
