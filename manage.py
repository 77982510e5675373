#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from pathlib import Path

import environ
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")
    if sys.argv[1:2] != ["up"]:
        # Beside a panel that `make run` started, a command speaks to that panel's database. What
        # the environment itself says goes first.
        state = Path(os.environ.get("PILOTHOUSE_STATE_DIR", Path(__file__).parent / "var"))
        running = state / "environment"
        if running.exists():
            environ.Env.read_env(running)
    execute_from_command_line(sys.argv)
