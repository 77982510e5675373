"""Where a cluster's metrics come from, and what was asked there."""

from django.conf import settings
from django.db import models

from access.policy import Scope
from clusters.models import Cluster
from metrics.mapping import Mapping


class Source(models.Model):
    """The Prometheus of a cluster, reached at `address`; credentials are sealed by access.vault."""

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, related_name="metrics_source")
    address = models.CharField(max_length=500)
    username = models.CharField(max_length=255, blank=True)
    token_sealed = models.BinaryField(blank=True, default=b"")
    password_sealed = models.BinaryField(blank=True, default=b"")
    ca = models.TextField(blank=True)  # PEM
    # Of PROMETHEUS_URL: its credentials are in the environment, too, and it goes with it.
    from_environment = models.BooleanField(default=False)
    changed_at = models.DateTimeField(auto_now=True)

    # What was found there, and what somebody set by hand instead: see metrics.mapping.
    detected = models.JSONField(default=dict)
    detected_at = models.DateTimeField(null=True)
    scrape_interval = models.IntegerField(default=0)  # seconds; 0: not known
    chosen = models.JSONField(default=dict)

    # Null while it answers.
    unavailable_since = models.DateTimeField(null=True)
    unavailable_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.address

    @property
    def scope(self) -> Scope:
        return self.cluster.scope

    @property
    def mapping(self) -> Mapping:
        return Mapping().changed(self.detected).changed(self.chosen)


MOST_QUERY = 4_000  # characters


class Unit(models.TextChoices):
    """What the figures of a query are."""

    NONE = "none", "none"
    PERCENT = "percent", "%"
    BYTES = "bytes", "bytes"
    SECONDS = "seconds", "seconds"
    PER_SECOND = "per-second", "per second"


class AskedQuery(models.Model):
    """A query that somebody asked, for that person to find again: the newest of each text."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="+")
    query = models.TextField(max_length=MOST_QUERY)
    digest = models.CharField(max_length=64)  # SHA-256: the text is too long for an index
    range = models.CharField(max_length=32)  # as windows.is_range takes it, or "instant"
    asked_at = models.DateTimeField()

    class Meta:
        ordering = ("-asked_at", "-pk")
        constraints = [
            models.UniqueConstraint(fields=("user", "cluster", "digest"), name="query_once")
        ]

    def __str__(self) -> str:
        return self.query
