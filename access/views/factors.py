"""Second factors: an authenticator app, security keys, recovery codes. Allauth's views, audited."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, EditWebAuthnView, RemoveWebAuthnView
from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache

from access import audit
from access.declared import SIGNED_IN, needs
from access.forms.factors import AuthenticatorForm, KeyForm, RenameKeyForm
from access.models import AuditEntry
from access.requests import actor_of

View = Callable[..., HttpResponse]


class Noted:
    """A change of one's own factors, with its audit row in one transaction."""

    request: HttpRequest
    action: str
    said = ""
    success_url = reverse_lazy("access:account")

    def form_valid(self, form: forms.Form) -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
            actor, event, told = actor_of(self.request), AuditEntry.Phase.EVENT, self.detail(form)
            audit.record(actor, self.action, event, target=self.factor(form), detail=told)
        if self.said:
            messages.success(self.request, self.said)
        return response

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        context = self.get_context_data(form=form)  # type: ignore[attr-defined]
        response: HttpResponse = self.render_to_response(context, status=422)  # type: ignore[attr-defined]
        return response

    def factor(self, form: forms.Form) -> str:
        raise NotImplementedError

    def detail(self, form: forms.Form) -> dict[str, Any]:
        return {}


class Added(Noted):
    """Who has just shown both a fresh proof and the new factor need not show it once more."""

    action = "factor.add"
    did_generate_recovery_codes: bool

    def form_valid(self, form: forms.Form) -> HttpResponse:
        response = super().form_valid(form)
        factors = Authenticator.objects.filter(user=actor_of(self.request).user)
        newest = factors.exclude(type=Authenticator.Type.RECOVERY_CODES).latest("pk")
        post_authentication(self.request, newest, reauthenticated=True)
        return response

    def get_success_url(self) -> str:
        if self.did_generate_recovery_codes:
            return str(reverse_lazy("mfa_view_recovery_codes"))
        return str(self.success_url)


class AddAuthenticator(Added, ActivateTOTPView):
    form_class = AuthenticatorForm
    template_name = "access/authenticator_add.html"
    said = "Your authenticator app was added."

    def factor(self, form: forms.Form) -> str:
        return "authenticator app"


class RemoveAuthenticator(Noted, DeactivateTOTPView):
    action = "factor.remove"
    template_name = "access/factor_remove.html"
    said = "Your authenticator app was removed."

    def factor(self, form: forms.Form) -> str:
        return "authenticator app"


class AddKey(Added, AddWebAuthnView):
    form_class = KeyForm
    template_name = "access/key_add.html"
    said = "Your security key was added."

    def factor(self, form: forms.Form) -> str:
        return str(form.cleaned_data["name"])

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        found = {**super().get_context_data(**context), **context}
        return {**found, "options": json.dumps(found["js_data"]["creation_options"])}


class RemoveKey(Noted, RemoveWebAuthnView):
    action = "factor.remove"
    template_name = "access/factor_remove.html"
    said = "Your security key was removed."

    def get_success_url(self) -> str:
        return str(self.success_url)

    def factor(self, form: forms.Form) -> str:
        return str(self.object.wrap().name)


class RenameKey(Noted, EditWebAuthnView):
    action = "factor.rename"
    template_name = "access/key_rename.html"
    form_class = RenameKeyForm
    said = "Your security key was renamed."

    def get_success_url(self) -> str:
        return str(self.success_url)

    def factor(self, form: forms.Form) -> str:
        return str(form.cleaned_data["name"])

    def detail(self, form: forms.Form) -> dict[str, Any]:
        before, after = form.initial["name"], form.cleaned_data["name"]
        return {"before": {"name": before}, "after": {"name": after}}


class RecoveryCodes(ViewRecoveryCodesView):
    template_name = "access/recovery_codes.html"


class NewRecoveryCodes(Noted, GenerateRecoveryCodesView):
    action = "factor.codes"
    template_name = "access/recovery_codes_new.html"
    success_url = reverse_lazy("mfa_view_recovery_codes")

    def factor(self, form: forms.Form) -> str:
        return "recovery codes"


def _own(view: View) -> View:
    """For whoever is signed in. What it shows is for their eyes, not for a cache."""

    @never_cache
    @needs(SIGNED_IN)
    @wraps(view)
    def checked(request: HttpRequest, **arguments: Any) -> HttpResponse:
        actor_of(request)
        return view(request, **arguments)

    return checked


add_authenticator = _own(AddAuthenticator.as_view())
remove_authenticator = _own(RemoveAuthenticator.as_view())
add_key = _own(AddKey.as_view())
rename_key = _own(RenameKey.as_view())
remove_key = _own(RemoveKey.as_view())
recovery_codes = _own(RecoveryCodes.as_view())
new_recovery_codes = _own(NewRecoveryCodes.as_view())
