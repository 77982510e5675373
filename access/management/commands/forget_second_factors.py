"""For whoever lost their telephone and their keys: `manage.py forget_second_factors USER`."""

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, User
from access.sessions import end_sessions


class Command(BaseCommand):
    help = "Remove all second factors of a user and end their sessions: their password is enough."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['user']}.")
        if not Authenticator.objects.filter(user=user).exists():
            raise CommandError(f"{user} has no second factor.")
        with transaction.atomic():
            Authenticator.objects.filter(user=user).delete()
            end_sessions(user)
            actor = Actor(User(username="command line"), "command")
            audit.record(actor, "factor.forget", AuditEntry.Phase.EVENT, target=user.get_username())
        self.stdout.write(f"{user} has no second factor any more, and is signed out.")
