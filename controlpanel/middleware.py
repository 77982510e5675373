"""Failures in words: every expected failure becomes a page, or a notice where the person looks."""

from collections.abc import Callable
from urllib.parse import urlencode

from allauth.core.exceptions import ReauthenticationRequired
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from access import noted
from access.authorize import Forbidden, ProofNeeded, one_look
from access.models import User
from access.requests import SignedOut, actor_of
from access.sessions import note_seen
from access.vault import CannotUnseal
from access.views import proof
from clusters.problems import Busy, Conflict, Invalid, NotFound, Problem
from controlpanel import limits
from live.changes import current

GetResponse = Callable[[HttpRequest], HttpResponse]
NOT_PAGES = ("/api/", "/static/", "/healthz", "/readyz", "/metrics")
STATUSES: dict[type[Problem], int] = {NotFound: 404, Invalid: 422, Conflict: 409, Busy: 409}
TITLES = {
    403: "Not allowed",
    404: "Not found",
    409: "Not now",
    422: "That does not work",
    503: "Out of order",
}


# What a page of ours never does, so that nothing put into one can.
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "fullscreen", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "usb",
    )
)  # fmt: skip


def told_to_browsers(get_response: GetResponse) -> GetResponse:
    """Headers that Django has no setting for."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # What one may see is nobody else's to find in the browser once they have signed out.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def one_look_at_rights(get_response: GetResponse) -> GetResponse:
    """A page asks some ten times what its viewer may do. What changes something asks anew."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return get_response(request)
        with one_look():
            return get_response(request)

    return middleware


def failures_in_words(get_response: GetResponse) -> GetResponse:
    """Also notes the live sequence before a page reads anything: its socket resumes from there."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(NOT_PAGES) and _holds_nul(request):
            return _answer(request, 404, "There is nothing here that you may see.")
        if _is_page(request):
            try:
                request.live_since = current()  # type: ignore[attr-defined]
                note_seen(request)
            except (OperationalError, InterfaceError):
                return _database_down(request)
        return get_response(request)

    def process_exception(request: HttpRequest, failure: Exception) -> HttpResponse | None:
        if request.path.startswith(NOT_PAGES):
            return None
        if isinstance(failure, Forbidden) and not _just_asks_for_a_proof(request, failure):
            noted.refused(actor_of(request), failure)
        return in_words(request, failure)

    middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware


def _just_asks_for_a_proof(request: HttpRequest, failure: Forbidden) -> bool:
    """Whoever opens a dangerous page is asked who they are: that refuses nothing yet."""
    return isinstance(failure, ProofNeeded) and request.method in ("GET", "HEAD")


def _holds_nul(request: HttpRequest) -> bool:
    """What no address has in it, and PostgreSQL fails upon. What is posted, its form judges."""
    sent = (text for _, texts in request.GET.lists() for text in texts)
    return "\0" in request.path or any("\0" in text for text in sent)


def _is_page(request: HttpRequest) -> bool:
    return request.method == "GET" and not request.path.startswith(NOT_PAGES)


def in_words(request: HttpRequest, failure: Exception) -> HttpResponse | None:
    """The answer to an expected failure; None for one that is a bug of ours."""
    if isinstance(failure, SignedOut):
        return _to_sign_in(request)
    if isinstance(failure, OperationalError | InterfaceError):
        return _database_down(request)
    if isinstance(failure, ProofNeeded | ReauthenticationRequired):
        return _to_proof(request)
    if isinstance(failure, CannotUnseal):
        return _answer(request, 503, str(failure))
    if isinstance(failure, Forbidden):
        if failure.visible:
            return _answer(request, 403, str(failure))
        return _answer(request, 404, "There is nothing here that you may see.")
    if isinstance(failure, Problem):
        return _answer(request, STATUSES.get(type(failure), 422), str(failure), failure)
    return None


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    back = request.headers.get("HX-Current-URL") or request.get_full_path()
    address = f"{reverse('access:sign-in')}?{urlencode({'next': back})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _to_proof(request: HttpRequest) -> HttpResponse:
    """Ask for a proof where the person is: nothing that they typed is lost, or kept anywhere."""
    if not isinstance(request.user, User):
        return _to_sign_in(request)
    if request.headers.get("HX-Request"):
        return proof.ask(request, status=403)
    if request.method == "POST":
        context = {"back": proof.next_page(request)}
        return render(request, "access/confirm_first.html", context, status=403)
    address = f"{reverse('access:confirm')}?{urlencode({'next': request.get_full_path()})}"
    return HttpResponseRedirect(address)


def _answer(
    request: HttpRequest, status: int, message: str, failure: Problem | None = None
) -> HttpResponse:
    context = {"status": status, "title": TITLES[status], "message": message, "failure": failure}
    if request.headers.get("HX-Request"):
        response = render(request, "errors/_notice.html", context, status=status)
        return _where_the_person_looks(request, response)
    return render(request, "errors/problem.html", context, status=status)


def _database_down(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: its context would ask the database for the shell."""
    words = "Pilothouse's own database does not answer. Your Swarm runs on; try again in a moment."
    context = {"status": 503, "title": TITLES[503], "message": words}
    if request.headers.get("HX-Request"):
        response = HttpResponse(render_to_string("errors/_notice.html", context), status=503)
        return _where_the_person_looks(request, response)
    page = render_to_string("errors/plain.html", context)
    return HttpResponse(page, status=503, headers={"Retry-After": "5"})


def too_large(request: HttpRequest) -> HttpResponse:
    context = {"status": 413, "title": "Too large", "message": limits.in_words()}
    if request.headers.get("HX-Request"):
        response = HttpResponse(render_to_string("errors/_notice.html", context), status=413)
        return _where_the_person_looks(request, response)
    return HttpResponse(render_to_string("errors/plain.html", context), status=413)


def _where_the_person_looks(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Into the open dialog above its form, or else into the notices; never over a page part."""
    in_dialog = request.headers.get("HX-Target") == "dialog"
    if in_dialog and request.method == "GET":
        return response
    response["HX-Retarget"] = "#dialog-notice" if in_dialog else "#notices"
    response["HX-Reswap"] = "innerHTML" if in_dialog else "beforeend"
    return response
