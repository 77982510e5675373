"""One identity provider, by OpenID Connect: who somebody is, and which groups they belong to.

People are known by the provider's subject, never by a name or an e-mail that happens to be equal.
"""

import hashlib
import logging
import time
from typing import Any

from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from access import audit
from access.authorize import Actor
from access.models import AuditEntry, User
from access.requests import address_of
from live.hub import announce_revoked

log = logging.getLogger(__name__)

SIGN_IN, PROOF = AuthProcess.LOGIN, AuthProcess.REDIRECT  # why somebody is sent to the provider
ASK_ANEW = {"prompt": "login", "max_age": "0"}
PROOF_AGE = 120  # seconds between the provider's proof and its arrival here, clocks included
# What a provider that answers with nonsense makes of its readers. OSError: it does not answer.
BROKEN = (OAuth2Error, OSError, ValueError, KeyError, TypeError, AttributeError)

# Why it failed, and with which status.
CANCELLED = ("You cancelled it at the provider.", 403)
DISABLED = ("Your account here is disabled. An administrator can enable it.", 403)
LOST = ("What you began here was not found: it took too long, or began in another browser.", 400)
NOT_PROVED = ("The provider did not ask you to prove anew who you are, or it was another.", 403)
REFUSED = ("The provider's answer is not one that can be trusted, so it was refused.", 502)
SILENT = ("The provider does not answer.", 503)


def failed(request: HttpRequest, why: tuple[str, int]) -> HttpResponse:
    context = {"why": why[0], "provider": settings.OIDC_NAME}
    return render(request, "access/provider_failed.html", context, status=why[1])


def reason(error: str, exception: Exception | None) -> tuple[str, int]:
    """Why it failed, from what allauth says of it."""
    if exception is None:
        return CANCELLED if error == AuthError.CANCELLED else LOST
    log.warning("The identity provider: %s: %.120s", type(exception).__name__, exception)
    return SILENT if isinstance(exception, OSError) else REFUSED


# --- The protocol, where allauth leaves something out --------------------------------------------


def _nonce_of(state: str) -> str:
    """The state is random and bound to the session, so the nonce can follow from it."""
    return hashlib.sha256(f"nonce:{state}".encode()).hexdigest()


class Client(OAuth2Client):
    def get_redirect_url(
        self, authorization_url: str, scope: list[str], extra_params: dict[str, str]
    ) -> str:
        extra = {**extra_params, "nonce": _nonce_of(self.state)}
        url: str = super().get_redirect_url(authorization_url, scope, extra)
        return url


class Protocol(OpenIDConnectOAuth2Adapter):
    client_class = Client

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        if config["issuer"].rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error("it says that it is another issuer")
        return config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return request.build_absolute_uri(reverse("access:provider-callback"))

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        login = super().complete_login(request, app, token, **kwargs)
        told = login.account.extra_data
        claims, userinfo = told["id_token"], told["userinfo"]
        if "exp" not in claims:
            raise OAuth2Error("its token never expires")
        if claims.get("nonce") != _nonce_of(request.GET["state"]):
            raise OAuth2Error("its token is for another request")
        if userinfo["sub"] != claims["sub"]:
            raise OAuth2Error("its token and its user information are of two people")
        login.email_addresses, login.user.email = [], ""  # nobody is matched or reached by it
        login.account.extra_data = {
            "auth_time": claims.get("auth_time"),
            "groups": {**claims, **userinfo}.get(settings.OIDC_GROUPS_CLAIM, []),
        }
        return login

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        """The signature is checked although the token came straight from the provider."""
        claims: dict[str, Any] = jwtkit.verify_and_decode(
            credential=id_token,
            keys_url=self.openid_config["jwks_uri"],
            issuer=self.openid_config["issuer"],
            audience=app.client_id,
            lookup_kid=jwtkit.lookup_kid_jwk,
        )
        return claims


class Provider(OpenIDConnectProvider):
    oauth2_adapter_class = Protocol


# --- What it says of a person --------------------------------------------------------------------


def just_proved(login: SocialLogin) -> bool:
    """Whether the provider itself asked for a proof of late; it says when it did."""
    at = login.account.extra_data["auth_time"]
    return isinstance(at, int | float) and abs(time.time() - at) < PROOF_AGE


def set_groups(request: HttpRequest, login: SocialLogin) -> None:
    """The person's groups are exactly those that the claim names and that there are here."""
    if not settings.OIDC_GROUPS_CLAIM:
        return
    user: User = login.user
    named = login.account.extra_data["groups"]
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    wanted = set(Group.objects.filter(name__in=names))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        present = set(user.groups.all())
        if wanted == present:
            return
        user.groups.set(wanted)
        detail = {
            "added": sorted(group.name for group in wanted - present),
            "withdrawn": sorted(group.name for group in present - wanted),
        }
        actor = Actor(user, "browser", address_of(request))
        audit.record(actor, "access.groups", AuditEntry.Phase.EVENT, detail=detail)
        announce_revoked(user.pk)


def is_known_by_provider(user: User) -> bool:
    """Whether the person signs in through the provider."""
    return (
        bool(settings.OIDC_ISSUER)
        and SocialAccount.objects.filter(user_id=user.pk, provider=settings.OIDC_ISSUER).exists()
    )
