"""API tokens: issue one's own, revoke one's own, and those of others where one manages access."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from access.authorize import Actor, Forbidden, allowed, ask_proof
from access.models import ApiToken
from access.operations.changing import announce_revoked, authorize_manage, record
from access.policy import ALLOWED, STEP_UP, Action, Role, Scope
from access.problems import Invalid
from access.tokens import issue_token

LONGEST = 366  # days


def issue(actor: Actor, name: str, days: int, role: str, scope: Scope) -> tuple[ApiToken, str]:
    """Make a token of the actor's own; returns it and its secret, which is not kept.

    Raises Forbidden for one who came with a token, ProofNeeded, Invalid.
    """
    if actor.via != "browser":
        why = "A token cannot issue tokens: sign in with the browser for this."
        raise Forbidden(Action.ACCESS_MANAGE, scope, visible=True, why=why)
    ask_proof(actor, Action.ACCESS_MANAGE, scope)
    _refuse_beyond_oneself(actor, role, scope)
    with transaction.atomic():
        secret = issue_token(actor.user, name, timedelta(days=days), role=role, scope=scope)
        token = ApiToken.objects.filter(user=actor.user).latest("id")
        after = {"role": role, "days": days, "cluster": scope.cluster, "stack": scope.stack}
        record(actor, "token.issue", name, scope, before=None, after=after)
    return token, secret


def _refuse_beyond_oneself(actor: Actor, role: str, scope: Scope) -> None:
    if scope.stack and not scope.cluster:
        raise Invalid("A stack is a stack of a cluster: say which cluster, too.", "cluster")
    if not role and not scope.cluster:
        return  # whatever its owner may, wherever
    held = allowed(actor.user, scope)
    if not role and not held - STEP_UP:
        raise Invalid(f"You hold nothing {scope.where}: the token could do nothing.", "cluster")
    if role and not ALLOWED[Role(role)] - STEP_UP <= held:
        raise Invalid(
            f"You are not {role} {scope.where} yourself: choose a role or place below.", "role"
        )


def revoke(actor: Actor, token: ApiToken) -> None:
    """It stops working at once, its open sockets included. Revoking it again changes nothing.

    Whoever came with a token revokes that one alone.
    """
    came_with = actor.user.token
    if token.user_id != actor.user.pk or (came_with and came_with.pk != token.pk):
        authorize_manage(actor, token.scope)
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=Now()):
            return
        owner = token.user.get_username()
        record(
            actor, "token.revoke", token.name, token.scope, owner=owner, before={"revoked": False}
        )
        announce_revoked(token.user)
