"""Give people access and take it away. The command line calls these; whoever has it is trusted."""

from django.db import transaction

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, Grant, User
from access.policy import Role, Scope
from access.sessions import end_sessions
from access.tokens import issue_link
from live import hub

# The first person is both; where there are two, they should not be.
FIRST_ROLES = (Role.ADMIN, Role.AUDITOR)


def ensure_admin(password: str | None) -> str | None:
    """Make sure that somebody can sign in as `admin`.

    With a password, it is set on first run and None is returned. Without, and as long as the admin
    has no password, the path of a fresh one-time sign-in link.
    """
    with transaction.atomic():
        admin, made = User.objects.get_or_create(username="admin")
        for role in FIRST_ROLES:
            Grant.objects.get_or_create(user=admin, role=role, cluster="", stack="")
        if made:
            admin.set_unusable_password()
        if password and not admin.check_password(password):
            admin.set_password(password)
            end_sessions(admin)
        admin.save()
    if admin.has_usable_password():
        return None
    return f"/sign-in/link/{issue_link(admin)}/"


def grant(name: str, role: Role, scope: Scope) -> tuple[User, bool]:
    """Give a role in a scope; returns the user and whether they were made for it."""
    with transaction.atomic():
        user, made = User.objects.get_or_create(username=name)
        if made:
            user.set_unusable_password()
            user.save()
        bound = Grant.MOST_REPLICAS if role == Role.ON_CALL else None
        Grant.objects.get_or_create(
            user=user,
            role=role,
            cluster=scope.cluster,
            stack=scope.stack,
            defaults={"most_replicas": bound},
        )
        _record(user, "access.grant", scope, {"role": role})
        announce_revoked(user)
    return user, made


def withdraw(user: User, role: Role, scope: Scope) -> bool:
    """Take a role in a scope away; whether there was such a grant."""
    found = Grant.objects.filter(user=user, role=role, cluster=scope.cluster, stack=scope.stack)
    with transaction.atomic():
        there = bool(found.delete()[0])
        _record(user, "access.withdraw", scope, {"role": role})
        announce_revoked(user)
    return there


def disable(user: User) -> None:
    """End all of somebody's access at once: sessions, sockets, tokens."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=False)
        _record(user, "access.disable", Scope(), {})
        end_sessions(user)  # for good: they must not come back to life with the account


def _record(user: User, action: str, scope: Scope, detail: dict[str, object]) -> None:
    actor = Actor(User(username="command line"), "command")
    name = user.get_username()
    audit.record(actor, action, AuditEntry.Phase.EVENT, scope=scope, target=name, detail=detail)


def announce_revoked(user: User) -> None:
    """Tell every web process to close the user's sockets, when the transaction commits."""
    hub.announce_revoked(user.pk)
