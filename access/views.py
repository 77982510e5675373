"""Signing in and out, and one's account."""

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import audit, selectors
from access.authorize import Actor
from access.declared import PUBLIC, SIGNED_IN, needs
from access.forms import PasswordForm, SignInForm
from access.models import AuditEntry, User
from access.requests import actor_of
from access.tokens import link_works, use_link

READ_OR_WRITE = ["GET", "HEAD", "POST"]
MODEL = "django.contrib.auth.backends.ModelBackend"
REFUSED = "This user name and password do not fit together."
GUESSING = "Too many failed attempts. Wait five minutes, then try again."


def _note(request: HttpRequest, user: User, action: str, phase: AuditEntry.Phase) -> None:
    address = request.META.get("REMOTE_ADDR", "") or ""
    audit.record(Actor(user, "browser", address), action, phase)


def _next(request: HttpRequest) -> str:
    """Where to go after signing in: only ever a page of ours."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(asked, hosts, require_https=request.is_secure()):
        return asked
    return reverse("overview")


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(READ_OR_WRITE)
@needs(PUBLIC)
def sign_in(request: HttpRequest) -> HttpResponse:
    """An unknown user and a wrong password get the same answer, at the same cost."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(_next(request))
    form = SignInForm(request.POST or None)
    if form.is_valid() and (user := _authenticated(request, form)):
        with transaction.atomic():
            login(request, user)
            _note(request, user, "sign-in", AuditEntry.Phase.EVENT)
        return HttpResponseRedirect(_next(request))
    context = {"form": form, "next": _next(request)}
    return render(request, "access/sign_in.html", context, status=422 if form.errors else 200)


def _authenticated(request: HttpRequest, form: SignInForm) -> User | None:
    username = form.cleaned_data["username"]
    address = request.META.get("REMOTE_ADDR", "") or ""
    if selectors.too_many_failures(username, address):
        form.add_error(None, GUESSING)
        return None
    user = authenticate(request, username=username, password=form.cleaned_data["password"])
    if not isinstance(user, User):
        nobody = User(username=username)
        _note(request, nobody, selectors.SIGN_IN_FAILED, AuditEntry.Phase.REFUSED)
        form.add_error(None, REFUSED)
        return None
    return user


@never_cache
@require_http_methods(READ_OR_WRITE)
@needs(PUBLIC)
def sign_in_by_link(request: HttpRequest, secret: str) -> HttpResponse:
    """GET only asks: programs that preview links must not use it up."""
    if request.method != "POST":
        works = link_works(secret)
        status = 200 if works else 410
        return render(request, "access/sign_in_link.html", {"works": works}, status=status)
    with transaction.atomic():
        user = use_link(secret)
        if user is None or not user.is_active:
            return render(request, "access/sign_in_link.html", {"works": False}, status=410)
        login(request, user, backend=MODEL)
        _note(request, user, "sign-in.link", AuditEntry.Phase.EVENT)
    first = not user.has_usable_password()
    return HttpResponseRedirect(reverse("access:password") if first else reverse("overview"))


@require_POST
@needs(SIGNED_IN)
def sign_out(request: HttpRequest) -> HttpResponse:
    if isinstance(request.user, User):
        _note(request, request.user, "sign-out", AuditEntry.Phase.EVENT)
    logout(request)
    return HttpResponseRedirect(reverse("access:sign-in"))


@require_safe
@needs(SIGNED_IN)
def account(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    context = {"grants": selectors.grants_shown(user), "changed": "changed" in request.GET}
    return render(request, "access/account.html", context)


@never_cache
@sensitive_post_parameters()
@require_http_methods(READ_OR_WRITE)
@needs(SIGNED_IN)
def set_password(request: HttpRequest) -> HttpResponse:
    user = actor_of(request).user
    first = not user.has_usable_password()
    form = PasswordForm(user, request.POST or None)
    if form.is_valid():
        with transaction.atomic():
            user.set_password(form.cleaned_data["password"])
            user.save(update_fields=["password"])
            _note(request, user, "password.set", AuditEntry.Phase.EVENT)
            update_session_auth_hash(request, user)
        back = reverse("overview") if first else f"{reverse('access:account')}?changed"
        return HttpResponseRedirect(back)
    context = {"form": form, "first": first}
    return render(request, "access/password.html", context, status=422 if form.errors else 200)
