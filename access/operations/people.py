"""People: make, disable, enable, and let in by a one-time link."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from access.authorize import Actor
from access.models import User
from access.operations.changing import (
    announce_revoked,
    authorize_manage,
    keeping_a_manager,
    record,
)
from access.problems import Invalid
from access.sessions import end_sessions
from access.tokens import end_secrets, issue_link

INVITATION_LIFE = timedelta(hours=24)


def make_person(actor: Actor, name: str) -> tuple[User, str]:
    """Make a person without any right; returns them and their one-time link's secret.

    Raises Forbidden, Invalid.
    """
    authorize_manage(actor)
    if name.strip(".") == "":  # no address could name them
        raise Invalid("A user name is more than dots.", "username")
    try:
        User.username_validator(name)
    except ValidationError as error:
        message = f"“{name}” is no user name: use letters, digits, and @ . + - _ alone."
        raise Invalid(message, "username") from error
    try:
        with transaction.atomic():
            user = User(username=name)
            user.set_unusable_password()
            user.save(force_insert=True)
            secret = issue_link(user, INVITATION_LIFE)
            record(actor, "access.person", name, before=None, after={"is_active": True})
    except IntegrityError as error:
        raise Invalid(f"There is a person named {name} already.", "username") from error
    return user, secret


def new_link(actor: Actor, user: User) -> str:
    """A fresh one-time link's secret; their earlier unused links stop working. Raises Invalid."""
    authorize_manage(actor)
    if not user.is_active:
        raise Invalid(f"{user} is disabled: enable them first.")
    with transaction.atomic():
        secret = issue_link(user, INVITATION_LIFE)
        record(actor, "access.link", user.get_username(), hours=24)
    return secret


def disable(actor: Actor, user: User) -> None:
    """End all of somebody's access at once: sessions, sockets, tokens, links. Raises Invalid.

    They end for good: none of them must come back to life with the account.
    """
    _set_active(actor, user, False)


def enable(actor: Actor, user: User) -> None:
    """Let somebody in again, with the grants and groups that they still have."""
    _set_active(actor, user, True)


def _set_active(actor: Actor, user: User, active: bool) -> None:
    authorize_manage(actor)
    with transaction.atomic(), keeping_a_manager(actor):
        if not User.objects.filter(pk=user.pk).exclude(is_active=active).update(is_active=active):
            return
        action = "access.enable" if active else "access.disable"
        detail: dict[str, Any] = {"before": {"is_active": not active}}
        detail["after"] = {"is_active": active}
        if not active:
            end_sessions(user)
            detail["tokens"] = end_secrets(user)
        record(actor, action, user.get_username(), **detail)
        announce_revoked(user)
