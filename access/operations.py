"""Sign-in by link, the first administrator, and the end of somebody's access."""

from django.db import connection, transaction

from access.models import Grant, User
from access.policy import Role
from access.tokens import issue_link
from live.hub import REVOKED


def ensure_admin(password: str | None) -> str | None:
    """Make sure that somebody can sign in as `admin`.

    With a password, it is set on first run and None is returned. Without, and as long as the admin
    has no password, the path of a fresh one-time sign-in link.
    """
    with transaction.atomic():
        admin, made = User.objects.get_or_create(username="admin")
        Grant.objects.get_or_create(user=admin, role=Role.ADMIN, cluster="", stack="")
        if made:
            admin.set_unusable_password()
        if password and not admin.check_password(password):
            admin.set_password(password)
        admin.save()
    if admin.has_usable_password():
        return None
    return f"/sign-in/link/{issue_link(admin)}/"


def announce_revoked(user: User) -> None:
    """Tell every web process to close the user's sockets, when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [REVOKED, str(user.pk)])
