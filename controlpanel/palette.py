"""The command palette: pages, clusters, services and what can be done to them, for some words."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from access.authorize import allowed_by, grants_of
from access.models import User
from access.policy import EVERYWHERE, Action, Held
from clusters.models import Service
from clusters.selectors.clusters import clusters_seen_by
from clusters.selectors.objects import nouns_seen_by, objects_seen_by
from clusters.selectors.services import services_seen_by

MOST = 20
ACTIONS = {
    "scale": Action.SERVICE_SCALE,
    "update": Action.SERVICE_UPDATE,
    "rollback": Action.SERVICE_ROLLBACK,
    "restart": Action.SERVICE_RESTART,
    "logs": Action.SERVICE_LOGS,
}
ACCESS_PAGES = {
    "people": "People",
    "groups": "Groups",
    "grants": "Grants",
    "grant-new": "Give a role",
    "who": "Who may do this?",
    "roles": "What each role may do",
    "tokens": "Everybody's API tokens",
    "protections": "Changes that need two persons",
    "emergencies": "Emergencies",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the palette. `dialog`: its address opens in the dialog, not as a page."""

    label: str
    hint: str
    kind: str  # page, cluster, service or action
    address: str
    dialog: bool = False


def entries(user: User, text: str) -> list[Entry]:
    """At most MOST entries: "web" finds places, "scale web" finds what can be done."""
    words = text.lower().split()
    grants = grants_of(user)
    places = [entry for entry in _places(user, grants) if _matches(entry, words)]
    found = [*places, *_of_services(user, grants, words)]
    return [*found, *_objects(user, words)][:MOST] if words else found[:MOST]


def _matches(entry: Entry, words: list[str]) -> bool:
    label = f"{entry.label} {entry.hint}".lower()
    return all(word in label for word in words)


def _places(user: User, grants: list[Held]) -> Iterator[Entry]:
    yield Entry("Overview", "", "page", reverse("overview"))
    yield Entry("Operations", "", "page", reverse("clusters:operations"))
    everywhere = allowed_by(grants, EVERYWHERE)
    if Action.CLUSTER_REGISTER in everywhere:
        yield Entry("Register a cluster", "", "page", reverse("clusters:cluster-register"))
    if any(Action.AUDIT_VIEW in held.actions for held in grants):
        yield Entry("Audit trail", "", "page", reverse("access:audit"))
    yield from _of_access(grants)
    yield Entry("Your account", "", "page", reverse("access:account"))
    yield Entry("Your API tokens", "", "page", reverse("access:tokens-own"))
    for cluster in clusters_seen_by(user):
        name = cluster.name
        yield Entry(name, "", "cluster", reverse("clusters:cluster", args=[name]))
        services = reverse("clusters:services", args=[name])
        yield Entry(f"Services of {name}", "", "page", services)
        for noun in nouns_seen_by(user, cluster):
            address = reverse(f"clusters:{noun}s", args=[name])
            yield Entry(f"{noun.title()}s of {name}", "", "page", address)


def _of_access(grants: list[Held]) -> Iterator[Entry]:
    somewhere = {action for held in grants for action in held.actions}
    if Action.ACCESS_VIEW in somewhere:
        for name, label in ACCESS_PAGES.items():
            yield Entry(label, "access", "page", reverse(f"access:{name}"))
    if Action.BREAK_GLASS in somewhere:
        address = reverse("access:emergency-new")
        yield Entry("Take emergency rights", "break-glass", "page", address)


def _of_services(user: User, grants: list[Held], words: list[str]) -> Iterator[Entry]:
    asked = [name for name in ACTIONS if words and name.startswith(words[0]) and len(words[0]) > 1]
    if asked:
        for service in _services(user, words[1:]):
            yield from _actions(service, asked, grants)
    for service in _services(user, words):
        address = reverse("clusters:service", args=[service.cluster.name, service.name])
        yield Entry(service.name, f"service in {service.cluster.name}", "service", address)


def _services(user: User, words: list[str]) -> list[Service]:
    found = Q()
    for word in words:
        found &= Q(name__icontains=word)
    clusters = clusters_seen_by(user)
    narrow = (services_seen_by(user, cluster).filter(found) for cluster in clusters)
    rows = (services.only("name", "stack", "cluster__name")[:MOST] for services in narrow)
    return [service for group in rows for service in group][:MOST]


def _objects(user: User, words: list[str]) -> Iterator[Entry]:
    """Secrets and configs by name."""
    named = Q()
    for word in words:
        named &= Q(name__icontains=word)
    for cluster in clusters_seen_by(user):
        for noun in nouns_seen_by(user, cluster):
            for found in objects_seen_by(user, cluster, noun).filter(named)[:MOST]:
                address = reverse(f"clusters:{noun}", args=[cluster.name, found.name])
                yield Entry(found.name, f"{noun} in {cluster.name}", noun, address)


def _actions(service: Service, names: list[str], grants: list[Held]) -> Iterator[Entry]:
    may = allowed_by(grants, service.scope)
    for name in names:
        if ACTIONS[name] in may:
            address = reverse(f"clusters:{name}", args=[service.cluster.name, service.name])
            label = f"{name.capitalize()} {service.name}"
            yield Entry(label, service.cluster.name, "action", address, dialog=name != "logs")
