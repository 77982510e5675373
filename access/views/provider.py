"""Signing in, and proving who one is, at the identity provider."""

from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from access import provider
from access.declared import PUBLIC, SIGNED_IN, needs
from access.requests import actor_of
from access.views.proof import next_page


@never_cache
@require_POST
@needs(PUBLIC)
def sign_in(request: HttpRequest) -> HttpResponse:
    return _send(request, provider.SIGN_IN, {})


@never_cache
@require_POST
@needs(SIGNED_IN)
def prove(request: HttpRequest) -> HttpResponse:
    actor_of(request)
    return _send(request, provider.PROOF, provider.ASK_ANEW)


def _send(request: HttpRequest, process: str, parameters: dict[str, str]) -> HttpResponse:
    """By a page that goes on by itself: our policy lets no form lead to another host."""
    _must_be_set_up()
    try:
        answer = (
            get_social_adapter(request)
            .get_provider(request, settings.OIDC_ISSUER)
            .redirect(request, process, next_url=next_page(request), auth_params=dict(parameters))
        )
    except provider.BROKEN as error:
        return provider.failed(request, provider.reason("", error))
    context = {"address": answer["Location"], "provider": settings.OIDC_NAME}
    return render(request, "access/to_provider.html", context)


@never_cache
@require_safe
@needs(PUBLIC)
def callback(request: HttpRequest) -> HttpResponse:
    """Where the provider sends people back to."""
    _must_be_set_up()
    view = OAuth2CallbackView.adapter_view(provider.Protocol(request, settings.OIDC_ISSUER))
    try:
        response: HttpResponse = view(request)
    except provider.BROKEN as error:
        return provider.failed(request, provider.reason("", error))
    return response


def _must_be_set_up() -> None:
    if not settings.OIDC_ISSUER:
        raise Http404
