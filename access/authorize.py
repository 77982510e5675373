"""The one question of the whole product: may this actor do this here?

Views, the API, consumers, Celery tasks and commands all ask `authorize`. Deny by default.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from access.models import Grant, User
from access.policy import ALLOWED, EVERYWHERE, Action, Role, Scope


class Forbidden(Exception):
    """The actor may not do this here. To one who may not even look, it is the same as absent."""

    def __init__(self, action: Action, scope: Scope, *, visible: bool) -> None:
        self.action, self.scope, self.visible = action, scope, visible
        super().__init__(
            f"Your role does not allow “{action.value}” here. Ask an administrator for a grant."
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and by which way: what an audit row needs to know."""

    user: User
    via: str  # browser, api, command, schedule
    address: str = ""


def grants_of(user: User) -> list[Grant]:
    """The user's grants; none for who is disabled. Always read anew: a right ends at once."""
    if not user.is_authenticated:
        return []
    return list(Grant.objects.filter(user_id=user.pk, user__is_active=True))


def allowed_by(grants: Iterable[Grant], scope: Scope) -> frozenset[Action]:
    """Every action that the grants allow in `scope`; for many scopes read them once."""
    actions: frozenset[Action] = frozenset()
    for grant in grants:
        if grant.scope.holds(scope):
            actions |= ALLOWED[Role(grant.role)]
    return actions


def allowed(user: User, scope: Scope = EVERYWHERE) -> frozenset[Action]:
    """Every action that the user may do in `scope`."""
    return allowed_by(grants_of(user), scope)


def may(user: User, action: Action, scope: Scope = EVERYWHERE) -> bool:
    """Whether the user may do `action` in `scope`."""
    return action in allowed(user, scope)


def authorize(user: User, action: Action, scope: Scope = EVERYWHERE) -> frozenset[Action]:
    """Return what the user may do in `scope`, or raise Forbidden if `action` is not among it."""
    actions = allowed(user, scope)
    if action not in actions:
        visible = bool(actions & {Action.SERVICE_VIEW, Action.CLUSTER_VIEW})
        raise Forbidden(action, scope, visible=visible)
    return actions


def visible_scopes(user: User) -> list[Scope]:
    """The scopes in which the user may look; a list filters its rows by them."""
    return [g.scope for g in grants_of(user) if Action.SERVICE_VIEW in ALLOWED[Role(g.role)]]
