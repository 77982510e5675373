"""Break-glass: take emergency rights, give them back, review those of others."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import alarms
from access.authorize import authorize_somewhere, may
from access.declared import SIGNED_IN, needs
from access.forms.access import EmergencyForm, ReviewForm
from access.models import BreakGlass
from access.operations import emergencies as operations
from access.policy import Action
from access.requests import actor_of
from access.views.pages import READ_OR_WRITE, ask, done, show, tried


@require_safe
@needs(SIGNED_IN)
def emergencies(request: HttpRequest) -> HttpResponse:
    """Those that concern the person: of scopes of which they see something, and their own."""
    found = alarms.emergencies(actor_of(request).user)[:500]
    rows = [(glass, alarms.is_running(glass)) for glass in found]
    return show(request, "emergencies", {"rows": rows})


@require_http_methods(READ_OR_WRITE)
@needs(Action.BREAK_GLASS)
def break_glass(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    scopes = authorize_somewhere(actor, Action.BREAK_GLASS)
    form = EmergencyForm(scopes, request.POST or None)
    made: list[BreakGlass] = []
    if form.is_valid():
        asked = form.cleaned_data

        def act() -> None:
            made.append(operations.break_glass(actor, asked["place"], asked["reason"]))

        if tried(form, act):
            message = "You have emergency rights for an hour. Everybody concerned is told."
            return done(request, message, "emergency", made[0].pk)
    return ask(request, "emergency_new", form, {})


@require_http_methods(READ_OR_WRITE)
@needs(SIGNED_IN)
def emergency(request: HttpRequest, emergency: int) -> HttpResponse:
    """One emergency, with what was done under it; a POST by somebody else reviews it."""
    actor = actor_of(request)
    glass = alarms.emergency_seen_by(actor.user, emergency)
    form = ReviewForm(request.POST or None)
    if form.is_valid():
        text = form.cleaned_data["review"]
        if tried(form, lambda: operations.review(actor, glass, text)):
            return done(request, "The review is kept with the emergency.", "emergency", glass.pk)
    manages = may(actor.user, Action.ACCESS_MANAGE, glass.scope)
    own, running = glass.user == actor.user, alarms.is_running(glass)
    context = {
        "glass": glass,
        "running": running,
        "own": own,
        "may_end": running and (own or manages),
        "may_review": manages and not own and not running and not glass.reviewed_at,
        "entries": alarms.done_under(glass) if own or manages else None,
    }
    return ask(request, "emergency", form, context)


@require_POST
@needs(SIGNED_IN)
def give_back(request: HttpRequest, emergency: int) -> HttpResponse:
    actor = actor_of(request)
    glass = alarms.emergency_seen_by(actor.user, emergency)
    operations.give_back(actor, glass)
    return done(request, "The emergency rights have ended.", "emergency", glass.pk)
