"""Who is behind an HTTP request or a WebSocket."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest

from access.authorize import Actor
from access.models import User
from access.tokens import token_now


class SignedOut(Exception):
    """Nobody is signed in."""


def actor_of(request: HttpRequest, via: str = "browser") -> Actor:
    """The actor of a request whose user is signed in; raises SignedOut otherwise."""
    user: User | AnonymousUser = request.user
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    return Actor(user, via, request.META.get("REMOTE_ADDR", "") or "", proven_at(request.session))


def actor_of_scope(scope: dict[str, Any]) -> Actor:
    """The actor of a WebSocket's scope; raises SignedOut if nobody is signed in."""
    user = scope.get("user")
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    client = scope.get("client") or ("", 0)
    return Actor(user, "api" if user.token else "browser", client[0])


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


def proven_at(session: Mapping[str, Any]) -> float | None:
    """When the session's person last gave a password, a code or a key: seconds since 1970."""
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
    return records[-1]["at"] if records else None
