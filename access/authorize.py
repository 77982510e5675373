"""The one question of the whole product: may this actor do this here?

Views, the API, consumers, Celery tasks and commands all ask it. Deny by default.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access.models import ApiToken, Grant, User
from access.policy import (
    ALLOWED,
    EMERGENCY,
    EVERYWHERE,
    PROOF_SECONDS,
    STEP_UP,
    Action,
    Held,
    Role,
    Scope,
)


class Forbidden(Exception):
    """The actor may not do this here. To one who may not even look, it is the same as absent."""

    def __init__(self, action: Action, scope: Scope, *, visible: bool, why: str = "") -> None:
        self.action, self.scope, self.visible = action, scope, visible
        super().__init__(
            why
            or f"Your role does not allow “{action.value}” here. Ask an administrator for a grant."
        )


class ProofNeeded(Forbidden):
    """The actor has the right, but must first prove again who they are."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and by which way: what an audit row needs to know.

    `proven_at`: when they last proved who they are, in seconds since 1970; None for tokens,
    schedules, and whoever came by a sign-in link.
    """

    user: User
    via: str  # browser, api, command, schedule
    address: str = ""
    proven_at: float | None = None

    @property
    def proven(self) -> bool:
        return self.proven_at is not None and time.time() - self.proven_at < PROOF_SECONDS


# What was read of whom within one look; None outside of one.
_look: ContextVar[dict[int, list[Held]] | None] = ContextVar("look", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within, each user's grants are read once: for an answer that changes nothing.

    A look inside another one is part of it.
    """
    read = _look.get()
    before = _look.set({} if read is None else read)
    try:
        yield
    finally:
        _look.reset(before)


def grants_of(user: User) -> list[Held]:
    """What the user holds; nothing for who is disabled.

    Read anew each time, for a right ends at once; but once for one look at a page.
    """
    if not user.is_authenticated:
        return []
    read = _look.get()
    if read is None:
        read = {}
    if user.pk not in read:
        read.update(held_by_many([user.pk]))
    found = read[user.pk]
    return found if user.token is None else within_token(found, user.token)


def within_token(found: list[Held], token: ApiToken) -> list[Held]:
    """What a token carries of its owner's rights: nothing that asks for a proof, and nothing that
    they hold by an emergency, which is for a person who proved who they are."""
    frame = (ALLOWED[Role(token.role)] if token.role else frozenset(Action)) - STEP_UP
    lasting = (held for held in found if not held.emergency)
    return [left for held in lasting if (left := held.within(frame, token.scope))]


def live_grants() -> QuerySet[Grant]:
    """The grants that have not run out, by the database's clock."""
    return Grant.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))


# Asked several times a request, so it is written out: Django takes longer to build it than
# PostgreSQL to answer. Each user with their own grants and those of their groups.
_HELD = """
    SELECT held.holder, g.role, g.break_glass_id, g.cluster, g.stack, g.most_replicas
    FROM (
        SELECT id AS grant_id, user_id AS holder FROM access_grant WHERE user_id = ANY(%(users)s)
        UNION ALL
        SELECT g.id, member.user_id FROM access_grant AS g
        JOIN access_user_groups AS member USING (group_id) WHERE member.user_id = ANY(%(users)s)
    ) AS held
    JOIN access_grant AS g ON g.id = held.grant_id
    JOIN access_user AS person ON person.id = held.holder AND person.is_active
    WHERE g.expires_at IS NULL OR g.expires_at > statement_timestamp()
"""


def held_by_many(users: Iterable[int]) -> dict[int, list[Held]]:
    """What each of the users holds, in one query; nothing for who is disabled."""
    held: dict[int, list[Held]] = {user: [] for user in users}
    with connection.cursor() as cursor:
        cursor.execute(_HELD, {"users": list(held)})
        for user, role, break_glass, cluster, stack, most_replicas in cursor.fetchall():
            actions = EMERGENCY if break_glass else ALLOWED[Role(role)]
            found = Held(actions, Scope(cluster, stack), most_replicas, break_glass is not None)
            held[user].append(found)
    return held


def actions_of(grant: Grant) -> frozenset[Action]:
    return EMERGENCY if grant.break_glass_id else ALLOWED[Role(grant.role)]


def allowed_by(grants: Iterable[Held], scope: Scope) -> frozenset[Action]:
    """Every action that the grants allow in `scope`; for many scopes read them once."""
    actions: frozenset[Action] = frozenset()
    for held in grants:
        if held.scope.holds(scope):
            actions |= held.actions
    return actions


def allowed(user: User, scope: Scope = EVERYWHERE) -> frozenset[Action]:
    """Every action that the user may do in `scope`."""
    return allowed_by(grants_of(user), scope)


def may(user: User, action: Action, scope: Scope = EVERYWHERE) -> bool:
    """Whether the user may do `action` in `scope`; asked again when a request is carried out."""
    return action in allowed(user, scope)


def authorize(actor: Actor, action: Action, scope: Scope = EVERYWHERE) -> frozenset[Action]:
    """Return what the actor may do in `scope`, or raise Forbidden if `action` is not among it.

    Raises ProofNeeded if they may, but have not proved of late who they are.
    """
    actions = allowed(actor.user, scope)
    if action not in actions:
        visible = bool(actions & {Action.SERVICE_VIEW, Action.CLUSTER_VIEW})
        raise Forbidden(action, scope, visible=visible, why=_refusal_of_token(actor, action))
    if action in STEP_UP:
        ask_proof(actor, action, scope)
    return actions


def _refusal_of_token(actor: Actor, action: Action) -> str:
    if actor.user.token is None or action not in STEP_UP:
        return ""
    return (
        f"No token can do “{action.value}”: it needs a fresh proof of who you are."
        " Sign in with the browser."
    )


def ask_proof(actor: Actor, action: Action, scope: Scope = EVERYWHERE) -> None:
    """Raise ProofNeeded unless the actor has proved of late who they are."""
    if not actor.proven:
        why = "Confirm that it is you: this needs a proof of who you are of the last 10 minutes."
        raise ProofNeeded(action, scope, visible=True, why=why)


def authorize_somewhere(actor: Actor, action: Action) -> list[Scope]:
    """The scopes in which the actor may do `action`; raises Forbidden if there is none.

    For a list of what lies in several scopes: its rows are narrowed to these.
    """
    scopes = scopes_with(actor.user, action)
    if not scopes:
        visible = bool(visible_scopes(actor.user))
        why = _refusal_of_token(actor, action)
        raise Forbidden(action, EVERYWHERE, visible=visible, why=why)
    if action in STEP_UP:
        ask_proof(actor, action)
    return scopes


def most_replicas(user: User, scope: Scope) -> int | None:
    """How many replicas the user may scale a service to; None if there is no bound for them."""
    bounds = [
        held.most_replicas
        for held in grants_of(user)
        if held.scope.holds(scope) and Action.SERVICE_SCALE in held.actions
    ]
    return None if None in bounds else max((b for b in bounds if b is not None), default=0)


def emergency_of(user: User, scope: Scope) -> int | None:
    """The id of the break-glass under which the user acts in this scope, if there is one."""
    if user.token is not None:
        return None
    where = {"cluster": scope.cluster, "stack": scope.stack}
    with connection.cursor() as cursor:
        cursor.execute(_EMERGENCY, {"user": user.pk, **where})
        found = cursor.fetchone()
    return int(found[0]) if found else None


# Asked for each entry of the audit trail, so it is written out. The places are those that hold the
# scope, as Scope.holds says.
_EMERGENCY = """
    SELECT break_glass_id FROM access_grant
    WHERE user_id = %(user)s AND break_glass_id IS NOT NULL AND expires_at > statement_timestamp()
        AND (cluster = '' OR cluster = %(cluster)s AND stack IN ('', %(stack)s))
    ORDER BY id LIMIT 1
"""


def visible_scopes(user: User) -> list[Scope]:
    """The scopes in which the user may look; a list filters its rows by them."""
    return scopes_with(user, Action.SERVICE_VIEW)


def scopes_with(user: User, action: Action) -> list[Scope]:
    """The scopes in which the user may do `action`."""
    return [held.scope for held in grants_of(user) if action in held.actions]
