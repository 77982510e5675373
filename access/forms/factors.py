"""Codes and keys, with allauth's rules and our looks."""

from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.mfa.base.forms import AuthenticateForm as CodeAtSignIn
from allauth.mfa.base.forms import ReauthenticateForm as CodeAsProof
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms


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


class SecondFactorForm(CodeAtSignIn):
    code = _code("Code", "Of your authenticator app, or one of your recovery codes.")


class CodeForm(CodeAsProof):
    code = _code("Code", "Of your authenticator app, or one of your recovery codes.")


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


class KeyForm(AddWebAuthnForm):
    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        help_text="To tell it from your other keys.",
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """A credential that is none is a mistake of the browser's, not of ours."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except (KeyError, ValueError, AttributeError) as error:
            raise forms.ValidationError("The browser sent no key. Try again.") from error
        return cleaned
