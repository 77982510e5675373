"""Secrets and configs: the tables, one of them, and what can be done to it.

A secret's value goes from the request to the engine and nowhere else. Between the preview of a
rotation and its confirmation the person's browser carries it, sealed.
"""

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from access import noted
from access.authorize import Actor, allowed, authorize, scopes_with
from access.declared import needs
from access.policy import Action
from access.vault import CannotUnseal, seal_for, unseal_for
from clusters import contexts, texts
from clusters.engines import engine_for
from clusters.forms.clusters import RemoveForm
from clusters.forms.objects import CreateForm, RotateForm
from clusters.models import MODELS, Cluster, Config, Operation, Secret
from clusters.operations import approvals, disposals, making, rotations
from clusters.ports import EngineError, Noun
from clusters.problems import Busy, Invalid
from clusters.selectors.clusters import freshness
from clusters.selectors.objects import kept_of, kept_secret_seen_by, objects_seen_by
from clusters.selectors.operations import operations_seen_by
from clusters.selectors.usage import usage
from clusters.tasks import wake
from clusters.views.dialogs import close, dialog, sent
from clusters.views.finding import find_cluster, find_object

READ_OR_WRITE = ["GET", "HEAD", "POST"]
SEALED_FOR = 600  # seconds between a preview and its confirmation
View = Callable[..., HttpResponse]


# --- Looking -------------------------------------------------------------------------------------


def _table(noun: Noun) -> View:
    @require_safe
    @needs(MODELS[noun].VIEW)
    def view(request: HttpRequest, cluster: str) -> HttpResponse:
        actor, found = find_cluster(request, cluster)
        rows = contexts.object_rows(actor.user, found, noun)
        q, unused = request.GET.get("q", "")[:200], request.GET.get("used") == "no"
        context = {
            "cluster": found,
            "noun": noun,
            "rows": [row for row in rows if _matches(row, q, unused)],
            "total": len(rows),
            "q": q,
            "unused": unused,
            "freshness": freshness(found),
            "may_create": _may_create(actor, found, noun),
            **contexts.kept(actor.user, found),
        }
        return render(request, "clusters/object_list.html", context)

    return view


def _matches(row: dict[str, Any], q: str, unused: bool) -> bool:
    found, used = row["object"], row["used"]
    words = f"{found.name} {found.stack} {' '.join(used.services)}".lower()
    return all(word in words for word in q.lower().split()) and not (unused and used.total)


def _may_create(actor: Actor, cluster: Cluster, noun: Noun) -> bool:
    """Whether in any stack of the cluster."""
    scopes = scopes_with(actor.user, MODELS[noun].WRITE)
    return any(scope.cluster in ("", cluster.name) for scope in scopes)


def _page(noun: Noun) -> View:
    @require_safe
    @needs(MODELS[noun].VIEW)
    def view(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
        actor, found = find_object(request, cluster, noun, name)
        authorize(actor, found.VIEW, found.scope)
        context = contexts.object_details(actor.user, found)
        if isinstance(found, Config):
            noted.read(actor, found.VIEW, found.scope, found.name)
            context |= _content(found)
            others = objects_seen_by(actor.user, found.cluster, noun)
            context["others"] = list(others.exclude(pk=found.pk).values_list("name", flat=True))
        return render(request, "clusters/object.html", context)

    return view


def _content(found: Config) -> dict[str, Any]:
    text = texts.text_of(bytes(found.data))
    lines = text.splitlines() if text is not None else None
    return {
        "size": len(found.data),
        "lines": lines[: texts.MOST_LINES] if lines is not None else None,
        "more": max(0, len(lines) - texts.MOST_LINES) if lines else 0,
    }


secrets, configs = _table("secret"), _table("config")
secret, config = _page("secret"), _page("config")


# --- Creating ------------------------------------------------------------------------------------


def _create(noun: Noun) -> View:
    @never_cache
    @sensitive_post_parameters()
    @sensitive_variables()
    @require_http_methods(READ_OR_WRITE)
    @needs(MODELS[noun].WRITE)
    def view(request: HttpRequest, cluster: str) -> HttpResponse:
        actor, found = find_cluster(request, cluster)
        objects_seen_by(actor.user, found, noun)  # absent for who may see none
        form = _create_form(request, actor, found, noun)
        if form.is_valid() and _made(actor, found, noun, form):
            message = f"The {noun} {form.asked.name} was created."
            return close(request, message, reverse(f"clusters:{noun}s", args=[found.name]))
        context = {"cluster": found, "noun": noun, "form": form}
        status = 422 if form.is_bound else 200
        return dialog(request, "clusters/_object_create.html", context, status)

    return view


def _create_form(request: HttpRequest, actor: Actor, cluster: Cluster, noun: Noun) -> CreateForm:
    """Who may not write anywhere, or has not proved who they are, is told before they type."""
    scopes = scopes_with(actor.user, MODELS[noun].WRITE)
    here = [scope for scope in scopes if scope.cluster in ("", cluster.name)]
    authorize(actor, MODELS[noun].WRITE, here[0] if here else cluster.scope)
    if request.method != "POST":
        whole = any(not scope.stack for scope in here)
        return CreateForm(noun, stack="" if whole else here[0].stack)
    return CreateForm(noun, request.POST, request.FILES)


@sensitive_variables()
def _made(actor: Actor, cluster: Cluster, noun: Noun, form: CreateForm) -> bool:
    """Whether it was created; what went wrong stands in the form."""
    keep = form.cleaned_data.get("keep", False)
    try:
        engine = engine_for(cluster)
        making.create(actor, cluster, noun, form.asked, form.content, engine=engine, keep=keep)
    except Invalid as failure:
        form.add_error(failure.field if failure.field in form.fields else None, str(failure))
    except EngineError as failure:
        form.add_error(None, making.told(failure, noun))
    return not form.errors


create_secret, create_config = _create("secret"), _create("config")


# --- Rotating: the new value → what will happen → confirm ----------------------------------------


def _rotate(noun: Noun) -> View:
    @never_cache
    @sensitive_post_parameters()
    @sensitive_variables()
    @require_http_methods(READ_OR_WRITE)
    @needs(MODELS[noun].WRITE)
    def view(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
        actor, found = find_object(request, cluster, noun, name)
        authorize(actor, found.WRITE, found.scope)
        step = request.POST.get("step", "")
        if step == "confirm":
            return _confirm(request, actor, found)
        if step == "preview":
            return _preview(request, actor, found)
        return _ask(request, actor, found, _rotate_form(request, actor, found))

    return view


@sensitive_variables()
def _rotate_form(request: HttpRequest, actor: Actor, found: Secret | Config) -> RotateForm:
    """A config's form begins with what it holds now, or with what was typed for the preview."""
    initial = _held(found)
    if isinstance(found, Config) and request.POST.get("sealed"):
        initial["value"] = texts.text_of(_unsealed(request, actor, found))
    initial["keep"] = request.POST.get("keep") == "on"
    return RotateForm(found.noun, initial=initial)


def _form_again(request: HttpRequest, actor: Actor, found: Secret | Config) -> RotateForm:
    try:
        return _rotate_form(request, actor, found)
    except Invalid:  # what was sealed for the preview cannot be opened any more
        return RotateForm(found.noun, initial=_held(found))


def _held(found: Secret | Config) -> dict[str, Any]:
    """What the field of a new value begins with."""
    return {"value": texts.text_of(bytes(found.data))} if isinstance(found, Config) else {}


def _ask(
    request: HttpRequest,
    actor: Actor,
    found: Secret | Config,
    form: RotateForm,
    status: int = 200,
    error: str = "",
) -> HttpResponse:
    context = {**_basics(found), "form": form, "error": error}
    try:
        context["preview"] = rotations.preview(actor, found)
    except Invalid as failure:
        context["impossible"] = str(failure)
    return dialog(request, "clusters/_object_rotate.html", context, status)


def _basics(found: Secret | Config) -> dict[str, Any]:
    return {"object": found, "cluster": found.cluster, "noun": found.noun}


@sensitive_variables()
def _preview(request: HttpRequest, actor: Actor, found: Secret | Config) -> HttpResponse:
    form = RotateForm(found.noun, request.POST, request.FILES, initial=_held(found))
    if not form.is_valid():
        return _ask(request, actor, found, form, 422)
    try:
        making.check_size(found.noun, form.content)
        rotations.refuse_same(found, form.content)
        foreseen = rotations.preview(actor, found)
    except Invalid as failure:
        form.add_error(failure.field if failure.field in form.fields else None, str(failure))
        return _ask(request, actor, found, form, 422)
    context = {
        **_basics(found),
        "preview": foreseen,
        "consumers": [
            {"service": c.service, "rollout": contexts.rollout(c.service.spec)}
            for c in foreseen.consumers
        ],
        "sealed": seal_for(_purpose(actor, found), form.content),
        "size": len(form.content),
        "keep": form.cleaned_data.get("keep", False),
        "key": uuid.uuid4(),
        "groups": _changed_text(found, form.content),
    }
    return dialog(request, "clusters/_rotation_preview.html", context)


def _changed_text(found: Secret | Config, content: bytes) -> list[list[texts.Line]] | None:
    """How a config's text changes; None for a secret, and for what is no text, or too long."""
    if not isinstance(found, Config):
        return None
    before, after = texts.text_of(bytes(found.data)), texts.text_of(content)
    if before is None or after is None or texts.too_long(before, after):
        return None
    return texts.compared(before, after)


@sensitive_variables()
def _confirm(request: HttpRequest, actor: Actor, found: Secret | Config) -> HttpResponse:
    key = sent(request, "key", 128) or None
    keep = request.POST.get("keep") == "on"
    try:
        operation = rotations.request(
            actor,
            found,
            _unsealed(request, actor, found),
            engine=engine_for(found.cluster),
            wake=wake,
            keep=keep,
            idempotency_key=key,
        )
    except Busy as busy:
        return _busy(request, actor, found, busy)
    except (Invalid, EngineError) as failure:
        told = making.told(failure, found.noun) if isinstance(failure, EngineError) else failure
        error = f"{told} Give the value, and try once more."
        return _ask(request, actor, found, _form_again(request, actor, found), 422, error)
    message = f"The rotation of {operation.target} was asked for."
    address = reverse("clusters:operation", args=[operation.id])
    return close(request, message, address, "Follow it")


def _purpose(actor: Actor, found: Secret | Config) -> str:
    return f"rotate {found.noun} {found.engine_id} by {actor.user.pk}"


@sensitive_variables()
def _unsealed(request: HttpRequest, actor: Actor, found: Secret | Config) -> bytes:
    try:
        return unseal_for(_purpose(actor, found), request.POST.get("sealed", ""), SEALED_FOR)
    except CannotUnseal as error:
        raise Invalid(str(error), "value") from error


def _busy(request: HttpRequest, actor: Actor, found: Secret | Config, busy: Busy) -> HttpResponse:
    under_way = operations_seen_by(actor.user).filter(pk=busy.operation_id).first()
    context = {**_basics(found), "message": str(busy), "operation": under_way}
    return dialog(request, "clusters/_object_busy.html", context, status=409)


rotate_secret, rotate_config = _rotate("secret"), _rotate("config")


# --- Removing, and what is kept ------------------------------------------------------------------


def _remove(noun: Noun) -> View:
    """A secret's name must be typed: its value is gone with it."""

    @require_http_methods(READ_OR_WRITE)
    @needs(MODELS[noun].REMOVE)
    def view(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
        actor, found = find_object(request, cluster, noun, name)
        authorize(actor, found.REMOVE, found.scope)
        form = RemoveForm(found.name, request.POST or None)
        if form.is_valid():
            waits = _remove_now_or_ask(actor, found, form)
            if waits:
                return _close_waiting(request, waits)
            if not form.errors:
                message = f"The {noun} {found.name} was removed."
                return close(request, message, reverse(f"clusters:{noun}s", args=[cluster]))
        used = usage(actor.user, found.cluster, noun).get(found.engine_id)
        context = {
            **_basics(found),
            "form": form,
            "used": making.in_words(used) if used else "",
            "kept": kept_of(found),
            "awaits": approvals.needed(actor.user, found.scope),
        }
        status = 422 if form.errors else 200
        return dialog(request, "clusters/_object_remove.html", context, status)

    return view


def _remove_now_or_ask(actor: Actor, found: Secret | Config, form: RemoveForm) -> Operation | None:
    """The operation, if a second person is needed. What went wrong stands in the form."""
    try:
        return disposals.remove(actor, found, engine=engine_for(found.cluster), wake=wake)
    except (Invalid, Busy) as failure:
        form.add_error(None, str(failure))
    except EngineError as failure:
        form.add_error(None, making.told(failure, found.noun))
    return None


def _close_waiting(request: HttpRequest, operation: Operation) -> HttpResponse:
    message = f"{operation.get_kind_display()} {operation.target}: it awaits a second person."
    address = reverse("clusters:operation", args=[operation.pk])
    return close(request, message, address, "See it")


remove_secret, remove_config = _remove("secret"), _remove("config")


@require_http_methods(READ_OR_WRITE)
@needs(Action.SECRET_WRITE)
def put_back(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
    """Create a kept secret that is gone from the Swarm once more."""
    actor, here = find_cluster(request, cluster)
    kept = kept_secret_seen_by(actor.user, here, name)
    authorize(actor, Action.SECRET_WRITE, kept.scope)
    error = ""
    if request.method == "POST":
        try:
            waits = disposals.put_back(actor, kept, engine=engine_for(here), wake=wake)
        except (Invalid, Busy) as failure:
            error = str(failure)
        except EngineError as failure:
            error = making.told(failure, "secret")
        else:
            if waits:
                return _close_waiting(request, waits)
            address = reverse("clusters:secrets", args=[cluster])
            return close(request, f"The secret {name} was put back.", address)
    awaits = approvals.needed(actor.user, kept.scope)
    context = {"cluster": here, "kept": kept, "error": error, "awaits": awaits}
    return dialog(request, "clusters/_kept_put_back.html", context, 422 if error else 200)


@require_http_methods(READ_OR_WRITE)
@needs(Action.SECRET_REMOVE)
def forget(request: HttpRequest, cluster: str, name: str) -> HttpResponse:
    """Delete a kept value for good, once its name was typed."""
    actor, here = find_cluster(request, cluster)
    kept = kept_secret_seen_by(actor.user, here, name)
    authorize(actor, Action.SECRET_REMOVE, kept.scope)
    form = RemoveForm(kept.name, request.POST or None)
    if form.is_valid():
        if waits := disposals.forget(actor, kept, wake=wake):
            return _close_waiting(request, waits)
        address = reverse("clusters:secrets", args=[cluster])
        return close(request, f"The kept value of {name} was deleted.", address)
    awaits = approvals.needed(actor.user, kept.scope)
    context = {"cluster": here, "kept": kept, "form": form, "awaits": awaits}
    may = allowed(actor.user, kept.scope)
    status = 422 if form.errors else 200
    return dialog(request, "clusters/_kept_forget.html", {**context, "may": may}, status)
