"""Reads of what not everybody may see stand in the audit trail."""

from access import noted
from access.authorize import Actor
from access.policy import Action
from clusters import specs
from clusters.models import Service


def note_env(actor: Actor, service: Service, actions: frozenset[Action]) -> None:
    """The actor is about to be shown the service's environment, if they may see its values."""
    if Action.SERVICE_ENV in actions and specs.has_env(service.spec):
        noted.read(actor, Action.SERVICE_ENV, service.scope, service.name)
