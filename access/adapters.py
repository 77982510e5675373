"""What django-allauth asks us: its adapters. It signs people in; we say how, and note it down."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from allauth.core.internal.ratelimit import get_ip
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from access import audit, noted, provider
from access.authorize import Actor
from access.models import AuditEntry, User
from access.requests import address_of, proven_at
from access.vault import seal, unseal
from live.hub import announce_revoked

GUESSING = "Too many failed attempts. Wait five minutes, then try again."
NO_ADDRESS = "0.0.0.0"  # noqa: S104 - of a client behind a Unix socket


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_password": "This is not your password.",
        "rate_limited": GUESSING,
        "too_many_login_attempts": GUESSING,
        "username_password_mismatch": "This user name and password do not fit together.",
    }

    # --- What this panel does not do -------------------------------------------------------------

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Its pages are pages: the API is elsewhere."""
        return False

    def add_message(self, *args: Any, **options: Any) -> None:
        """Our pages say it in their own words."""

    def is_safe_url(self, url: str) -> bool:
        """Only ever a page of ours."""
        hosts = {context.request.get_host()}
        safe: bool = url_has_allowed_host_and_scheme(
            url, hosts, require_https=context.request.is_secure()
        )
        return safe

    # --- Signing in and out ----------------------------------------------------------------------

    def login(self, request: HttpRequest, user: User) -> None:
        """After every step that the person must pass. The session ends at a fixed time."""
        records = get_authentication_records(request, user)
        steps = [record.get("type") or record["method"] for record in records]
        with transaction.atomic():
            super().login(request, user)
            life = timedelta(seconds=settings.SESSION_COOKIE_AGE)
            request.session.set_expiry(timezone.now() + life)
            _note(request, user, "sign-in" if steps else "sign-in.link", by=steps)

    def logout(self, request: HttpRequest) -> None:
        user, key = request.user, request.session.session_key
        with transaction.atomic():
            super().logout(request)
            if isinstance(user, User):
                UserSession.objects.filter(session_key=key).delete()
                announce_revoked(user.pk)
                _note(request, user, "sign-out")

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """Only those come here whom the identity provider let in."""
        _note(request, user, "sign-in.failed", AuditEntry.Phase.REFUSED, disabled=True)
        return provider.failed(request, provider.DISABLED)

    # --- Against guessing ------------------------------------------------------------------------

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request) or NO_ADDRESS

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """By name and address: nobody is kept out by what somebody else guesses elsewhere."""
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{get_ip(request)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            nobody = User(username=credentials.get("username", ""))
            known = request.user if isinstance(request.user, User) else None
            actor = Actor(known or nobody, "browser", address_of(request))
            noted.throttled(actor, "proof.failed" if known else "sign-in.failed")
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        if isinstance(request.user, User):
            _note(request, request.user, "proof.failed", AuditEntry.Phase.REFUSED, by=["password"])
            return
        nobody = User(username=credentials.get("username", ""))
        _note(request, nobody, "sign-in.failed", AuditEntry.Phase.REFUSED)

    # --- Proofs ----------------------------------------------------------------------------------

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Allauth's own answer is “no” for whoever has neither password nor factor; not so ours."""
        if proven_at(context.request) is None:
            raise ReauthenticationRequired
        return False


class MFAAdapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This is not a code of yours, or it was used already.",
    }

    def encrypt(self, text: str) -> str:
        return seal(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text.encode())

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return "Security key" if number == 1 else f"Security key {number}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Pilothouse"}


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """For the one identity provider that the environment names."""

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> "provider.Provider":
        return _the_provider(request, self)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Whoever the provider knows may come in; without a grant there is nothing to see."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.state.get("process") == provider.PROOF:
            _prove(request, sociallogin)
        elif sociallogin.is_existing:
            provider.set_groups(request, sociallogin)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            _note(request, user, "access.join", issuer=settings.OIDC_ISSUER)
            provider.set_groups(request, sociallogin)
        return user

    def on_authentication_error(self, request: HttpRequest, provider: Any, **about: Any) -> None:
        raise ImmediateHttpResponse(_failed(request, **about))


def _the_provider(request: HttpRequest, adapter: SocialAccountAdapter) -> provider.Provider:
    return provider.Provider(request, app=adapter.get_app(request, settings.OIDC_ISSUER))


def _failed(
    request: HttpRequest, error: str = "", exception: Exception | None = None, **about: Any
) -> HttpResponse:
    return provider.failed(request, provider.reason(error, exception))


def _prove(request: HttpRequest, sociallogin: SocialLogin) -> None:
    """The person was sent to the provider to prove anew who they are."""
    user = request.user
    if not isinstance(user, User) or user != sociallogin.user:
        raise ImmediateHttpResponse(provider.failed(request, provider.NOT_PROVED))
    if not provider.just_proved(sociallogin):
        raise ImmediateHttpResponse(provider.failed(request, provider.NOT_PROVED))
    record_authentication(request, user, "socialaccount", reauthenticated=True)
    _note(request, user, "proof", by=["provider"])


def _note(
    request: HttpRequest,
    user: User,
    action: str,
    phase: AuditEntry.Phase = AuditEntry.Phase.EVENT,
    **detail: Any,
) -> None:
    actor = Actor(user, "browser", address_of(request))
    audit.record(actor, action, phase, detail=detail)
