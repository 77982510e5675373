"""Migrates and makes the first admin; `manage.py up` runs it between the database and the rest."""

import json
import os
import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from access.operations.first import ensure_admin
from controlpanel.configuration import tell_changes


class Command(BaseCommand):
    help = "Migrates the database, makes the first admin, and prints the sign-in link as JSON."
    # They load every page's code, which takes as long as the rest; the web process does it anyway.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, stdout=sys.stderr)
        call_command("createcachetable", stdout=sys.stderr)
        tell_changes()
        sign_in = ensure_admin(os.environ.get("PILOTHOUSE_ADMIN_PASSWORD") or None)
        self.stdout.write(json.dumps({"sign_in": sign_in}))
