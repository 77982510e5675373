"""Print a new API token: `manage.py issue_token USER [--name N] [--days D] [--role R] …`."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.models import User
from access.operations.changing import COMMAND_LINE, record
from access.policy import Role, Scope
from access.tokens import issue_token

LONGEST = 366  # days


class Command(BaseCommand):
    help = "Print a new API token of a user, with their rights or less. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--days", type=int, default=90, help=f"how long it works, 1 to {LONGEST} (90)"
        )
        roles = [role.value for role in Role]
        parser.add_argument("--role", choices=roles, default="", help="no more than this role may")
        parser.add_argument("--cluster", default="", help="in this cluster alone")
        parser.add_argument("--stack", default="", help="in this stack of the cluster alone")

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"], options["days"]
        if not 1 <= days <= LONGEST:
            raise CommandError(f"--days must be 1 to {LONGEST}, not {days}.")
        if not 1 <= len(name) <= 100:
            raise CommandError("--name must have 1 to 100 characters.")
        role, scope = options["role"], Scope(options["cluster"], options["stack"])
        if scope.stack and not scope.cluster:
            raise CommandError("A stack is a stack of a cluster: give --cluster, too.")
        user = _find(options["user"])
        with transaction.atomic():
            secret = issue_token(user, name, timedelta(days=days), role=role, scope=scope)
            after = {"owner": user.get_username(), "role": role, "days": days}
            record(COMMAND_LINE, "token.issue", name, scope, before=None, after=after)
        self.stdout.write(secret)


def _find(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        known = ", ".join(User.objects.order_by("username").values_list("username", flat=True)[:10])
        raise CommandError(f"There is no user named {username}. There are: {known or 'none yet'}.")
    if not user.is_active:
        raise CommandError(f"{username} is disabled: a token of theirs would not work.")
    return user
