"""Signing in, and choosing a password."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django import forms
from django.contrib.auth.password_validation import (
    password_validators_help_texts,
    validate_password,
)
from django.http import HttpRequest, HttpResponse

from access.models import User


class SignInForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"class": "form-control", "autocomplete": "username", "autocapitalize": "none"}
        ),
    )
    password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "current-password"}
        ),
    )

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        self.request = request
        super().__init__(*args, **options)

    def clean(self) -> dict[str, Any]:
        """Unknown user, disabled user, wrong password: the same answer, at the same cost."""
        if not self.errors:
            adapter = get_adapter(self.request)
            self.user = adapter.authenticate(self.request, **self.cleaned_data)
            if self.user is None:
                raise adapter.validation_error("username_password_mismatch")
        return self.cleaned_data

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        """Sign in, or go on to the second factor. Called by allauth once the form is valid."""
        login = Login(user=self.user, redirect_url=redirect_url)
        return perform_password_login(request, {"username": self.user.username}, login)


def _new_password() -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"})


class PasswordForm(forms.Form):
    """A new password; who has one already gives it first."""

    current = forms.CharField(
        label="Present password",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "current-password"}
        ),
    )
    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=4096,
        widget=_new_password(),
        help_text=" ".join(password_validators_help_texts()),
    )
    again = forms.CharField(
        label="New password again", strip=False, max_length=4096, widget=_new_password()
    )

    def __init__(self, user: User, data: Any = None) -> None:
        self.user = user
        super().__init__(data)
        if not user.has_usable_password():
            del self.fields["current"]

    def clean_current(self) -> str:
        current: str = self.cleaned_data["current"]
        if not get_adapter().reauthenticate(self.user, current):
            raise forms.ValidationError("This is not your present password.")
        return current

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        return password

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        if "password" in found and found.get("again") != found["password"]:
            self.add_error("again", "The two passwords are not the same.")
        return found
