"""Who may do this, and what may this person do: through which grant, their own or a group's."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Prefetch, Q, QuerySet

from access.authorize import actions_of, live_grants
from access.models import ApiToken, Grant, User
from access.policy import ALLOWED, EMERGENCY, STEP_UP, Action, Role, Scope
from access.tokens import live_tokens


@dataclass(frozen=True, slots=True)
class Way:
    """The grant through which somebody may do something."""

    grant: Grant

    @property
    def role(self) -> str:
        return "emergency" if self.grant.break_glass_id else self.grant.role

    @property
    def group(self) -> str:
        return self.grant.group.name if self.grant.group else ""


@dataclass(slots=True)
class Holder:
    """A person who may, and every grant through which they may."""

    user: User
    ways: list[Way] = field(default_factory=list)


def who_may(action: Action, scope: Scope) -> list[Holder]:
    """Every active person who may do this here, by name."""
    roles = [role for role in Role if action in ALLOWED[role]]
    through = Q(break_glass=None, role__in=roles)
    if action in EMERGENCY:
        through |= Q(break_glass__isnull=False)
    found: dict[int, Holder] = {}
    for user, way in _ways(live_grants().filter(through, _holding(scope))):
        found.setdefault(user.pk, Holder(user)).ways.append(way)
    return sorted(found.values(), key=lambda holder: holder.user.username)


def _holding(scope: Scope) -> Q:
    """Grants whose scope reaches this one."""
    found = Q(cluster="")
    if scope.cluster:
        found |= Q(cluster=scope.cluster, stack__in={"", scope.stack})
    return found


def _ways(grants: QuerySet[Grant]) -> Iterable[tuple[User, Way]]:
    """Each grant with each active person who holds it."""
    members = Prefetch("group__user_set", User.objects.filter(is_active=True), to_attr="active")
    for grant in grants.select_related("user", "group").prefetch_related(members):
        if grant.user is None:
            people = grant.group.active  # type: ignore[union-attr]
        else:
            people = [grant.user] if grant.user.is_active else []
        for user in people:
            yield user, Way(grant)


# --- What may this person do? --------------------------------------------------------------------


@dataclass(slots=True)
class Right:
    """One action, and through what."""

    action: Action
    ways: list[Way]

    @property
    def by_token(self) -> bool:
        lasting = any(not way.grant.break_glass_id for way in self.ways)
        return lasting and self.action not in STEP_UP


@dataclass(slots=True)
class Place:
    """A scope, and everything that somebody may do in it."""

    scope: Scope
    rights: list[Right]


@dataclass(slots=True)
class TokenRights:
    """What one token can do, where."""

    token: ApiToken
    places: list[Place]


@dataclass(slots=True)
class Rights:
    places: list[Place]
    tokens: list[TokenRights]


def rights_of(user: User, seen: list[Scope]) -> Rights:
    """What the person may do in the scopes that the one who asks may see; nothing if disabled."""
    ways = [Way(grant) for grant in _held_by(user)]
    live = live_tokens().filter(user=user).order_by("id")
    return Rights(
        _places(ways, seen, frozenset(Action)),
        [TokenRights(token, _token_places(token, ways, seen)) for token in live],
    )


def _held_by(user: User) -> QuerySet[Grant]:
    if not user.is_active:
        return Grant.objects.none()
    own = Q(user=user) | Q(group__in=user.groups.all())
    return live_grants().filter(own).select_related("user", "group").order_by("pk")


def _token_places(token: ApiToken, ways: list[Way], seen: list[Scope]) -> list[Place]:
    frame = (ALLOWED[Role(token.role)] if token.role else frozenset(Action)) - STEP_UP
    reach = [both for scope in seen if (both := scope.meets(token.scope))]
    return _places([way for way in ways if not way.grant.break_glass_id], reach, frame)


def _places(ways: list[Way], seen: list[Scope], frame: frozenset[Action]) -> list[Place]:
    """Each scope that a grant names, as far as it is seen, with all that reaches it."""
    scopes = {both for way in ways for scope in seen if (both := way.grant.scope.meets(scope))}
    places = [
        Place(scope, _rights(ways, scope, frame))
        for scope in sorted(scopes, key=lambda scope: (scope.cluster, scope.stack))
    ]
    return [place for place in places if place.rights]


def _rights(ways: list[Way], scope: Scope, frame: frozenset[Action]) -> list[Right]:
    reaching = [way for way in ways if way.grant.scope.holds(scope)]
    found = [
        Right(action, [way for way in reaching if action in actions_of(way.grant)])
        for action in Action
        if action in frame
    ]
    return [right for right in found if right.ways]
