"""One's own account: grants, password, second factors, sessions."""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import audit, selectors
from access.authorize import grants_of
from access.declared import SIGNED_IN, needs
from access.forms.signing import PasswordForm
from access.models import AuditEntry
from access.policy import STEP_UP
from access.provider import is_known_by_provider
from access.requests import actor_of, has_second_factor
from access.sessions import end_session, end_sessions, sessions_of

READ_OR_WRITE = ["GET", "HEAD", "POST"]


@never_cache
@require_safe
@needs(SIGNED_IN)
def account(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    dangerous = any(held.actions & STEP_UP for held in grants_of(user))
    factors = Authenticator.objects.filter(user=user).order_by("-type", "created_at")
    context = {
        "grants": selectors.grants_shown(user),
        "sessions": sessions_of(request),
        "factors": factors,
        "has_app": any(factor.type == Authenticator.Type.TOTP for factor in factors),
        "advised": dangerous and not has_second_factor(user),
        "provider": settings.OIDC_NAME if is_known_by_provider(user) else "",
    }
    return render(request, "access/account.html", context)


@never_cache
@sensitive_post_parameters()
@require_http_methods(READ_OR_WRITE)
@needs(SIGNED_IN)
def set_password(request: HttpRequest) -> HttpResponse:
    """All other sessions of the person end with it."""
    actor = actor_of(request)
    user = actor.user
    first = not user.has_usable_password()
    if first and is_known_by_provider(user):  # or they could come in when it no longer lets them
        return HttpResponseRedirect(reverse("access:account"))
    form = PasswordForm(user, request.POST or None)
    if form.is_valid():
        with transaction.atomic():
            user.set_password(form.cleaned_data["password"])
            user.save(update_fields=["password"])
            update_session_auth_hash(request, user)
            ended = end_sessions(user, keep=request.session.session_key)
            audit.record(actor, "password.set", AuditEntry.Phase.EVENT, detail={"ended": ended})
        if not first:
            messages.success(request, "Your password was changed. Other browsers are signed out.")
        return HttpResponseRedirect(reverse("overview" if first else "access:account"))
    context = {"form": form, "first": first}
    return render(request, "access/password.html", context, status=422 if form.errors else 200)


# --- Sessions ------------------------------------------------------------------------------------


@require_POST
@needs(SIGNED_IN)
def end_one(request: HttpRequest, session: int) -> HttpResponse:
    """Its open pages fall silent at once."""
    actor = actor_of(request)
    found = get_object_or_404(UserSession, user=actor.user, pk=session)
    with transaction.atomic():
        end_session(found)
        detail = {"from": found.ip, "browser": found.user_agent}
        audit.record(actor, "session.end", AuditEntry.Phase.EVENT, detail=detail)
    messages.success(request, f"The session from {found.ip} was ended.")
    return HttpResponseRedirect(reverse("access:account"))


@require_POST
@needs(SIGNED_IN)
def end_others(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    with transaction.atomic():
        ended = end_sessions(actor.user, keep=request.session.session_key)
        audit.record(actor, "session.end-others", AuditEntry.Phase.EVENT, detail={"ended": ended})
    messages.success(request, "All other sessions were ended.")
    return HttpResponseRedirect(reverse("access:account"))
