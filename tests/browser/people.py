"""People of the tests' own, signed in without a form, who have just proved who they are."""

import subprocess
import sys
from typing import Any

from playwright.sync_api import Browser

from tests.browser.operating import PATIENCE, Person
from tests.run.stages import ROOT
from tests.supervisor.panel import Panel

SIGN_IN = """
import time
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.flows.login import _AUTHENTICATION_METHODS_USER_SESSION_KEY
from access.models import User
user = User.objects.get(username={name!r})
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session[AUTHENTICATION_METHODS_SESSION_KEY] = [{{"method": "password", "at": time.time()}}]
session[_AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
session.save()
print(session.session_key)
"""


def command(panel: Panel, *arguments: str) -> str:
    """What a `manage.py` command beside the running panel prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=panel.environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


class Colleague(Person):
    """Somebody with a session of their own, and one page."""

    def __init__(self, browser: Browser, panel: Panel, name: str, **context: Any) -> None:
        key = command(panel, "shell", "--verbosity", "0", "-c", SIGN_IN.format(name=name))
        self.context = browser.new_context(**context)
        cookie = {"name": "sessionid", "value": key.splitlines()[-1], "url": panel.url}
        self.context.add_cookies([cookie])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.panel = panel
        self.loads = 0
