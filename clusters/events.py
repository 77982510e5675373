"""What has happened in a cluster, kept after the engine has forgotten it."""

from django.db import models
from django.db.models.functions import Now


class Event(models.Model):
    """A transition as the watcher saw it, or an event as the engine told it. Never changed, but for
    one that happens again and again: see `clusters.inventory.events`.

    `before` and `after` are states in the words of its kind: a service's health, "created" and
    "removed"; a node's state or availability; the leaders' host names; the cluster's state; for an
    event of the engine its action.
    """

    class Kind(models.TextChoices):
        CLUSTER = "cluster", "Cluster"
        LEADER = "leader", "Leader"
        NODE = "node", "Nodes"
        SERVICE = "service", "Services"
        ENGINE = "engine", "Engine"

    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    key = models.CharField(max_length=64)  # the engine id of what it happened to
    name = models.CharField(max_length=255)
    stack = models.CharField(max_length=64, blank=True)
    before = models.CharField(max_length=64, blank=True)
    after = models.CharField(max_length=64)
    message = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())  # the last time, if it happened again
    count = models.IntegerField(default=1)  # how often, from `at` to `last_at`

    class Meta:
        ordering = ("-last_at", "-pk")
        indexes = [
            models.Index(fields=("cluster", "-last_at")),
            models.Index(fields=("cluster", "key", "-last_at")),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.before} → {self.after}"
