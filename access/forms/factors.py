"""Codes and keys, with allauth's rules and our looks."""

import struct
from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.mfa import app_settings
from allauth.mfa.base.forms import AuthenticateForm as CodeAtSignIn
from allauth.mfa.base.forms import ReauthenticateForm as CodeAsProof
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.cache import cache

# What the library for security keys makes of an answer that is none.
NO_ANSWER = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error)
TAKEN_FOR = (2 * app_settings.TOTP_TOLERANCE + 1) * app_settings.TOTP_PERIOD  # seconds
NOT_THIS_KEY = "This key is not one of yours here, or it took too long. Try again."


def _code(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(
        attrs={
            "class": "form-control",
            "autocomplete": "one-time-code",
            "inputmode": "numeric",
            "autofocus": True,
        }
    )
    return forms.CharField(label=label, max_length=32, help_text=help_text, widget=widget)


def is_throttled(form: forms.Form) -> bool:
    """Whether what was given was not even looked at."""
    return any(form.has_error(name, "too_many_login_attempts") for name in form.fields)


class UsedOnce:
    """A code of an app is known as used for as long as it would be taken once more.

    Allauth remembers it for one step; telephones' clocks differ, so it is taken for several.
    """

    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            used = self.authenticator.wrap()._get_used_cache_key(code)
            cache.set(used, "y", TAKEN_FOR)
        return code


class SecondFactorForm(UsedOnce, CodeAtSignIn):
    code = _code("Code", "Of your authenticator app, or one of your recovery codes.")


class CodeForm(UsedOnce, CodeAsProof):
    code = _code("Code", "Of your authenticator app, or one of your recovery codes.")


class AnsweredKey:
    def clean_credential(self) -> Authenticator:
        try:
            authenticator: Authenticator = super().clean_credential()  # type: ignore[misc]
        except NO_ANSWER as error:
            raise forms.ValidationError(NOT_THIS_KEY) from error
        return authenticator


class KeyAtSignIn(AnsweredKey, AuthenticateWebAuthnForm):
    pass


class KeyAsProof(AnsweredKey, ReauthenticateWebAuthnForm):
    pass


class PasswordProofForm(ReauthenticateForm):
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(
            attrs={
                "class": "form-control",
                "autocomplete": "current-password",
                "autofocus": True,
            }
        ),
    )


class AuthenticatorForm(ActivateTOTPForm):
    code = _code("Code", "The six digits that the app shows now.")


def _name(*, required: bool) -> forms.CharField:
    return forms.CharField(
        label="Name",
        max_length=100,
        required=required,
        help_text="To tell it from your other keys.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )


class RenameKeyForm(EditWebAuthnForm):
    name = _name(required=True)


class KeyForm(AddWebAuthnForm):
    name = _name(required=False)

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except NO_ANSWER as error:
            raise forms.ValidationError(NOT_THIS_KEY) from error
        return cleaned
