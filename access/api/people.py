"""The API's addresses of people, groups and grants, and of who may do what.

Reading needs `access.view`, changing `access.manage`, which no token has: a browser's session does.
"""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import reverse
from ninja import Query, Router, Schema, Status
from pydantic import Field, StrictBool

from access import directory, rights
from access.api.answers import (
    Asked,
    GrantShown,
    HolderShown,
    PlaceShown,
    Where,
    actor_of,
    grant_shown,
    holder_shown,
    known,
    place_shown,
)
from access.authorize import authorize, authorize_somewhere, scopes_with
from access.declared import needs
from access.operations import grants as grant_operations
from access.operations import groups as group_operations
from access.operations import people as people_operations
from access.paging import Page, Paging, page_of
from access.policy import Action, Role, Scope
from access.problems import Invalid

router = Router(tags=["Access"])
VIEW, MANAGE = Action.ACCESS_VIEW, Action.ACCESS_MANAGE


def _seen(request: HttpRequest) -> list[Scope]:
    return authorize_somewhere(actor_of(request), VIEW)


# --- People --------------------------------------------------------------------------------------


class PersonFilter(Paging):
    q: str = Field("", max_length=100, description="Parts of the name.")


class PersonShown(Schema):
    name: str
    is_active: bool
    groups: list[str]
    grants: list[GrantShown] = Field(description="Their own and those of their groups.")
    second_factor: bool | None = Field(description="Null: you do not manage everything.")
    last_sign_in: datetime | None


class NewPerson(Asked):
    username: str = Field(min_length=1, max_length=150)


class Invited(Schema):
    name: str
    sign_in: str = Field(description="Path of a one-time link, bound to the person; shown once.")
    hours: int = Field(description="How long the link works.")


class PersonChange(Asked):
    is_active: StrictBool


def _person_shown(person: directory.Person) -> dict[str, Any]:
    return {
        "name": person.user.get_username(),
        "is_active": person.user.is_active,
        "groups": [group.name for group in person.groups],
        "grants": list(map(grant_shown, person.grants)),
        "second_factor": person.second_factor,
        "last_sign_in": person.last_login,
    }


@router.get("users", response=Page[PersonShown], summary="List the people")
@needs(VIEW)
def list_users(request: HttpRequest, filters: Query[PersonFilter]) -> dict[str, Any]:
    """Everybody by name; of their grants those that reach into what you see."""
    scopes = _seen(request)
    rows = directory.people(scopes, filters.q)
    return page_of(rows, filters, lambda user: _person_shown(directory.person(user, scopes)))


@router.post("users", response={201: Invited}, summary="Make a person")
@needs(MANAGE)
def make_user(request: HttpRequest, new: NewPerson) -> Status:
    """Without any right. Hand the one-time link to them, and to nobody else."""
    user, secret = people_operations.make_person(actor_of(request), new.username)
    return Status(201, _invited(user.get_username(), secret))


def _invited(name: str, secret: str) -> dict[str, Any]:
    hours = people_operations.INVITATION_LIFE.total_seconds() // 3600
    return {"name": name, "sign_in": reverse("access:sign-in-link", args=[secret]), "hours": hours}


@router.get("users/{str:name}", response=PersonShown, summary="Show a person")
@needs(VIEW)
def show_user(request: HttpRequest, name: str) -> dict[str, Any]:
    return _person_shown(directory.person_named(name, _seen(request)))


@router.patch("users/{str:name}", response=PersonShown, summary="Disable or enable a person")
@needs(MANAGE)
def change_user(request: HttpRequest, name: str, change: PersonChange) -> dict[str, Any]:
    """Disabled, their sessions, sockets and tokens end within a second."""
    actor = actor_of(request)
    authorize(actor, MANAGE)
    user = directory.user_named(name)
    (people_operations.enable if change.is_active else people_operations.disable)(actor, user)
    return _person_shown(directory.person_named(name, [Scope()]))


@router.post("users/{str:name}/link", response={201: Invited}, summary="Make a new sign-in link")
@needs(MANAGE)
def make_link(request: HttpRequest, name: str) -> Status:
    """Their earlier links that nobody used stop working."""
    actor = actor_of(request)
    authorize(actor, MANAGE)
    return Status(
        201, _invited(name, people_operations.new_link(actor, directory.user_named(name)))
    )


# --- Grants --------------------------------------------------------------------------------------


class GrantFilter(Paging):
    user: str = Field("", max_length=150, description="A person's own.")
    group: str = Field("", max_length=150)


class NewGrant(Where):
    user: str = Field("", max_length=150, description="To this person …")
    group: str = Field("", max_length=150, description="… or to this group.")
    role: Role
    expires_at: datetime | None = Field(None, description="With its offset; null: no end.")
    most_replicas: int | None = Field(
        None, ge=1, le=grant_operations.MOST, strict=True, description="The bound of on-call; 10."
    )


@router.get("grants", response=Page[GrantShown], summary="List the grants")
@needs(VIEW)
def list_grants(request: HttpRequest, filters: Query[GrantFilter]) -> dict[str, Any]:
    rows = directory.grants(_seen(request))
    if filters.user:
        rows = rows.filter(user__username=filters.user)
    if filters.group:
        rows = rows.filter(group__name=filters.group)
    return page_of(rows, filters, grant_shown)


@router.post("grants", response={201: GrantShown}, summary="Give a role")
@needs(MANAGE)
def give(request: HttpRequest, new: NewGrant) -> Status:
    """In a scope that you manage. Given once more, it only gets another end or bound."""
    actor = actor_of(request)
    authorize(actor, MANAGE, new.scope)
    grant = grant_operations.give(
        actor,
        _holder(new, scopes_with(actor.user, MANAGE)),
        new.role,
        known(new.scope),
        expires_at=_with_offset(new.expires_at),
        most_replicas=new.most_replicas,
    )
    return Status(201, grant_shown(grant))


def _holder(new: NewGrant, scopes: list[Scope]) -> grant_operations.Holder:
    if bool(new.user) == bool(new.group):
        raise Invalid("Say to whom: either a user or a group.", "user")
    if new.user:
        return directory.user_named(new.user)
    return directory.group_named(new.group, scopes)


def _with_offset(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise Invalid("Write the end with its offset, e.g. 2026-05-01T18:00:00Z.", "expires_at")
    return moment


@router.delete("grants/{int:grant}", response={204: None}, summary="Withdraw a grant")
@needs(MANAGE)
def withdraw(request: HttpRequest, grant: int) -> Status:
    """Open pages and sockets lose it within a second."""
    actor = actor_of(request)
    scopes = authorize_somewhere(actor, MANAGE)
    grant_operations.withdraw(actor, directory.grant_seen(grant, scopes))
    return Status(204, None)


# --- Groups --------------------------------------------------------------------------------------


class GroupRow(Schema):
    name: str
    members: int


class GroupShown(Schema):
    name: str
    members: list[str]
    grants: list[GrantShown]


class NewGroup(Asked):
    name: str = Field(min_length=1, max_length=150)


@router.get("groups", response=Page[GroupRow], summary="List the groups")
@needs(VIEW)
def list_groups(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    rows = directory.groups(_seen(request))
    return page_of(rows, paging, _row)


def _row(group: Group) -> dict[str, Any]:
    return {"name": group.name, "members": group.size}  # type: ignore[attr-defined]


@router.post("groups", response={201: GroupShown}, summary="Make a group")
@needs(MANAGE)
def make_group(request: HttpRequest, new: NewGroup) -> Status:
    group = group_operations.make_group(actor_of(request), new.name)
    return Status(201, {"name": group.name, "members": [], "grants": []})


@router.get("groups/{str:name}", response=GroupShown, summary="Show a group")
@needs(VIEW)
def show_group(request: HttpRequest, name: str) -> dict[str, Any]:
    return _group_shown(name, _seen(request))


def _group_shown(name: str, scopes: list[Scope]) -> dict[str, Any]:
    found = directory.group_seen(name, scopes)
    members = [user.get_username() for user in found.members]
    return {"name": name, "members": members, "grants": list(map(grant_shown, found.grants))}


@router.delete("groups/{str:name}", response={204: None}, summary="Remove a group")
@needs(MANAGE)
def remove_group(request: HttpRequest, name: str) -> Status:
    """Its members lose at once what they held through it."""
    actor = actor_of(request)
    authorize(actor, MANAGE)
    group_operations.remove_group(actor, directory.group_named(name, [Scope()]))
    return Status(204, None)


@router.put(
    "groups/{str:name}/members/{str:user}", response=GroupShown, summary="Add somebody to a group"
)
@needs(MANAGE)
def add_member(request: HttpRequest, name: str, user: str) -> dict[str, Any]:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    group = directory.group_named(name, [Scope()])
    group_operations.add_member(actor, group, directory.user_named(user))
    return _group_shown(name, [Scope()])


@router.delete(
    "groups/{str:name}/members/{str:user}", response=GroupShown, summary="Take somebody out"
)
@needs(MANAGE)
def remove_member(request: HttpRequest, name: str, user: str) -> dict[str, Any]:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    group = directory.group_named(name, [Scope()])
    group_operations.remove_member(actor, group, directory.user_named(user))
    return _group_shown(name, [Scope()])


# --- Who may do what -----------------------------------------------------------------------------


class Question(Schema):
    action: Action
    cluster: str = Field("", max_length=64, description="Left out: everywhere.")
    stack: str = Field("", max_length=64)


class Answer(Schema):
    action: str
    cluster: str
    stack: str
    people: list[HolderShown]


class TokenRightsShown(Schema):
    id: int
    name: str
    places: list[PlaceShown]


class RightsShown(Schema):
    name: str
    is_active: bool
    places: list[PlaceShown]
    tokens: list[TokenRightsShown] = Field(description="What each of their tokens can do.")


@router.get("who", response=Answer, summary="Who may do this?")
@needs(VIEW)
def who(request: HttpRequest, question: Query[Question]) -> dict[str, Any]:
    """The active people who may do the action in the scope, and through which grants."""
    scope = Scope(question.cluster, question.stack)
    authorize(actor_of(request), VIEW, scope)
    found = rights.who_may(question.action, known(scope))
    asked = {"action": question.action, "cluster": scope.cluster, "stack": scope.stack}
    return {**asked, "people": list(map(holder_shown, found))}


@router.get("users/{str:name}/rights", response=RightsShown, summary="What may this person do?")
@needs(VIEW)
def show_rights(request: HttpRequest, name: str) -> dict[str, Any]:
    """Per scope the actions, and through which grants; and what their tokens can do."""
    scopes = _seen(request)
    user = directory.user_named(name)
    found = rights.rights_of(user, scopes)
    tokens = [
        {"id": t.token.pk, "name": t.token.name, "places": list(map(place_shown, t.places))}
        for t in found.tokens
    ]
    places = list(map(place_shown, found.places))
    return {"name": name, "is_active": user.is_active, "places": places, "tokens": tokens}
