"""Say that changes in a scope need two persons, and that they no longer do."""

from django.db import IntegrityError, transaction

from access.authorize import Actor
from access.models import Protection, Unprotected
from access.operations.changing import announce_alarm, authorize_manage, record
from access.policy import Scope
from access.problems import Invalid


def protect(actor: Actor, scope: Scope) -> Protection:
    """Raises Forbidden, Invalid."""
    if not scope.cluster:
        raise Invalid("Say which cluster: everything at once cannot be protected.", "cluster")
    authorize_manage(actor, scope)
    try:
        with transaction.atomic():
            found = Protection.objects.create(cluster=scope.cluster, stack=scope.stack)
            record(
                actor,
                "access.protect",
                str(scope),
                scope,
                before={"persons": 1},
                after={"persons": 2},
            )
    except IntegrityError as error:
        raise Invalid(f"{scope} is protected already.", "stack") from error
    return found


def unprotect(actor: Actor, protection: Protection) -> None:
    """One person is enough again; every administrator of the scope is told on every page."""
    scope = protection.scope
    authorize_manage(actor, scope)
    with transaction.atomic():
        if not Protection.objects.filter(pk=protection.pk).delete()[0]:
            return
        notice = Unprotected.objects.create(
            cluster=scope.cluster, stack=scope.stack, user=actor.user
        )
        record(
            actor,
            "access.unprotect",
            str(scope),
            scope,
            before={"persons": 2},
            after={"persons": 1},
        )
        announce_alarm(scope, notice.pk)
