"""Grants, protections, and the questions: who may do this, and what may this person do?"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import directory, rights, words
from access.authorize import authorize, authorize_somewhere, scopes_with
from access.declared import needs
from access.forms.access import GrantForm, PlaceForm, SureForm, WhoForm
from access.operations import grants as operations
from access.operations import protections as protecting
from access.policy import Action, Role, Scope
from access.requests import actor_of
from access.views.pages import READ_OR_WRITE, ask, done, page_of, posted, seen, show, tried

VIEW, MANAGE = Action.ACCESS_VIEW, Action.ACCESS_MANAGE


@require_safe
@needs(VIEW)
def grants(request: HttpRequest) -> HttpResponse:
    scopes = seen(request)
    context = {"scopes": scopes, "page": page_of(request, directory.grants(scopes))}
    return show(request, "grants", context)


@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def give(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    scopes = authorize_somewhere(actor, MANAGE)
    form = GrantForm(scopes, directory.groups(scopes), request.POST or None)
    form.initial = _asked_before(request)
    if form.is_valid():
        kind, name = form.holder
        holder = _holder(kind, name, scopes)
        role, scope = Role(form.cleaned_data["role"]), form.cleaned_data["place"]
        bound = form.cleaned_data["most_replicas"]

        def act() -> None:
            operations.give(actor, holder, role, scope, expires_at=form.until, most_replicas=bound)

        if tried(form, act, user="holder_name", cluster="place"):
            return done(request, f"{name} is now {role} {scope.where}.", kind_of(kind), name)
    return ask(request, "grant_new", form, {"scopes": scopes, "roles": words.ROLES.items()})


def _holder(kind: str, name: str, scopes: list[Scope]) -> operations.Holder:
    return directory.group_named(name, scopes) if kind == "group" else directory.user_named(name)


def kind_of(holder: str) -> str:
    """The page of a person, or of a group."""
    return "person" if holder == "user" else "group"


def _asked_before(request: HttpRequest) -> dict[str, str]:
    """What a link to the form has chosen already."""
    chosen = {f"{kind}:{request.GET[kind]}" for kind in ("user", "group") if kind in request.GET}
    return {"holder_name": next(iter(chosen), "")}


@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def withdraw(request: HttpRequest, grant: int) -> HttpResponse:
    actor = actor_of(request)
    scopes = authorize_somewhere(actor, MANAGE)
    found = directory.grant_seen(grant, scopes)
    authorize(actor, MANAGE, found.scope)
    form = SureForm(posted(request))
    if form.is_valid() and tried(form, lambda: operations.withdraw(actor, found)):
        name = str(found.user or found.group)
        message = f"{name} is no longer {found.role} {found.scope.where}."
        return done(request, message, "person" if found.user else "group", name)
    own = found.user == actor.user
    return ask(request, "grant_withdraw", form, {"scopes": scopes, "grant": found, "own": own})


# --- Questions -----------------------------------------------------------------------------------


@require_safe
@needs(VIEW)
def who(request: HttpRequest) -> HttpResponse:
    """Who may do this?"""
    scopes = seen(request)
    asked = request.GET if "action" in request.GET else None
    form = WhoForm(scopes, asked)
    context: dict[str, Any] = {"scopes": scopes}
    if form.is_valid():
        action, scope = Action(form.cleaned_data["action"]), form.cleaned_data["place"]
        authorize(actor_of(request), VIEW, scope)
        context |= {"action": action, "said": words.said(action), "scope": scope}
        context["holders"] = rights.who_may(action, scope)
    return ask(request, "who", form, context)


@require_safe
@needs(VIEW)
def person_rights(request: HttpRequest, name: str) -> HttpResponse:
    """What may this person do?"""
    scopes = seen(request)
    user = directory.user_named(name)
    found = rights.rights_of(user, scopes)
    context = {"scopes": scopes, "person": user, "rights": found, "words": words.ACTIONS}
    return show(request, "rights", context)


@require_safe
@needs(VIEW)
def roles(request: HttpRequest) -> HttpResponse:
    """What each role may do, in words."""
    context = {"scopes": seen(request), "roles": words.ROLES.items(), "rows": words.roles_table()}
    return show(request, "roles", context)


# --- Protections ---------------------------------------------------------------------------------


@require_http_methods(READ_OR_WRITE)
@needs(VIEW)
def protections(request: HttpRequest) -> HttpResponse:
    """What needs two persons; a POST, by one who manages access there, protects one place more."""
    actor, scopes = actor_of(request), seen(request)
    managed = scopes_with(actor.user, MANAGE)
    form = PlaceForm(managed, request.POST or None)
    if request.method == "POST":
        authorize_somewhere(actor, MANAGE)
    if form.is_valid():
        scope = form.cleaned_data["place"]
        if tried(form, lambda: protecting.protect(actor, scope), stack="place", cluster="place"):
            return done(request, f"Changes {scope.where} need two persons now.", "protections")
    context = {
        "scopes": scopes,
        "managed": managed,
        "page": page_of(request, directory.protections(scopes)),
        "taken_away": directory.unprotected(scopes)[:50],
    }
    return ask(request, "protections", form, context)


@require_POST
@needs(MANAGE)
def unprotect(request: HttpRequest, protection: int) -> HttpResponse:
    actor = actor_of(request)
    found = directory.protection_seen(protection, authorize_somewhere(actor, MANAGE))
    protecting.unprotect(actor, found)
    message = f"One person is enough {found.scope.where} again; its administrators are told."
    return done(request, message, "protections")
