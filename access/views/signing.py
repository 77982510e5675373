"""Signing in and out."""

import json
from http import HTTPStatus
from typing import Any

from allauth.account.internal.flows.login import perform_login
from allauth.account.internal.flows.logout import logout
from allauth.account.models import Login
from allauth.account.views import LoginView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from access import audit, noted
from access.authorize import Actor
from access.declared import PUBLIC, needs
from access.forms.factors import KeyAtSignIn, SecondFactorForm, is_throttled
from access.forms.signing import SignInForm
from access.models import AuditEntry, User
from access.requests import address_of
from access.tokens import link_works, use_link

READ_OR_WRITE = ["GET", "HEAD", "POST"]


class SignIn(LoginView):
    """An unknown user and a wrong password get the same answer, at the same cost."""

    form_class = SignInForm
    template_name = "access/sign_in.html"

    def dispatch(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        response: HttpResponse = super().dispatch(request, *args, **options)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            nobody = User(username=request.POST.get("username", ""))
            noted.throttled(Actor(nobody, "browser", address_of(request)), "sign-in.failed")
        return response

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        name = settings.OIDC_NAME if settings.OIDC_ISSUER else ""
        return {**super().get_context_data(**context), "provider": name}


class SecondFactor(AuthenticateView):
    """Between the password, the link or the provider and being signed in."""

    form_class = SecondFactorForm
    webauthn_form_class = KeyAtSignIn
    template_name = "access/second_factor.html"

    def form_invalid(self, form: SecondFactorForm) -> HttpResponse:
        actor = Actor(self.stage.login.user, "browser", address_of(self.request))
        if is_throttled(form):
            noted.throttled(actor, "sign-in.failed")
        else:
            detail = {"by": ["code" if "code" in form.fields else "webauthn"]}
            audit.record(actor, "sign-in.failed", AuditEntry.Phase.REFUSED, detail=detail)
        response = super().form_invalid(form)
        response.status_code = 422
        return response

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        user = self.stage.login.user
        theirs = Authenticator.objects.filter(user=user).values_list("type", flat=True)
        found = super().get_context_data(**context)
        options = json.dumps(found["js_data"]["request_options"])
        return {**found, "person": user, "types": set(theirs), "options": options}


sign_in = needs(PUBLIC)(SignIn.as_view())
second_factor = never_cache(needs(PUBLIC)(SecondFactor.as_view()))


@never_cache
@require_http_methods(READ_OR_WRITE)
@needs(PUBLIC)
def sign_in_by_link(request: HttpRequest, secret: str) -> HttpResponse:
    """GET only asks: programs that preview links must not use it up.

    The link stands in for the password alone: whoever has a second factor is asked for it.
    """
    if request.method != "POST":
        works = link_works(secret)
        status = 200 if works else 410
        return render(request, "access/sign_in_link.html", {"works": works}, status=status)
    with transaction.atomic():
        user = use_link(secret)
        if user is None or not user.is_active:
            return render(request, "access/sign_in_link.html", {"works": False}, status=410)
        logout(request, show_message=False)
        first = not user.has_usable_password()
        next_page = reverse("access:password") if first else reverse("overview")
        response: HttpResponse = perform_login(request, Login(user=user, redirect_url=next_page))
        return response


@require_POST
@needs(PUBLIC)
def sign_out(request: HttpRequest) -> HttpResponse:
    """Also ends a sign-in that waits for its second factor."""
    logout(request, show_message=False)
    return HttpResponseRedirect(reverse("access:sign-in"))
