"""The API's root: who is let in, what is refused before anybody looks, and its documentation."""

import json
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver, path, re_path
from ninja import NinjaAPI, Swagger
from ninja.errors import HttpError
from ninja.openapi.schema import get_schema
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from access import noted
from access.api import emergencies, people, protections, tokens, trail
from access.authorize import Actor
from access.declared import SIGNED_IN, needs
from access.requests import SignedOut, actor_of, address_of
from access.tokens import find_token
from clusters.api import changes, clusters, configs, operations, secrets, services, timeline
from controlpanel import problems
from controlpanel.openapi import DESCRIPTION, with_problems
from metrics.api import metrics, panels

View = Callable[..., Any]


# --- Who is let in -------------------------------------------------------------------------------


class BearerToken(HttpBearer):
    """`Authorization: Bearer …`. Whoever sends the header is judged by it alone."""

    def __call__(self, request: HttpRequest) -> Actor | None:
        if "Authorization" not in request.headers:
            return None
        scheme, _, secret = request.headers["Authorization"].partition(" ")
        if scheme.lower() != "bearer":
            raise SignedOut("The API takes no other Authorization than “Bearer” with a token.")
        return self.authenticate(request, secret.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Actor:
        found = find_token(token)
        if found is None:
            raise SignedOut("The token is unknown, expired or revoked.")
        actor = Actor(found.user, "api", address_of(request))
        noted.token_used(actor)
        return actor


class BrowserSession(APIKeyCookie):
    """The session of the page at /docs, with Django's own protection against forged requests."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Actor | None:
        return self.authenticate(request, None)

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor:
        actor = actor_of(request)
        if check_csrf(request):
            raise HttpError(403, "The CSRF token is missing or wrong: send it as X-CSRFToken.")
        return actor


# --- What is refused before anybody looks --------------------------------------------------------


class StrictJSON(Parser):
    """JSON as RFC 8259 has it, and nothing that PostgreSQL cannot keep."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            content = json.loads(request.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"The body is not JSON: {error}") from error
        if b"\\u" in request.body and not _storable(content):
            raise HttpError(400, "The body holds a NUL or half a surrogate pair.")
        return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _storable(content: Any) -> bool:
    if isinstance(content, str):
        return "\0" not in content and not any("\ud800" <= c <= "\udfff" for c in content)
    if isinstance(content, dict):
        return all(_storable(key) and _storable(value) for key, value in content.items())
    return not isinstance(content, list) or all(map(_storable, content))


def _with_known_query(run: View) -> View:
    """Note which query parameters the operation knows, for `PanelAPI.create_temporal_response`."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }

    @wraps(run)
    def noted(request: HttpRequest, **arguments: Any) -> Any:
        request.known_query = known  # type: ignore[attr-defined]
        return run(request, **arguments)

    return noted


def _refuse_query(request: HttpRequest) -> None:
    """Raise for a parameter that nobody knows, that is given twice, or that holds a NUL."""
    known: set[str] = request.known_query  # type: ignore[attr-defined]
    for name, values in request.GET.lists():
        if name not in known:
            raise HttpError(422, f"There is no query parameter “{name[:80]}” here.")
        if len(values) > 1:
            raise HttpError(422, f"The query parameter “{name}” is given more than once.")
        if "\0" in values[0]:
            raise HttpError(422, f"The query parameter “{name}” holds a NUL.")


class PanelAPI(NinjaAPI):
    """Ninja's API with our failures, and with nothing ignored in silence."""

    def create_temporal_response(self, request: HttpRequest) -> HttpResponse:
        """Ninja's first step once it knows who asks: the earliest place to judge the query."""
        _refuse_query(request)
        return super().create_temporal_response(request)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> Any:
        return _document(self, path_prefix or self.get_root_path(path_params or {}))

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        patterns = super()._get_urls()
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = _in_problems(pattern.callback)
        return patterns


@cache
def _document(api: NinjaAPI, path_prefix: str) -> Any:
    """The same for everybody, and half a second's work."""
    return with_problems(get_schema(api=api, path_prefix=path_prefix))


def _in_problems(view: View) -> View:
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "\0" in request.path:
            return problems.unknown_address(request)
        response: HttpResponse = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseNotAllowed):
            response = problems.not_allowed(request, response)
        response["Cache-Control"] = "no-store"  # what one may see is nobody else's to keep
        return response

    answered.csrf_exempt = True  # type: ignore[attr-defined]  # BrowserSession checks it itself
    return answered


# --- The root ------------------------------------------------------------------------------------

session = BrowserSession()
bearer = BearerToken()


def _for_those_let_in(view: View) -> View:
    """The API's document: what the panel can do is nobody's business who is not signed in."""

    @wraps(view)
    @needs(SIGNED_IN)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if bearer(request) is None:
                actor_of(request)
        except SignedOut as failure:
            return problems.signed_out(request, failure)
        response: HttpResponse = view(request, *args, **kwargs)
        return response

    return answered


api = PanelAPI(
    title="Pilothouse",
    version="1",
    description=DESCRIPTION,
    docs=Swagger({"persistAuthorization": False, "tryItOutEnabled": True}),
    docs_url=None,
    docs_decorator=_for_those_let_in,
    auth=[bearer, session],
    parser=StrictJSON(),
)
problems.install(api)
api.add_decorator(_with_known_query, mode="view")

api.add_router("/clusters", clusters.router)
api.add_router("/clusters", services.router)
api.add_router("/clusters", changes.router)
api.add_router("/clusters", secrets.router)
api.add_router("/clusters", configs.router)
api.add_router("/clusters", timeline.router)
api.add_router("/clusters", metrics.router)
api.add_router("/clusters", panels.router)
api.add_router("/operations", operations.router)
api.add_router("/audit", trail.router)
api.add_router("/access/tokens", tokens.router)
api.add_router("/access/protections", protections.router)
api.add_router("/access/emergencies", emergencies.router)
api.add_router("/access", people.router)


@needs(SIGNED_IN)
def docs(request: HttpRequest) -> HttpResponse:
    """The page to read about the API and to try it."""
    actor_of(request)
    return api.docs.render_page(request, api)


urlpatterns = [
    path("api/v1/", api.urls),
    path("docs", docs, name="docs"),
    re_path(r"^api/", problems.unknown_address),
]
