"""Where a cluster's metrics come from, what was asked there, and the panels that were saved."""

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


class SavedPanel(models.Model):
    """A chart that somebody saved: of a stack, or of the whole cluster ("").

    What is removed stays for a while, so that it can be put back.
    """

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="saved_panels")
    stack = models.CharField(max_length=64, blank=True)
    title = models.CharField(max_length=120)
    query = models.TextField(max_length=MOST_QUERY)
    unit = models.CharField(max_length=16, choices=Unit.choices, default=Unit.NONE)
    # Lines to compare with, in the panel's unit.
    warning = models.FloatField(null=True, blank=True)
    critical = models.FloatField(null=True, blank=True)
    position = models.IntegerField(default=0)  # within its stack's
    given = models.CharField(max_length=32, blank=True)  # which of metrics.starting it was made of
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    changed_at = models.DateTimeField(auto_now=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("position", "pk")
        indexes = [models.Index(fields=("cluster", "stack", "position"))]
        constraints = [
            models.UniqueConstraint(
                fields=("cluster", "given"), condition=~models.Q(given=""), name="panel_given_once"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def scope(self) -> Scope:
        """Of those who see it; only who may query the whole cluster changes it."""
        return Scope(self.cluster.name, self.stack)
