"""Which source a cluster has, and which adapter asks it: the one place that chooses."""

import os
import threading
from collections.abc import Hashable
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from access.vault import CannotUnseal, unseal
from clusters.models import Cluster
from metrics.adapters.prometheus import Prometheus
from metrics.models import Source
from metrics.ports import Access, Metrics, MetricsAway
from metrics.starting import give_starting_panels

# By process as well: sockets must not be used across a fork.
_clients: dict[int, tuple[tuple[int, Access], Prometheus]] = {}
_lock = threading.Lock()


def source_of(cluster: Cluster) -> Source | None:
    """The cluster's source; PROMETHEUS_URL is the local cluster's, unless it was given another."""
    found = Source.objects.filter(cluster=cluster).first()
    if not cluster.found_locally or (found and not found.from_environment):
        return found
    address: str = settings.PROMETHEUS_URL
    if found and found.address == address:
        return found
    if found:
        found.delete()
    if not address:
        return None
    made, created = Source.objects.get_or_create(
        cluster=cluster, defaults={"address": address, "from_environment": True}
    )
    if created:
        give_starting_panels(cluster)
    return made


def access_of(source: Source) -> Access:
    """How to reach it. Raises MetricsAway when its credentials cannot be read."""
    if source.from_environment:
        return _of_environment(source.address)
    try:
        token, password = _unsealed(source.token_sealed), _unsealed(source.password_sealed)
    except CannotUnseal as error:
        raise MetricsAway(f"{source.address} cannot be asked: {error}") from error
    return Access(
        address=source.address,
        token=token,
        username=source.username,
        password=password,
        ca=source.ca,
        timeout=settings.PROMETHEUS_TIMEOUT,
        refused=tuple(settings.ENGINE_REFUSED),
    )


def _unsealed(sealed: bytes | memoryview) -> str:
    return unseal(bytes(sealed)) if sealed else ""


def _of_environment(address: str) -> Access:
    file = settings.PROMETHEUS_CA_FILE
    try:
        ca = Path(file).read_text() if file else ""
    except OSError as error:
        raise MetricsAway(f"PROMETHEUS_CA_FILE cannot be read: {error}") from error
    return Access(
        address=address,
        token=settings.PROMETHEUS_TOKEN,
        username=settings.PROMETHEUS_USERNAME,
        password=settings.PROMETHEUS_PASSWORD,
        ca=ca,
        timeout=settings.PROMETHEUS_TIMEOUT,
        refused=tuple(settings.ENGINE_REFUSED),
    )


def metrics_for(source: Source) -> Metrics:
    """The process's one client of the source, made anew when it is reached otherwise.

    Makes no call. Raises MetricsAway when the source's credentials cannot be read.
    """
    key = (os.getpid(), access_of(source))
    with _lock:
        known = _clients.get(source.pk)
        if known is None or known[0] != key:
            try:
                known = (key, Prometheus(key[1]))
            except OSError as error:  # ssl's errors are such
                raise MetricsAway(f"The CA certificate cannot be used: {error}") from error
            _clients[source.pk] = known
        return known[1]


def cache_key(source: Source) -> Hashable:
    """For `metrics.cache`: another address or other credentials are another source."""
    return source.pk, source.address, source.changed_at


# --- Whether it answers --------------------------------------------------------------------------


def note_answer(source: Source) -> None:
    """It answered."""
    Source.objects.filter(~Q(unavailable_since=None), pk=source.pk).update(
        unavailable_since=None, unavailable_reason=""
    )


def note_silence(source: Source, reason: str) -> None:
    """It did not: since when stays what it was, why may be another reason now."""
    Source.objects.filter(pk=source.pk, unavailable_since=None).update(unavailable_since=Now())
    Source.objects.filter(pk=source.pk).exclude(unavailable_reason=reason).update(
        unavailable_reason=reason
    )
