"""Give a role: `manage.py grant USER|--group GROUP ROLE [--cluster C [--stack S]] [--withdraw]`."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError

from access.models import Grant, User
from access.operations.changing import COMMAND_LINE
from access.operations.grants import Holder, give, withdraw
from access.operations.groups import make_group
from access.operations.people import make_person
from access.policy import Role, Scope
from access.problems import Invalid

ROLES = [role.value for role in Role]


class Command(BaseCommand):
    help = "Give a user or a group a role, and print a one-time sign-in link if the user is new."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", help="the user's name; made if there is none")
        parser.add_argument("role", choices=ROLES)
        parser.add_argument(
            "--group", help="to this group instead of a user; made if there is none"
        )
        parser.add_argument("--cluster", default="", help="in this cluster alone")
        parser.add_argument("--stack", default="", help="in this stack of the cluster alone")
        parser.add_argument("--withdraw", action="store_true", help="take the role away instead")

    def handle(self, *args: Any, **options: Any) -> None:
        scope, role = Scope(options["cluster"], options["stack"]), Role(options["role"])
        if bool(options["user"]) == bool(options["group"]):
            raise CommandError("Say to whom: either a user or --group.")
        try:
            if options["withdraw"]:
                self._withdraw(options, role, scope)
            else:
                self._give(options, role, scope)
        except Invalid as error:
            raise CommandError(str(error)) from error

    def _give(self, options: dict[str, Any], role: Role, scope: Scope) -> None:
        if scope.stack and not scope.cluster:  # before anybody is made for it
            raise CommandError("A stack is a stack of a cluster: give --cluster, too.")
        holder, link = self._holder(options)
        give(COMMAND_LINE, holder, role, scope)
        self.stdout.write(f"{_name(options)} is now {role} in {_words(scope)}.")
        if link:
            self.stdout.write(f"Sign in once, within 24 hours: /sign-in/link/{link}/")

    def _holder(self, options: dict[str, Any]) -> tuple[Holder, str]:
        """Who gets it; a person who is new with the secret of their first sign-in link."""
        if name := options["group"]:
            return Group.objects.filter(name=name).first() or make_group(COMMAND_LINE, name), ""
        if user := User.objects.filter(username=options["user"]).first():
            return user, ""
        return make_person(COMMAND_LINE, options["user"])

    def _withdraw(self, options: dict[str, Any], role: Role, scope: Scope) -> None:
        asked = {"role": role, "cluster": scope.cluster, "stack": scope.stack, "break_glass": None}
        if options["group"]:
            asked["group__name"] = options["group"]
        else:
            asked["user__username"] = options["user"]
        grant = Grant.objects.filter(**asked).select_related("user", "group").first()
        if grant is None:
            raise CommandError(f"{_name(options)} is not {role} in {_words(scope)}.")
        withdraw(COMMAND_LINE, grant)
        self.stdout.write(f"{_name(options)} is no longer {role} in {_words(scope)}.")


def _name(options: dict[str, Any]) -> str:
    return str(options["user"] or f"group {options['group']}")


def _words(scope: Scope) -> str:
    return "/".join(filter(None, (scope.cluster, scope.stack))) or "every cluster"
