"""The clusters, and who watches each."""

from django.db import models

from access.policy import Scope


class Cluster(models.Model):
    """A Swarm, reached through its managers' addresses."""

    class State(models.TextChoices):
        UNKNOWN = "unknown"  # the watcher has not looked yet
        READY = "ready"
        NOT_A_SWARM = "not-a-swarm"  # an engine answers, outside Swarm mode
        NO_LEADER = "no-leader"
        UNREACHABLE = "unreachable"
        UNSUPPORTED = "unsupported"

    name = models.SlugField(max_length=64, unique=True)
    addresses = models.JSONField(default=list)  # ["unix:///…", "tcp://…", "ssh://…"]
    tls_ca = models.TextField(blank=True)
    tls_certificate = models.TextField(blank=True)
    tls_key_sealed = models.BinaryField(blank=True, default=b"")
    simulated = models.BooleanField(default=False)
    found_locally = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    # What the watcher last saw.
    state = models.CharField(max_length=16, choices=State.choices, default=State.UNKNOWN)
    state_message = models.TextField(blank=True)
    swarm_id = models.CharField(max_length=64, blank=True)
    engine_version = models.CharField(max_length=32, blank=True)
    api_version = models.CharField(max_length=8, blank=True)
    managers = models.JSONField(default=list)  # [{"address", "error"}]: who answered, who did not
    seen_at = models.DateTimeField(null=True)  # the last time that the picture was known to be true

    # The watcher's lease: whoever holds it writes the inventory, and proves it by the token.
    watcher = models.CharField(max_length=128, blank=True)
    watcher_token = models.BigIntegerField(default=0)
    watcher_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        return Scope(self.name)
