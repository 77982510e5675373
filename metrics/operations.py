"""Set, change and remove a cluster's source. Who manages clusters may."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from access import audit
from access.authorize import Actor, authorize
from access.models import AuditEntry
from access.policy import Action
from access.problems import Invalid, NotFound
from access.vault import seal
from clusters import destinations
from clusters.models import Cluster
from live import changes
from metrics.models import Source
from metrics.registration import Chosen, NewSource
from metrics.sources import source_of
from metrics.starting import give_starting_panels


def set_source(actor: Actor, cluster: Cluster, new: NewSource) -> Source:
    """Replace the source. Secrets that are left out stay if the address does.

    Otherwise who changes the address would get them sent to a place of their own.
    Raises Forbidden, Invalid.
    """
    authorize(actor, Action.CLUSTER_REGISTER, cluster.scope)
    _refuse_destination(new.address)
    old = source_of(cluster)
    kept = _kept(old, new)
    fields = {
        "address": new.address,
        "username": new.username,
        "token_sealed": seal(new.token) if new.token else kept.get("token_sealed", b""),
        "password_sealed": seal(new.password) if new.password else kept.get("password_sealed", b""),
        "ca": new.ca,
        "from_environment": False,
        "detected": {},
        "detected_at": None,
        "unavailable_since": None,
        "unavailable_reason": "",
    }
    with transaction.atomic():
        source, _ = Source.objects.update_or_create(cluster=cluster, defaults=fields)
        give_starting_panels(cluster)
        _record(actor, cluster, {"metrics": new.address, "username": new.username})
    return source


def _kept(old: Source | None, new: NewSource) -> dict[str, bytes]:
    """The sealed secrets that are to stay: of the same address, and the same way in."""
    if old is None or old.address != new.address or new.token or new.password:
        return {}
    if new.username and new.username == old.username:
        return {"password_sealed": bytes(old.password_sealed)}
    return {} if new.username else {"token_sealed": bytes(old.token_sealed)}


def _refuse_destination(address: str) -> None:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        destinations.resolved(parts.hostname or "", port, settings.ENGINE_REFUSED)
    except destinations.NotADestination as refusal:
        raise Invalid(str(refusal), "address") from refusal
    except OSError:
        return  # a name without an address now is judged again with each connection


def choose_mapping(actor: Actor, cluster: Cluster, chosen: Chosen) -> Source:
    """Set names of labels and metrics by hand. Raises Forbidden, NotFound."""
    authorize(actor, Action.CLUSTER_REGISTER, cluster.scope)
    with transaction.atomic():
        source = _existing(cluster)
        source.chosen = chosen.given()
        source.save(update_fields=["chosen", "changed_at"])
        _record(actor, cluster, {"metrics": source.address, "mapping": source.chosen})
    return source


def look_again(actor: Actor, cluster: Cluster) -> Source:
    """Let the source be asked once more what it has. Raises Forbidden, NotFound."""
    authorize(actor, Action.CLUSTER_REGISTER, cluster.scope)
    source = _existing(cluster)
    source.detected_at = None
    source.save(update_fields=["detected_at", "changed_at"])
    return source


def remove_source(actor: Actor, cluster: Cluster) -> None:
    """Forget it. Raises Forbidden, Invalid, NotFound."""
    authorize(actor, Action.CLUSTER_REGISTER, cluster.scope)
    with transaction.atomic():
        source = _existing(cluster)
        if source.from_environment:
            raise Invalid("This source is set by PROMETHEUS_URL: take it out of the environment.")
        source.delete()
        _record(actor, cluster, {"metrics": None, "was": source.address})


def _existing(cluster: Cluster) -> Source:
    source = source_of(cluster)
    if source is None:
        raise NotFound(f"{cluster.name} has no source of metrics.")
    return source


def _record(actor: Actor, cluster: Cluster, detail: dict[str, Any]) -> None:
    audit.record(
        actor,
        Action.CLUSTER_REGISTER,
        AuditEntry.Phase.EVENT,
        scope=cluster.scope,
        target=cluster.name,
        detail=detail,
    )
    changes.record([changes.Touched(cluster.name, "cluster", cluster.name)])
