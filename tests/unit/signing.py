"""People with passwords and second factors, and their browsers."""

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters
from django.test import Client, RequestFactory

from access.models import AuditEntry, Grant, User
from access.policy import Role

PASSWORD = "correct horse battery staple"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SIGN_IN, SECOND_FACTOR = "/sign-in/", "/sign-in/second-factor/"


def person(name: str = "ada", *roles: Role) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    for role in roles:
        Grant.objects.create(user=user, role=role)
    return user


def give_app(user: User) -> Authenticator:
    """An authenticator app with the secret SECRET."""
    with context.request_context(RequestFactory().get("/")):
        authenticator: Authenticator = TOTP.activate(user, SECRET).instance
    return authenticator


def give_recovery_codes(user: User) -> list[str]:
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def code_now() -> str:
    """What the app shows now."""
    _, present, _ = counters()
    shown: str = format_hotp_value(hotp_value(SECRET, present))
    return shown


def give(client: Client, name: str, password: str = PASSWORD, **extra: Any) -> Any:
    """Give a name and a password on the sign-in page."""
    return client.post(SIGN_IN, {"username": name, "password": password}, **extra)


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def audited() -> list[str]:
    """The actions of the audit trail, the oldest first."""
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def body(answer: Any) -> str:
    return str(answer.content.decode())
