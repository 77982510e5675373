"""Who is behind an HTTP request or a WebSocket."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from access.authorize import Actor
from access.models import User


class SignedOut(Exception):
    """Nobody is signed in."""


def actor_of(request: HttpRequest, via: str = "browser") -> Actor:
    """The actor of a request whose user is signed in; raises SignedOut otherwise."""
    user: User | AnonymousUser = request.user
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    return Actor(user, via, request.META.get("REMOTE_ADDR", "") or "")


def actor_of_scope(scope: dict[str, Any]) -> Actor:
    """The actor of a WebSocket's scope; raises SignedOut if nobody is signed in."""
    user = scope.get("user")
    if not isinstance(user, User) or not user.is_active:
        raise SignedOut
    client = scope.get("client") or ("", 0)
    return Actor(user, "browser", client[0])
