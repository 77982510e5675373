"""Clusters: register, look at, initialise, remove."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from access.authorize import authorize
from access.declared import needs
from access.policy import Action
from access.requests import actor_of
from clusters import contexts
from clusters.forms.clusters import InitialiseForm, RegisterForm, RemoveForm
from clusters.operations.clusters import register_cluster, remove_cluster
from clusters.operations.requests import request_swarm_init
from clusters.problems import Busy, Invalid
from clusters.selectors.clusters import freshness
from clusters.selectors.nodes import networks_seen_by, nodes_of
from clusters.selectors.stacks import stacks_of
from clusters.tasks import wake
from clusters.views.dialogs import close, dialog, go_to
from clusters.views.finding import find_cluster

READ_OR_WRITE = ["GET", "HEAD", "POST"]


@require_safe
@needs(Action.CLUSTER_VIEW)
def cluster(request: HttpRequest, cluster: str) -> HttpResponse:
    actor, found = find_cluster(request, cluster)
    context = {
        **contexts.cluster_head(actor.user, found),
        "cluster": found,
        "freshness": freshness(found),
        "nodes": [contexts.node_row(found, node) for node in nodes_of(found)],
        "stacks": stacks_of(actor.user, found),
        "networks": networks_seen_by(actor.user, found),
    }
    return render(request, "clusters/cluster.html", context)


@require_http_methods(READ_OR_WRITE)
@needs(Action.CLUSTER_REGISTER)
def register(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    authorize(actor, Action.CLUSTER_REGISTER)
    form = RegisterForm(request.POST or None)
    if form.is_valid():
        asked = form.asked
        tls = asked.tls.material() if asked.tls else None
        try:
            register_cluster(actor, asked.name, asked.addresses, tls)
        except Invalid as failure:
            form.add_error(failure.field or None, str(failure))
        else:
            return HttpResponseRedirect(reverse("clusters:cluster", args=[asked.name]))
    status = 422 if form.errors else 200
    return render(request, "clusters/cluster_register.html", {"form": form}, status=status)


@require_http_methods(READ_OR_WRITE)
@needs(Action.CLUSTER_REMOVE)
def remove(request: HttpRequest, cluster: str) -> HttpResponse:
    """Forget the cluster, once its name was typed."""
    actor, found = find_cluster(request, cluster)
    authorize(actor, Action.CLUSTER_REMOVE, found.scope)
    form = RemoveForm(found.name, request.POST or None)
    if form.is_valid():
        try:
            remove_cluster(actor, found)
        except Invalid as failure:
            form.add_error(None, str(failure))
        else:
            return go_to(request, reverse("overview"))
    context = {"cluster": found, "form": form}
    return dialog(request, "clusters/_remove.html", context, 422 if form.errors else 200)


@require_http_methods(READ_OR_WRITE)
@needs(Action.SWARM_INIT)
def initialise(request: HttpRequest, cluster: str) -> HttpResponse:
    """`docker swarm init` for an engine outside Swarm mode."""
    actor, found = find_cluster(request, cluster)
    authorize(actor, Action.SWARM_INIT, found.scope)
    form = InitialiseForm(request.POST or None)
    if form.is_valid():
        try:
            asked = request_swarm_init(actor, found, form.cleaned_data["advertise"], wake=wake)
        except (Invalid, Busy) as failure:
            form.add_error(None, str(failure))
        else:
            address = reverse("clusters:operation", args=[asked.id])
            return close(request, f"Initialising Swarm on {found.name}.", address, "Follow it")
    context = {"cluster": found, "form": form}
    return dialog(request, "clusters/_initialise.html", context, 422 if form.errors else 200)
