"""People and groups: who there is, and letting them in or out."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import directory
from access.authorize import authorize
from access.declared import needs
from access.forms.access import DisableForm, GroupForm, MemberForm, PersonForm, SureForm
from access.models import User
from access.operations import groups as group_operations
from access.operations import people as operations
from access.policy import EVERYWHERE, Action
from access.requests import actor_of
from access.views.pages import READ_OR_WRITE, ask, done, page_of, posted, seen, show, tried

VIEW, MANAGE = Action.ACCESS_VIEW, Action.ACCESS_MANAGE
WHOLE = [EVERYWHERE]


@require_safe
@needs(VIEW)
def people(request: HttpRequest) -> HttpResponse:
    scopes = seen(request)
    q, state = request.GET.get("q", "")[:100], request.GET.get("state", "")
    active = {"active": True, "disabled": False}.get(state)
    page = page_of(request, directory.people(scopes, q, active))
    rows = [directory.person(user, scopes) for user in page.object_list]
    context = {"scopes": scopes, "page": page, "rows": rows, "q": q, "state": state}
    return show(request, "people", context)


@require_safe
@needs(VIEW)
def person(request: HttpRequest, name: str) -> HttpResponse:
    scopes = seen(request)
    found = directory.person_named(name, scopes)
    tokens = directory.tokens(scopes).filter(user=found.user, revoked_at=None)
    context = {"scopes": scopes, "person": found, "tokens": tokens}
    return show(request, "person", context)


@never_cache
@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def make_person(request: HttpRequest) -> HttpResponse:
    """The answer to the POST shows the one-time link: it is nowhere else to be read."""
    actor = actor_of(request)
    authorize(actor, MANAGE)
    form = PersonForm(request.POST or None)
    made: list[tuple[User, str]] = []
    if form.is_valid():
        name = form.cleaned_data["username"]
        if tried(form, lambda: made.append(operations.make_person(actor, name))):
            return _invited(request, *made[0])
    return ask(request, "person_new", form, {"scopes": WHOLE})


@never_cache
@require_POST
@needs(MANAGE)
def make_link(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    user = directory.user_named(name)
    return _invited(request, user, operations.new_link(actor, user))


def _invited(request: HttpRequest, user: User, secret: str) -> HttpResponse:
    hours = operations.INVITATION_LIFE.total_seconds() // 3600
    context = {"scopes": WHOLE, "invited": user, "secret": secret, "hours": int(hours)}
    return show(request, "invited", context)


@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def disable(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    user = directory.user_named(name)
    own = user == actor.user
    form = (DisableForm if own else SureForm)(posted(request))
    if form.is_valid() and tried(form, lambda: operations.disable(actor, user)):
        return done(request, f"{user} is disabled: their access ended at once.", "person", name)
    return ask(request, "person_disable", form, {"scopes": WHOLE, "person": user, "own": own})


@require_POST
@needs(MANAGE)
def enable(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    user = directory.user_named(name)
    operations.enable(actor, user)
    return done(
        request,
        f"{user} can sign in again, with the grants they have. Their tokens stay revoked.",
        "person",
        name,
    )


# --- Groups --------------------------------------------------------------------------------------


@require_safe
@needs(VIEW)
def groups(request: HttpRequest) -> HttpResponse:
    scopes = seen(request)
    context = {"scopes": scopes, "page": page_of(request, directory.groups(scopes))}
    return show(request, "groups", context)


@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def make_group(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    form = GroupForm(request.POST or None)
    if form.is_valid():
        name = form.cleaned_data["name"]
        if tried(form, lambda: group_operations.make_group(actor, name)):
            return done(request, f"The group {name} was made. It has no member yet.", "group", name)
    return ask(request, "group_new", form, {"scopes": WHOLE})


@require_safe
@needs(VIEW)
def group(request: HttpRequest, name: str) -> HttpResponse:
    scopes = seen(request)
    found = directory.group_seen(name, scopes)
    context = {"scopes": scopes, "found": found, "form": MemberForm(found.group)}
    return show(request, "group", context)


@require_POST
@needs(MANAGE)
def add_member(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    found = directory.group_seen(name, WHOLE)
    form = MemberForm(found.group, request.POST)
    if form.is_valid():
        user = form.cleaned_data["user"]
        group_operations.add_member(actor, found.group, user)
        return done(request, f"{user} is now in {name}, with all that it holds.", "group", name)
    return ask(request, "group", form, {"scopes": WHOLE, "found": found})


@require_POST
@needs(MANAGE)
def remove_member(request: HttpRequest, name: str, user: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    member = directory.user_named(user)
    group_operations.remove_member(actor, directory.group_named(name, WHOLE), member)
    return done(request, f"{user} is no longer in {name}.", "group", name)


@require_http_methods(READ_OR_WRITE)
@needs(MANAGE)
def remove_group(request: HttpRequest, name: str) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, MANAGE)
    found = directory.group_seen(name, WHOLE)
    form = SureForm(posted(request))
    if form.is_valid() and tried(form, lambda: group_operations.remove_group(actor, found.group)):
        return done(request, f"The group {name} is gone, and what it held.", "groups")
    return ask(request, "group_remove", form, {"scopes": WHOLE, "found": found})
