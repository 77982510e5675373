"""Confirming that it is you: asked for before what a stolen session must not do."""

import json
from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import begin_authentication
from django import forms
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from access import audit, noted
from access.authorize import Actor
from access.declared import SIGNED_IN, needs
from access.forms.factors import CodeForm, KeyAsProof, PasswordProofForm, is_throttled
from access.models import AuditEntry, User
from access.provider import is_known_by_provider
from access.requests import SECOND_FACTORS, actor_of

PASSWORD, CODE, KEY, PROVIDER = "password", "code", "key", "provider"  # noqa: S105 - names of ways


def ways_of(user: User) -> list[str]:
    """How the person can prove who they are; with a second factor if they have one."""
    types = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    if types & set(SECOND_FACTORS):
        key = [KEY] if Authenticator.Type.WEBAUTHN in types else []
        code = [CODE] if types - {Authenticator.Type.WEBAUTHN} else []
        return key + code
    if user.has_usable_password():
        return [PASSWORD]
    return [PROVIDER] if is_known_by_provider(user) else []


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@needs(SIGNED_IN)
def confirm(request: HttpRequest) -> HttpResponse:
    """A page of its own, or the body of the page's dialog for proofs."""
    actor = actor_of(request)
    if request.method != "POST":
        return _proved(request) if actor.proven else ask(request)
    way = _way(request, ways_of(actor.user))
    form = _form(way, actor.user, request)
    if form is None or not form.is_valid():
        if form and is_throttled(form) and way != PASSWORD:
            noted.throttled(actor, "proof.failed")
        elif way != PASSWORD:  # of a wrong password, allauth tells the adapter
            audit.record(actor, "proof.failed", AuditEntry.Phase.REFUSED, detail={"by": [way]})
        return ask(request, form, status=422)
    with transaction.atomic():
        _keep(request, form)
        audit.record(actor, "proof", AuditEntry.Phase.EVENT, detail={"by": [way]})
    return _proved(request)


@never_cache
@require_safe
@needs(SIGNED_IN)
def confirmed(request: HttpRequest) -> HttpResponse:
    """Where the tab ends in which somebody proved it for another: that one is told, and goes on."""
    actor_of(request)
    return render(request, "access/confirmed.html")


def _way(request: HttpRequest, ways: list[str]) -> str:
    """The one for which something was given."""
    given = {PASSWORD: "password", CODE: "code", KEY: "credential"}
    return next((way for way in ways if request.POST.get(given.get(way, ""))), (*ways, "")[0])


def _form(way: str, user: User, request: HttpRequest) -> forms.Form | None:
    kinds: dict[str, Callable[..., forms.Form]] = {
        PASSWORD: PasswordProofForm,
        CODE: CodeForm,
        KEY: KeyAsProof,
    }
    return kinds[way](user=user, data=request.POST) if way in kinds else None


def _keep(request: HttpRequest, form: forms.Form) -> None:
    """Note the proof in the session."""
    if isinstance(form, PasswordProofForm):
        reauthenticate_by_password(request)
    else:
        form.save()  # type: ignore[attr-defined]


def _proved(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Trigger": "pilothouse:proven"})
    return HttpResponseRedirect(next_page(request))


def next_page(request: HttpRequest) -> str:
    """Where to go then: only ever a page of ours."""
    asked = request.POST.get("next") or request.GET.get("next") or _where_one_is(request)
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(asked, hosts, require_https=request.is_secure()):
        return asked
    return reverse("overview")


def _where_one_is(request: HttpRequest) -> str:
    """The page in front of the person."""
    if request.method == "GET" and request.path != reverse("access:confirm"):
        return request.headers.get("HX-Current-URL") or request.get_full_path()
    return request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")


def ask(
    request: HttpRequest, failed: forms.Form | None = None, *, status: int = 200
) -> HttpResponse:
    """Ask for a proof. To htmx it goes into a dialog of its own: what was typed stays."""
    actor = actor_of(request)
    context = {**_context(request, actor, failed), "in_dialog": request.headers.get("HX-Request")}
    if not context["in_dialog"]:
        return render(request, "access/confirm.html", context, status=status)
    response = render(request, "access/_confirm.html", context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#proof", "innerHTML"
    return response


def _context(request: HttpRequest, actor: Actor, failed: forms.Form | None) -> dict[str, Any]:
    ways = ways_of(actor.user)
    blank = {PASSWORD: PasswordProofForm, CODE: CodeForm}
    field_forms = [
        failed if isinstance(failed, kind) else kind(user=actor.user)
        for way, kind in blank.items()
        if way in ways
    ]
    key_failed = isinstance(failed, KeyAsProof)
    options = json.dumps(dict(begin_authentication(actor.user))) if KEY in ways else ""
    return {
        "ways": ways,
        "form": next(iter(field_forms), None),
        "key_errors": failed.errors.get("credential") if failed and key_failed else None,
        "options": options,
        "provider": settings.OIDC_NAME,
        "next": next_page(request),
    }
