"""End somebody's access at once: `manage.py disable_user USER`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.models import User
from access.operations.changing import COMMAND_LINE
from access.operations.people import disable


class Command(BaseCommand):
    help = "Disable a user: their sessions, open pages and tokens end within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['user']}.")
        disable(COMMAND_LINE, user)
        self.stdout.write(f"{user} is disabled.")
