"""Who is behind an HTTP request or a WebSocket, from where, and when they last proved it."""

import time
from dataclasses import replace
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.httpkit import clean_client_ip
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest

from access.authorize import Actor
from access.models import User
from access.policy import PROOF_SECONDS
from access.tokens import token_now

SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class SignedOut(Exception):
    """Nobody is signed in."""


def actor_of(request: HttpRequest, via: str = "browser") -> Actor:
    """The actor of a request whose user is signed in; raises SignedOut otherwise."""
    user: User | AnonymousUser = request.user
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    return Actor(user, via, address_of(request), proven_at(request))


def actor_of_scope(scope: dict[str, Any]) -> Actor:
    """The actor of a WebSocket's scope; raises SignedOut if nobody is signed in."""
    user = scope.get("user")
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    peer = (scope.get("client") or ("", 0))[0]
    forwarded = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    address = _client(peer, b",".join(forwarded).decode("latin-1"))
    return Actor(user, "api" if user.token else "browser", address)


def actor_now(scope: dict[str, Any]) -> Actor:
    """The actor of an open WebSocket as of now: their session, or their token, may have ended.

    Raises SignedOut.
    """
    actor = actor_of_scope(scope)
    if actor.user.token:
        token = token_now(actor.user.token)
        user = token.user if token else None
    else:
        user = _of_session(scope, actor.user)
    if user is None:
        raise SignedOut
    return replace(actor, user=user)


def _of_session(scope: dict[str, Any], user: User) -> User | None:
    live = Session.objects.filter(
        session_key=scope["session"].session_key, expire_date__gt=Now()
    ).exists()
    return User.objects.filter(pk=user.pk, is_active=True).first() if live else None


# --- From where ----------------------------------------------------------------------------------


def address_of(request: HttpRequest) -> str:
    """The client's address, as far as it can be trusted."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    return _client(request.META.get("REMOTE_ADDR", ""), forwarded)


def _client(peer: str, forwarded: str) -> str:
    """Whom our own proxies name: each adds one entry at the end, the rest is the client's claim."""
    proxies: int = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    hops = [hop.strip() for hop in forwarded.split(",")]
    named = clean_client_ip(hops[-proxies]) if 0 < proxies <= len(hops) else None
    return named or peer


# --- Proofs --------------------------------------------------------------------------------------


def proven_at(request: HttpRequest) -> float | None:
    """When the person last proved in this session who they are: seconds since 1970.

    None if never, or longer ago than a proof lasts.
    """
    user = request.user
    if not isinstance(user, User):
        return None
    for record in reversed(get_authentication_records(request, user)):
        if time.time() - record["at"] >= PROOF_SECONDS:
            return None
        if _proves(record, user):
            at: float = record["at"]
            return at
    return None


def _proves(record: dict[str, Any], user: User) -> bool:
    """Whoever has a second factor proves with it; a password is what others learn most easily.

    That the identity provider let somebody in may be its own long session: only a proof that was
    asked of it anew counts.
    """
    if record["method"] == "mfa":
        return True
    asked_for = record["method"] == "password" or record.get("reauthenticated", False)
    return asked_for and not has_second_factor(user)


def has_second_factor(user: User) -> bool:
    """Recovery codes alone are none: they stand in for one that is lost."""
    return Authenticator.objects.filter(user_id=user.pk, type__in=SECOND_FACTORS).exists()
