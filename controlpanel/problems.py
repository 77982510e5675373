"""Every failure of the API as an RFC 9457 problem document (`application/problem+json`)."""

import dataclasses
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from access import noted
from access.authorize import Actor, Forbidden, ProofNeeded
from access.declared import PUBLIC, needs
from access.requests import SignedOut
from clusters.ports import EngineError, EngineUnreachable, NoLeader
from clusters.problems import Busy, Conflict, Invalid, NotFound
from clusters.specs import Difference
from controlpanel import middleware
from metrics.ports import MetricsAway, MetricsError, WrongQuery

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"  # seconds; a database or an engine that is away is rarely back sooner
CHALLENGE = 'Bearer realm="Pilothouse"'
_logger = logging.getLogger(__name__)

# pydantic's kinds of error in the words of the one who sent the request.
_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}


def problem(
    request: HttpRequest, status: int, detail: str, *, kind: str = "", **more: Any
) -> HttpResponse:
    """A problem document. `kind` names one that a program may want to tell from others."""
    document = {
        "type": f"urn:pilothouse:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.path,
        **more,
    }
    content = json.dumps(document, cls=DjangoJSONEncoder)
    response = HttpResponse(content, status=status, content_type=MEDIA_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = CHALLENGE
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = RETRY_AFTER
    return response


# --- Requests that make no sense -----------------------------------------------------------------


def _validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [_field_error(entry) for entry in error.errors]
    first = errors[0]
    detail = (
        f"{first['field']} {first['message']}".strip() if errors else "The request is not valid"
    )
    return problem(request, 422, f"{detail}.".replace("..", "."), kind="invalid", errors=errors)


def _field_error(entry: dict[str, Any]) -> dict[str, str]:
    """One error of pydantic as {"in", "field", "message"}, without the argument's own name."""
    where, *path = entry["loc"]
    if where == "body":
        path = path[1:]
    return {"in": where, "field": ".".join(map(str, path)), "message": _sentence(entry)}


def _sentence(entry: dict[str, Any]) -> str:
    told = _SENTENCES.get(entry["type"])
    if told:
        return told.format(**entry.get("ctx") or {})
    text = str(entry["msg"])
    return text.removeprefix("Value error, ")


def _invalid(request: HttpRequest, error: Invalid) -> HttpResponse:
    errors = [{"in": "body", "field": error.field, "message": str(error)}] if error.field else []
    return problem(request, 422, str(error), kind="invalid", errors=errors)


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(request, error.status_code, str(error))


# --- Requests that may not, or not now -----------------------------------------------------------


def signed_out(request: HttpRequest, error: Exception) -> HttpResponse:
    detail = str(error) or "Sign in, or send an API token as “Authorization: Bearer …”."
    return problem(request, 401, detail, kind="signed-out")


def _forbidden(request: HttpRequest, error: Forbidden) -> HttpResponse:
    actor = getattr(request, "auth", None)
    if isinstance(actor, Actor):
        noted.refused(actor, error)
    if not error.visible:
        return _absent(request, error)
    return problem(request, 403, str(error), kind="forbidden", action=error.action.value)


def _proof_needed(request: HttpRequest, error: ProofNeeded) -> HttpResponse:
    """For a browser's session: no token gets this far."""
    confirm, action = reverse("access:confirm"), error.action.value
    detail = f"{error} Do it at {confirm} in the browser, then ask again."
    return problem(request, 403, detail, kind="proof-needed", action=action, confirm=confirm)


def _absent(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 404, "There is nothing here, or nothing that you may see.")


def _not_found(request: HttpRequest, error: NotFound) -> HttpResponse:
    return problem(request, 404, str(error), kind="not-found")


def _busy(request: HttpRequest, error: Busy) -> HttpResponse:
    return problem(request, 409, str(error), kind="busy", operation=error.operation_id)


def _conflict(request: HttpRequest, error: Conflict) -> HttpResponse:
    return problem(
        request,
        409,
        str(error),
        kind="conflict",
        current_version=error.clash.current_version,
        theirs=_as_json(error.clash.theirs),
        yours=_as_json(error.clash.yours),
    )


def _as_json(differences: list[Difference]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(difference) for difference in differences]


# --- Failures of ours ----------------------------------------------------------------------------


def _too_large(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 413, "The request's body is larger than the panel takes.")


def _unreadable(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(request, 400, "The request's body ended before it was complete.")


def _engine(request: HttpRequest, error: EngineError) -> HttpResponse:
    status = 503 if isinstance(error, EngineUnreachable | NoLeader) else 502
    return problem(request, status, str(error), kind="engine")


def _metrics(request: HttpRequest, error: MetricsError) -> HttpResponse:
    """A query that is wrong or too large is the asker's; a source that is away is nobody's."""
    if isinstance(error, MetricsAway):
        return problem(request, 503, str(error), kind="metrics")
    place = {"line": error.line, "column": error.column} if isinstance(error, WrongQuery) else {}
    return problem(request, 422, str(error), kind="query", **place)


def _database(request: HttpRequest, error: Exception) -> HttpResponse:
    _logger.error("The database does not answer: %s", error)
    detail = "The panel's database does not answer. Nothing was changed; try again in a moment."
    return problem(request, 503, detail, kind="database")


def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    _logger.error("%s %s failed", request.method, request.path, exc_info=error)
    detail = "The panel failed in a way that nobody foresaw. Its log holds the details."
    return problem(request, 500, detail)


# Handlers are found by the exception's classes, the most special first.
_HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    ValidationError: _validation,
    Invalid: _invalid,
    HttpError: _http,
    SignedOut: signed_out,
    ProofNeeded: _proof_needed,
    Forbidden: _forbidden,
    NotFound: _not_found,
    Http404: _absent,
    Busy: _busy,
    Conflict: _conflict,
    RequestDataTooBig: _too_large,
    UnreadablePostError: _unreadable,
    EngineError: _engine,
    MetricsError: _metrics,
    OperationalError: _database,
    InterfaceError: _database,
    Exception: _unexpected,
}


def install(api: NinjaAPI) -> None:
    """Let the API answer every exception with a problem document."""
    for error, handler in _HANDLERS.items():
        api.add_exception_handler(error, handler)


@needs(PUBLIC)
@csrf_exempt  # nothing is done here, and a page of HTML would be no answer
def unknown_address(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """The view behind every address under /api/ that nothing else answers."""
    return problem(request, 404, "The API has no such address. /docs lists those that it has.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's own 400, before any view: an unknown Host above all. An API's client gets JSON."""
    if isinstance(exception, RequestDataTooBig):
        is_api = request.path.startswith("/api/")
        return _too_large(request, exception) if is_api else middleware.too_large(request)
    if request.path.startswith("/api/"):
        return problem(request, 400, "The request makes no sense: is the Host header one of ours?")
    return defaults.bad_request(request, exception)


def not_allowed(request: HttpRequest, response: HttpResponseNotAllowed) -> HttpResponse:
    """Ninja's plain 405 as a problem document."""
    allowed = ", ".join(sorted(response["Allow"].split(", ")))
    told = problem(request, 405, f"{request.method} is not possible here: use {allowed}.")
    told["Allow"] = allowed
    return told
