"""The first administrator."""

from django.db import transaction

from access.models import Grant, User
from access.policy import Role
from access.sessions import end_sessions
from access.tokens import issue_link

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
