"""The pages of the audit trail: read it, take it along, prove it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from access import noted
from access.authorize import grants_of
from access.declared import needs
from access.models import AuditEntry, AuditProof
from access.policy import EVERYWHERE, Action, Scope
from access.requests import actor_of
from access.tasks import wake_prove
from access.trail import export as exports
from access.trail import proofs, reading
from access.trail.forms import FilterForm
from access.trail.sending import audited, export_answer
from access.trail.showing import shown

MOST_DIGITS = 18
# Suggested; whatever else an entry may hold can be typed.
OUTCOMES = (
    "succeeded", "failed", "rolled_back", "cancelled", "interrupted", "forbidden", "unproven",
    "many", "whole", "broken",
)  # fmt: skip


@require_safe
@needs(Action.AUDIT_VIEW)
def trail(request: HttpRequest) -> HttpResponse:
    """Newest first, as far as the auditor's scopes reach. That it was read stands in it, too."""
    actor = actor_of(request)
    form = FilterForm(request.GET)
    valid = form.is_valid()
    filters = form.filters
    scopes = reading.scopes_of(actor)
    noted.read(actor, Action.AUDIT_VIEW, audited(filters.scope, scopes))
    entries = filters.narrow(reading.entries_in(scopes)) if valid else AuditEntry.objects.none()
    page = reading.page(
        entries, before=_id(request.GET.get("before")), after=_id(request.GET.get("after"))
    )
    grants = grants_of(actor.user)
    context = {
        "page": page,
        "rows": [shown(entry, grants) for entry in page.entries],
        "form": form,
        "asked": {name: form[name].value() or "" for name in reading.FILTERS},
        "filtered": any(request.GET.get(name) for name in reading.FILTERS),
        "clusters": reading.clusters_in(scopes),
        "actions": reading.actions(),
        "phases": AuditEntry.Phase.choices,
        "outcomes": OUTCOMES,
        "everything": EVERYWHERE in scopes,
        "scopes": [str(scope) for scope in scopes],
        **_proof_context(scopes),
    }
    return render(request, "access/audit.html", context, status=200 if valid else 422)


def _id(text: str | None) -> int | None:
    fine = text and text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if text and fine else None


# --- Proving it ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Action.AUDIT_VIEW)
def proof(request: HttpRequest) -> HttpResponse:
    """POST has all chains proved now; GET is how far that is, and what was found."""
    actor = actor_of(request)
    scopes = reading.scopes_of(actor)
    if request.method == "POST":
        proofs.ask(actor.user.get_username(), wake_prove)
        if not request.headers.get("HX-Request"):
            return HttpResponseRedirect(reverse("access:audit"))
    elif not request.headers.get("HX-Request"):
        return HttpResponseRedirect(reverse("access:audit"))
    return render(request, "access/_audit_proof.html", _proof_context(scopes))


def _proof_context(scopes: list[Scope]) -> dict[str, Any]:
    """The newest proof that has an end, and the one under way."""
    newest, last = proofs.newest(), proofs.newest_finished()
    under_way = newest if newest and newest.finished_at is None else None
    chains = proofs.seen_in(last, scopes) if last else []
    return {
        "under_way": under_way,
        "percent": _percent(under_way) if under_way else 0,
        "waiting": under_way and not under_way.held_until and _old(under_way),
        "proof": last,
        "chains": chains,
        "broken": [chain for chain in chains if chain["broken"]],
        "proved_entries": sum(chain["entries"] for chain in chains),
    }


def _percent(under_way: AuditProof) -> int:
    return min(99, 100 * under_way.done // under_way.total) if under_way.total else 0


def _old(under_way: AuditProof) -> bool:
    return (timezone.now() - under_way.asked_at).total_seconds() > 5


# --- Taking it along -----------------------------------------------------------------------------


@require_safe
@needs(Action.AUDIT_VIEW)
def export(request: HttpRequest) -> HttpResponseBase:
    """What the filters leave, as a file; who took it along stands in the trail."""
    actor = actor_of(request)
    reading.scopes_of(actor)
    form = FilterForm(request.GET)
    kind = request.GET.get("format", "jsonl")
    if not form.is_valid() or kind not in exports.FORMATS:
        return HttpResponseRedirect(f"{reverse('access:audit')}?{request.GET.urlencode()}")
    return export_answer(request, actor, form.filters, kind)
