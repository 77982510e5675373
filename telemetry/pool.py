"""The process's pool of database connections, as it is at the moment of the look."""

from collections.abc import Iterator
from typing import Any

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from telemetry.series import PROCESS


class PoolCollector(Collector):
    """Without a pool there is nothing to tell."""

    def collect(self) -> Iterator[Metric]:
        pool: Any = getattr(connection, "pool", None)
        if pool is None:
            return
        told = pool.get_stats()
        connections = GaugeMetricFamily(
            "pilothouse_database_pool_connections",
            "Connections of the pool: idle or in use.",
            labels=["state"],
        )
        idle = told.get("pool_available", 0)
        connections.add_metric(["idle"], idle)
        connections.add_metric(["used"], told.get("pool_size", 0) - idle)
        yield connections
        yield GaugeMetricFamily(
            "pilothouse_database_pool_largest",
            "Connections that the pool may have.",
            told.get("pool_max", 0),
        )
        yield GaugeMetricFamily(
            "pilothouse_database_pool_waiting",
            "Threads that wait for a connection.",
            told.get("requests_waiting", 0),
        )
        yield CounterMetricFamily(
            "pilothouse_database_pool_wait_seconds",
            "Seconds that threads have waited for a connection.",
            told.get("requests_wait_ms", 0) / 1000,
        )
        yield CounterMetricFamily(
            "pilothouse_database_pool_errors",
            "Connections that were asked for and not had, in time or at all.",
            told.get("requests_errors", 0),
        )


PROCESS.register(PoolCollector())
