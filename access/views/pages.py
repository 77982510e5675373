"""What the pages about access have in common."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse

from access.authorize import authorize_somewhere
from access.policy import EVERYWHERE, Action, Scope
from access.problems import Invalid
from access.requests import actor_of

READ_OR_WRITE = ["GET", "HEAD", "POST"]
ON_A_PAGE = 100


def seen(request: HttpRequest) -> list[Scope]:
    """The scopes whose access the person may see; raises Forbidden if there is none."""
    return authorize_somewhere(actor_of(request), Action.ACCESS_VIEW)


def show(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """A page about access. `whole`: the person manages everything, people and groups included."""
    scopes = context.get("scopes") or []
    context = {**context, "whole": EVERYWHERE in scopes}
    return render(request, f"access/{template}.html", context, status=status)


def posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, be it nothing; None if the page is only looked at."""
    return request.POST if request.method == "POST" else None


def ask(
    request: HttpRequest, template: str, form: forms.Form, context: dict[str, Any]
) -> HttpResponse:
    """A page with a form that is not, or not yet, filled in as it should be."""
    return show(request, template, {**context, "form": form}, 422 if form.errors else 200)


def tried(form: forms.Form, act: Callable[[], Any], **fields: str) -> bool:
    """Do it; what makes no sense is told at its field. `fields`: a problem's field → the form's."""
    try:
        act()
    except Invalid as failure:
        name = fields.get(failure.field, failure.field)
        form.add_error(name if name in form.fields else None, str(failure))
        return False
    return True


def done(request: HttpRequest, message: str, name: str, *args: Any) -> HttpResponse:
    """To another page, which says what was done. `message` holds no secret: it may be kept."""
    messages.success(request, message)
    return HttpResponseRedirect(reverse(f"access:{name}", args=args))


def page_of(request: HttpRequest, rows: QuerySet[Any, Any] | list[Any]) -> Any:
    return Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
