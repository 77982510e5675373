"""Groups of people, who hold what their group holds. They reach everywhere, so do their changes."""

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from access.authorize import Actor
from access.models import Grant, User
from access.operations.changing import (
    announce_revoked,
    authorize_manage,
    describe,
    keeping_a_manager,
    record,
)
from access.problems import Invalid

LONGEST_NAME = 150


def make_group(actor: Actor, name: str) -> Group:
    """Raises Forbidden, Invalid."""
    authorize_manage(actor)
    if not 1 <= len(name) <= LONGEST_NAME or name != name.strip() or "/" in name:
        raise Invalid("A group's name has 1 to 150 characters, and no “/” among them.", "name")
    if name.strip(".") == "":  # no address could name it
        raise Invalid("A group's name is more than dots.", "name")
    try:
        with transaction.atomic():
            group = Group.objects.create(name=name)
            record(actor, "access.group", name, before=None, after={"members": []})
    except IntegrityError as error:
        raise Invalid(f"There is a group named {name} already.", "name") from error
    return group


def remove_group(actor: Actor, group: Group) -> None:
    """Its members lose at once what they held through it."""
    authorize_manage(actor)
    with transaction.atomic(), keeping_a_manager(actor):
        before = {**_members(group), "grants": [describe(grant) for grant in _grants(group)]}
        group.delete()
        record(actor, "access.group-remove", group.name, before=before, after=None)
        announce_revoked()


def add_member(actor: Actor, group: Group, user: User) -> None:
    _set_member(actor, group, user, True)


def remove_member(actor: Actor, group: Group, user: User) -> None:
    _set_member(actor, group, user, False)


def _set_member(actor: Actor, group: Group, user: User, member: bool) -> None:
    authorize_manage(actor)
    with transaction.atomic(), keeping_a_manager(actor):
        if user.groups.filter(pk=group.pk).exists() == member:
            return
        before = _members(group)
        (user.groups.add if member else user.groups.remove)(group)
        action = "access.member" if member else "access.member-remove"
        name = user.get_username()
        record(actor, action, name, group=group.name, before=before, after=_members(group))
        announce_revoked(user)


def _members(group: Group) -> dict[str, list[str]]:
    names = User.objects.filter(groups=group).order_by("username")
    return {"members": list(names.values_list("username", flat=True))}


def _grants(group: Group) -> QuerySet[Grant]:
    return Grant.objects.filter(group=group).order_by("pk")
