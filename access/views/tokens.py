"""API tokens: one's own, and everybody's for who manages access."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access import directory
from access.authorize import ask_proof, authorize, scopes_with, visible_scopes
from access.declared import SIGNED_IN, needs
from access.forms.access import SureForm, TokenForm
from access.models import ApiToken
from access.operations import tokens as operations
from access.policy import Action
from access.requests import actor_of
from access.views.pages import READ_OR_WRITE, ask, done, page_of, posted, seen, show, tried


@require_safe
@needs(SIGNED_IN)
def own(request: HttpRequest) -> HttpResponse:
    page = page_of(request, directory.tokens_of(actor_of(request).user))
    return show(request, "tokens_own", {"page": page})


@require_safe
@needs(Action.ACCESS_VIEW)
def everybodys(request: HttpRequest) -> HttpResponse:
    scopes = seen(request)
    context = {"scopes": scopes, "page": page_of(request, directory.tokens(scopes))}
    return show(request, "tokens", context)


@never_cache
@require_http_methods(READ_OR_WRITE)
@needs(SIGNED_IN)
def issue(request: HttpRequest) -> HttpResponse:
    """The answer to the POST shows the token: it is nowhere else to be read."""
    actor = actor_of(request)
    ask_proof(actor, Action.ACCESS_MANAGE)
    form = TokenForm(visible_scopes(actor.user), request.POST or None)
    made: list[tuple[ApiToken, str]] = []
    if form.is_valid():
        asked = form.cleaned_data

        def act() -> None:
            made.append(
                operations.issue(actor, asked["name"], asked["days"], asked["role"], asked["place"])
            )

        if tried(form, act, cluster="place"):
            token, secret = made[0]
            return show(request, "token_issued", {"token": token, "secret": secret})
    return ask(request, "token_new", form, {})


@require_http_methods(READ_OR_WRITE)
@needs(SIGNED_IN)
def revoke(request: HttpRequest, token: int) -> HttpResponse:
    actor = actor_of(request)
    scopes = scopes_with(actor.user, Action.ACCESS_VIEW)
    found = directory.token_seen(token, actor.user, scopes)
    own = found.user == actor.user
    if not own:
        authorize(actor, Action.ACCESS_MANAGE, found.scope)
    form = SureForm(posted(request))
    page = "tokens-own" if own else "tokens"
    if form.is_valid() and tried(form, lambda: operations.revoke(actor, found)):
        return done(request, f"The token “{found.name}” no longer works.", page)
    context = {"scopes": scopes, "token": found, "own": own, "back": f"access:{page}"}
    return ask(request, "token_revoke", form, context)
