"""Reads of what not everybody may see stand in the audit trail."""

from collections.abc import Iterable
from typing import Any

from access import noted
from access.authorize import Actor
from access.policy import Action
from clusters import specs
from clusters.models import Operation, Service
from clusters.specs import Difference


def note_env(actor: Actor, service: Service, actions: frozenset[Action]) -> None:
    """The actor is about to be shown the service's environment, if they may see its values."""
    if Action.SERVICE_ENV in actions and specs.has_env(service.spec):
        noted.read(actor, Action.SERVICE_ENV, service.scope, service.name)


def note_differences(
    actor: Actor,
    shown: Service | Operation,
    actions: frozenset[Action],
    found: Iterable[Difference],
    clash: dict[str, Any] | None = None,
) -> None:
    """The actor is about to be shown differences of a service, or both changes of a conflict.

    `clash`: as an operation keeps it.
    """
    kept = [*clash["theirs"], *clash["yours"]] if clash else []
    secret = any(one.secret for one in found) or any(one["secret"] for one in kept)
    if Action.SERVICE_ENV in actions and secret:
        name = shown.name if isinstance(shown, Service) else shown.target
        noted.read(actor, Action.SERVICE_ENV, shown.scope, name)
