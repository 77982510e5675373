"""Bearer tokens and one-time sign-in links: issued once, kept as a digest, looked up by digest."""

import hashlib
import secrets
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.models import ApiToken, SignInLink, User
from access.policy import EVERYWHERE, Scope

PREFIX = "ph_"  # so that secret scanners recognise a leaked token
TOKEN_LIFE = timedelta(days=90)
LINK_LIFE = timedelta(minutes=30)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(
    user: User,
    name: str,
    life: timedelta = TOKEN_LIFE,
    *,
    role: str = "",
    scope: Scope = EVERYWHERE,
) -> str:
    """Make a token of the API and return it: it cannot be read again.

    `role` and `scope` narrow what its owner may do; left out, they do not.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    expires = timezone.now() + life
    ApiToken.objects.create(
        user=user,
        name=name,
        digest=_digest(secret),
        expires_at=expires,
        role=role,
        cluster=scope.cluster,
        stack=scope.stack,
    )
    return secret


def live_tokens() -> QuerySet[ApiToken]:
    """Those that were not revoked, have not run out, and whose owner is not disabled."""
    return ApiToken.objects.filter(revoked_at=None, expires_at__gt=Now(), user__is_active=True)


def find_token(secret: str) -> ApiToken | None:
    """The live token with this secret, its last use noted; None if unknown, expired or revoked."""
    live = live_tokens().filter(digest=_digest(secret))
    token = live.select_related("user").first()
    if token:
        live.filter(pk=token.pk).update(last_used_at=Now())
        token.user.token = token
    return token


def token_now(token: ApiToken) -> ApiToken | None:
    """The token as it is now, with its owner; None once it has ended."""
    found = live_tokens().filter(pk=token.pk).select_related("user").first()
    if found:
        found.user.token = found
    return found


def issue_link(user: User, life: timedelta = LINK_LIFE) -> str:
    """Make a one-time sign-in link's secret; earlier unused links of the user stop working."""
    SignInLink.objects.filter(user=user, used_at=None).delete()
    secret = secrets.token_urlsafe(32)
    expires = timezone.now() + life
    SignInLink.objects.create(user=user, digest=_digest(secret), expires_at=expires)
    return secret


def end_secrets(user: User) -> list[str]:
    """Their tokens and unused links stop working for good; returns the tokens' names."""
    SignInLink.objects.filter(user=user, used_at=None).delete()
    tokens = ApiToken.objects.filter(user=user, revoked_at=None, expires_at__gt=Now())
    names = list(tokens.order_by("pk").values_list("name", flat=True))
    tokens.update(revoked_at=Now())
    return names


def _working_links(secret: str) -> QuerySet[SignInLink]:
    return SignInLink.objects.filter(
        digest=_digest(secret), used_at=None, expires_at__gt=Now(), user__is_active=True
    )


def link_works(secret: str) -> bool:
    """Whether the link can still be used; looking does not use it up."""
    return _working_links(secret).exists()


def use_link(secret: str) -> User | None:
    """The user of an unused, unexpired link, which is thereby used up; None otherwise."""
    if not _working_links(secret).update(used_at=Now()):
        return None
    return SignInLink.objects.select_related("user").get(digest=_digest(secret)).user
