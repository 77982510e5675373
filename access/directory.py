"""Reads for the pages and the API about access: people, groups, grants, tokens.

One who manages a cluster alone sees everybody's name, to give them rights there, but of their
rights only those that reach into the cluster.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from access.models import ApiToken, Grant, Protection, Unprotected, User
from access.policy import EVERYWHERE, Scope
from access.problems import NotFound

Scopes = list[Scope]


def reaching(scopes: Iterable[Scope]) -> Q:
    """Rows with a cluster and a stack whose scope has something in common with one of these."""
    found = Q(pk__in=[])
    for scope in scopes:
        if not scope.cluster:
            return Q()
        found |= Q(cluster="") | Q(cluster=scope.cluster) & _meeting_stack(scope)
    return found


def _meeting_stack(scope: Scope) -> Q:
    return Q(stack__in=("", scope.stack)) if scope.stack else Q()


def within(scopes: Iterable[Scope]) -> Q:
    """Rows whose scope lies wholly in one of these."""
    found = Q(pk__in=[])
    for scope in scopes:
        if not scope.cluster:
            return Q()
        found |= Q(cluster=scope.cluster, **({"stack": scope.stack} if scope.stack else {}))
    return found


# --- People --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Person:
    """Somebody, as far as the one who looks may know of them."""

    user: User
    groups: list[Group]
    grants: list[Grant]  # their own, and those of their groups
    second_factor: bool | None  # None: not for the one who looks to know
    last_login: datetime | None = None


def people(scopes: Scopes, q: str = "", active: bool | None = None) -> QuerySet[User]:
    """Everybody by name, with what `person` shows of them read in a few queries."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"))
    found = User.objects.annotate(second_factor=Exists(factors)).order_by("username")
    for word in q.split():
        found = found.filter(username__icontains=word)
    if active is not None:
        found = found.filter(is_active=active)
    seen = Grant.objects.filter(reaching(scopes), break_glass=None).order_by("cluster", "stack")
    return found.prefetch_related(
        Prefetch("grants", seen.select_related("user", "group"), to_attr="grants_seen"),
        "groups",
        Prefetch("groups__grants", seen.select_related("user", "group"), to_attr="held_seen"),
    )


def person(user: User, scopes: Scopes) -> Person:
    """One of `people`. Groups and sign-ins are for those to know who manage everything."""
    whole = EVERYWHERE in scopes
    groups = list(user.groups.all())
    through = [grant for group in groups for grant in group.held_seen]  # type: ignore[attr-defined]
    return Person(
        user=user,
        groups=[g for g in groups if whole or g.held_seen],  # type: ignore[attr-defined]
        grants=[*user.grants_seen, *through],  # type: ignore[attr-defined]
        second_factor=user.second_factor if whole else None,  # type: ignore[attr-defined]
        last_login=user.last_login if whole else None,
    )


def person_named(name: str, scopes: Scopes) -> Person:
    """Raises NotFound."""
    found = people(scopes).filter(username=name).first()
    if found is None:
        raise NotFound(f"There is no person named {name}.")
    return person(found, scopes)


def user_named(name: str) -> User:
    """Raises NotFound."""
    found = User.objects.filter(username=name).first()
    if found is None:
        raise NotFound(f"There is no person named {name}.")
    return found


# --- Groups --------------------------------------------------------------------------------------


@dataclass(slots=True)
class GroupSeen:
    """A group with its members, and of its grants those that the one who looks may know of."""

    group: Group
    members: list[User] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)


def groups(scopes: Scopes) -> QuerySet[Group]:
    """Every group, or those whose grants reach into the scopes."""
    found = Group.objects.annotate(size=Count("user", distinct=True)).order_by("name")
    if EVERYWHERE not in scopes:
        held = Grant.objects.filter(reaching(scopes), group__isnull=False)
        found = found.filter(pk__in=held.values("group"))
    return found


def group_seen(name: str, scopes: Scopes) -> GroupSeen:
    """Raises NotFound."""
    group = group_named(name, scopes)
    grants = Grant.objects.filter(reaching(scopes), group=group).order_by("cluster", "stack")
    return GroupSeen(
        group=group,
        members=list(User.objects.filter(groups=group).order_by("username")),
        grants=list(grants.select_related("user", "group")),
    )


def group_named(name: str, scopes: Scopes) -> Group:
    """Raises NotFound."""
    found = groups(scopes).filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no group named {name}.")
    return found


# --- Grants, tokens, protections -----------------------------------------------------------------


def grants(scopes: Scopes) -> QuerySet[Grant]:
    """Those that reach into the scopes, without what was taken in an emergency."""
    found = Grant.objects.filter(reaching(scopes), break_glass=None)
    return found.select_related("user", "group").order_by(
        "cluster", "stack", "role", "group__name", "user__username", "pk"
    )


def grant_seen(pk: int, scopes: Scopes) -> Grant:
    """Raises NotFound."""
    found = grants(scopes).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such grant.")
    return found


def over(grant: Grant | ApiToken) -> bool:
    """Whether it has run out."""
    return grant.expires_at is not None and grant.expires_at <= timezone.now()


def tokens(scopes: Scopes) -> QuerySet[ApiToken]:
    """Everybody's whose scope lies in these, those that still work first."""
    found = ApiToken.objects.filter(within(scopes)).select_related("user")
    return found.order_by("revoked_at", "-id")


def tokens_of(user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=user).select_related("user").order_by("-id")


def token_seen(pk: int, user: User, scopes: Scopes) -> ApiToken:
    """One's own, or one that lies in the scopes. Raises NotFound."""
    seen = Q(user=user) | Q(pk__in=tokens(scopes).values("pk"))
    found = ApiToken.objects.filter(seen, pk=pk).select_related("user").first()
    if found is None:
        raise NotFound("There is no such token.")
    return found


def protections(scopes: Scopes) -> QuerySet[Protection]:
    return Protection.objects.filter(reaching(scopes)).order_by("cluster", "stack")


def protection_seen(pk: int, scopes: Scopes) -> Protection:
    """Raises NotFound."""
    found = protections(scopes).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such protection.")
    return found


def unprotected(scopes: Scopes) -> QuerySet[Unprotected]:
    """The protections that were taken away, the latest first."""
    return Unprotected.objects.filter(reaching(scopes)).select_related("user")
