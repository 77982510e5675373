"""Print a new API token: `manage.py issue_token USER [--name N] [--days D]`."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, User
from access.tokens import issue_token

LONGEST = 366  # days


class Command(BaseCommand):
    help = "Print a new API token of a user, with the user's own rights. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--days", type=int, default=90, help=f"how long it works, 1 to {LONGEST} (90)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"], options["days"]
        if not 1 <= days <= LONGEST:
            raise CommandError(f"--days must be 1 to {LONGEST}, not {days}.")
        if not 1 <= len(name) <= 100:
            raise CommandError("--name must have 1 to 100 characters.")
        user = _find(options["user"])
        with transaction.atomic():
            secret = issue_token(user, name, timedelta(days=days))
            actor = Actor(user, "command")
            audit.record(actor, "token.issue", AuditEntry.Phase.EVENT, target=name)
        self.stdout.write(secret)


def _find(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        known = ", ".join(User.objects.order_by("username").values_list("username", flat=True)[:10])
        raise CommandError(f"There is no user named {username}. There are: {known or 'none yet'}.")
    if not user.is_active:
        raise CommandError(f"{username} is disabled: a token of theirs would not work.")
    return user
