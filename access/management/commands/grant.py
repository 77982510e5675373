"""Give somebody a role: `manage.py grant USER ROLE [--cluster C [--stack S]] [--withdraw]`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from access.models import User
from access.operations import grant, withdraw
from access.policy import Role, Scope
from access.tokens import issue_link


class Command(BaseCommand):
    help = "Give a user a role, and print a one-time sign-in link if the user is new."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name; made if there is none")
        parser.add_argument("role", choices=[role.value for role in Role])
        parser.add_argument("--cluster", default="", help="in this cluster alone")
        parser.add_argument("--stack", default="", help="in this stack of the cluster alone")
        parser.add_argument("--withdraw", action="store_true", help="take the role away instead")

    def handle(self, *args: Any, **options: Any) -> None:
        scope, role = Scope(options["cluster"], options["stack"]), Role(options["role"])
        if scope.stack and not scope.cluster:
            raise CommandError("A stack is a stack of a cluster: give --cluster, too.")
        name = options["user"]
        self._check_name(name)
        if options["withdraw"]:
            self._withdraw(name, role, scope)
            return
        user, made = grant(name, role, scope)
        self.stdout.write(f"{name} is now {role} in {_words(scope)}.")
        if made:
            self.stdout.write(f"Sign in once, within 30 minutes: /sign-in/link/{issue_link(user)}/")

    def _check_name(self, name: str) -> None:
        try:
            User.username_validator(name)
        except ValidationError as error:
            raise CommandError(f"“{name}” is no user name: {' '.join(error.messages)}") from error

    def _withdraw(self, name: str, role: Role, scope: Scope) -> None:
        user = User.objects.filter(username=name).first()
        if user is None or not withdraw(user, role, scope):
            raise CommandError(f"{name} is not {role} in {_words(scope)}.")
        self.stdout.write(f"{name} is no longer {role} in {_words(scope)}.")


def _words(scope: Scope) -> str:
    return "/".join(filter(None, (scope.cluster, scope.stack))) or "every cluster"
