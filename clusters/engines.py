"""Which adapter reaches a cluster: the one place that chooses, for every entry point."""

import os
import threading

from django.conf import settings

from access.vault import CannotUnseal, unseal
from clusters.adapters.docker_engine import DockerEngine
from clusters.adapters.docker_streams import DockerStreams
from clusters.models import Cluster
from clusters.ports import Connection, EngineUnreachable, TLSMaterial

# By process as well: a client must not be used across a fork, nor its files removed by a child.
_engines: dict[tuple[int, Connection], DockerEngine] = {}
_lock = threading.Lock()


def connection_of(cluster: Cluster) -> Connection:
    """How to reach the cluster. Raises EngineUnreachable when its key cannot be unsealed."""
    return Connection(
        tuple(cluster.addresses),
        _tls_of(cluster),
        settings.ENGINE_TIMEOUT,
        tuple(settings.ENGINE_REFUSED),
    )


def _tls_of(cluster: Cluster) -> TLSMaterial | None:
    if not cluster.tls_ca:
        return None
    try:
        key = unseal(bytes(cluster.tls_key_sealed))
    except CannotUnseal as error:
        raise EngineUnreachable(f"{cluster.name} cannot be reached: {error}") from error
    return TLSMaterial(cluster.tls_ca, cluster.tls_certificate, key)


def engine_for(cluster: Cluster) -> DockerEngine:
    """The process's one client of the cluster, made anew when its addresses or keys change.

    Makes no call. Safe to use from several threads; never close it.
    """
    key = (os.getpid(), connection_of(cluster))
    with _lock:
        if key not in _engines:
            _engines[key] = DockerEngine(key[1])
        return _engines[key]


def streams_for(cluster: Cluster) -> DockerStreams:
    """New streams for the running event loop; the caller closes them."""
    return DockerStreams(connection_of(cluster))
