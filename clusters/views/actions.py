"""The actions on a service: form → preview → confirm, as a dialog or as plain pages.

`step` says where the person is: "" fills the form in, "preview" foresees, "confirm" asks for it,
and "edit" goes back to the form with what was typed.
"""

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from access.authorize import Actor, allowed, authorize, one_look
from access.declared import needs
from access.policy import Action
from access.requests import actor_of
from clusters import contexts
from clusters.changes import Restart, Resume, ServiceChange
from clusters.forms import services as forms
from clusters.forms.update import UpdateForm
from clusters.models import Operation, Service
from clusters.operations.previews import Preview, preview
from clusters.operations.requests import request as request_change
from clusters.operations.rights import ACTIONS
from clusters.problems import Busy, Conflict, Invalid
from clusters.selectors.operations import operations_seen_by
from clusters.sensitive import note_differences, note_env
from clusters.tasks import wake
from clusters.views.dialogs import close, dialog, sent
from clusters.views.finding import find_service

FORMS: dict[str, type[forms.ServiceForm]] = {
    Operation.Kind.SCALE: forms.ScaleForm,
    Operation.Kind.UPDATE: UpdateForm,
    Operation.Kind.ROLLBACK: forms.RollbackForm,
    Operation.Kind.RESTART: forms.RestartForm,
    Operation.Kind.RESUME: forms.ResumeForm,
}
WITHOUT_INPUT: dict[str, type[Restart | Resume]] = {
    Operation.Kind.RESTART: Restart,
    Operation.Kind.RESUME: Resume,
}
NOT_ECHOED = ("csrfmiddlewaretoken", "step", "key", "version", "insist")
View = Callable[[HttpRequest, str, str], HttpResponse]


def _view(kind: str) -> View:
    action = ACTIONS[FORMS[kind].kind][1]

    @require_http_methods(["GET", "HEAD", "POST"])
    @needs(action)
    def view(request: HttpRequest, cluster: str, service: str) -> HttpResponse:
        with one_look():  # what is asked for in the end is authorized anew, where it is done
            actor, found = find_service(request, cluster, service)
            may = authorize(actor, action, found.scope)
        return _act(request, actor, found, kind, may)

    return view


scale = _view(Operation.Kind.SCALE)
update = _view(Operation.Kind.UPDATE)
rollback = _view(Operation.Kind.ROLLBACK)
restart = _view(Operation.Kind.RESTART)
resume = _view(Operation.Kind.RESUME)


def _act(
    request: HttpRequest, actor: Actor, service: Service, kind: str, may: frozenset[Action]
) -> HttpResponse:
    address = _address(kind, service)
    step = request.POST.get("step", "")
    if kind in WITHOUT_INPUT and step not in ("preview", "confirm"):
        return show(request, preview(actor, service, WITHOUT_INPUT[kind]()), address)
    typed = request.POST if request.method == "POST" else None
    form = _form(kind, actor, service, typed, may)
    if step not in ("preview", "confirm"):
        return _ask(request, actor, kind, form)
    if not form.is_valid():
        if kind in WITHOUT_INPUT:  # there is no form to correct it in
            raise Invalid("This is no answer to what was asked: open it once more.")
        return _ask(request, actor, kind, form, status=422)
    try:
        if step == "confirm":
            return confirm(request, actor, service, form.change, address)
        return show(request, preview(actor, service, form.change), address, request.POST)
    except Invalid as failure:
        if failure.field == "insist":  # a rollout has begun since the preview: show what that means
            return show(request, preview(actor, service, form.change), address, request.POST)
        form.add_error(failure.field if failure.field in form.fields else None, str(failure))
        return _ask(request, actor, kind, form, status=422)
    except Conflict as conflict:
        if not conflict.clash.yours:  # somebody else, or the same person, did just that
            return show(request, preview(actor, service, _unversioned(form)), address)
        return clash(request, actor, service, conflict, address)


def _unversioned(form: forms.ServiceForm) -> ServiceChange:
    """The change, whatever version of the service was looked at."""
    return form.change.model_copy(update={"version": None})


def _form(
    kind: str, actor: Actor, service: Service, data: QueryDict | None, may: frozenset[Action]
) -> forms.ServiceForm:
    if kind == Operation.Kind.UPDATE:
        note_env(actor, service, may)
    env = Action.SERVICE_ENV in may
    return FORMS[kind](service, data, env=env)


def _ask(
    request: HttpRequest, actor: Actor, kind: str, form: forms.ServiceForm, status: int = 200
) -> HttpResponse:
    service = form.service
    context = {**_basics(actor, service, _address(kind, service)), "kind": kind, "form": form}
    if kind == Operation.Kind.ROLLBACK:
        context |= contexts.revisions(actor.user, service)
        context["chosen"] = form["revision"].value() or request.GET.get("revision", "")
    return dialog(request, f"clusters/_{kind}.html", context, status)


def _address(kind: str, service: Service) -> str:
    return reverse(f"clusters:{kind}", args=[service.cluster.name, service.name])


def _basics(actor: Actor, service: Service, address: str) -> dict[str, Any]:
    """What every step of a dialog is rendered with. `address` is where its form goes."""
    may = allowed(actor.user, service.scope)
    return {"service": service, "cluster": service.cluster, "address": address, "may": may}


def show(
    request: HttpRequest, foreseen: Preview, address: str, typed: QueryDict | None = None
) -> HttpResponse:
    """The preview. `typed` is sent again with the next step; None: there was no form."""
    service = foreseen.service
    actor, seen = actor_of(request), request.POST.get("version", "")
    basics = _basics(actor, service, address)
    note_differences(actor, service, basics["may"], foreseen.differences)
    context = {
        **basics,
        "preview": foreseen,
        "kind": foreseen.kind,
        "fields": _echoed(typed) if typed else [],
        "version": seen if seen.isdigit() else service.version,
        "key": uuid.uuid4(),
        "editable": typed is not None and foreseen.kind not in WITHOUT_INPUT,
        "rollout": contexts.rollout(foreseen.after),
    }
    return dialog(request, "clusters/_preview.html", context)


def _echoed(fields: QueryDict) -> list[tuple[str, str]]:
    """What was typed, as hidden inputs."""
    return [
        (name, value)
        for name, values in fields.lists()
        if name not in NOT_ECHOED
        for value in values
    ]


def confirm(
    request: HttpRequest, actor: Actor, service: Service, change: ServiceChange, address: str
) -> HttpResponse:
    """Ask for the operation. Raises Invalid and Conflict; an operation under way is shown."""
    key = sent(request, "key", 128) or None
    try:
        operation = request_change(actor, service, change, wake=wake, idempotency_key=key)
    except Busy as busy:
        # A rotation is not for everybody's eyes; that something is under way, they are told.
        under_way = operations_seen_by(actor.user).filter(pk=busy.operation_id).first()
        context = {**_basics(actor, service, address), "message": str(busy), "operation": under_way}
        return dialog(request, "clusters/_busy.html", context, status=409)
    message = f"{operation.get_kind_display()} of {operation.target} was asked for."
    link = reverse("clusters:operation", args=[operation.id])
    return close(request, message, link, "Follow it")


def clash(
    request: HttpRequest, actor: Actor, service: Service, conflict: Conflict, address: str
) -> HttpResponse:
    """Both changes side by side; the person decides."""
    basics = _basics(actor, service, address)
    both = (*conflict.clash.theirs, *conflict.clash.yours)
    note_differences(actor, service, basics["may"], both)
    context = {
        **basics,
        "clash": conflict.clash,
        "message": str(conflict),
        "fields": _echoed(request.POST),
        "version": conflict.clash.current_version,
    }
    return dialog(request, "clusters/_conflict.html", context, status=409)
