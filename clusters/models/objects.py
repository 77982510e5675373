"""Secrets and configs, and the sealed values that are kept."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from access.policy import Action, Scope
from clusters import specs
from clusters.models.clusters import Cluster
from clusters.ports import Noun


class SecretOrConfig(models.Model):
    """What secrets and configs have in common: neither is ever changed, only replaced."""

    noun: Noun
    VIEW: Action
    WRITE: Action
    REMOVE: Action
    engine_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    stack = models.CharField(max_length=64, blank=True)
    labels = models.JSONField(default=dict)
    templating = models.CharField(max_length=64, blank=True)  # golang: filled in for each task
    version = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster.name, self.stack)  # type: ignore[attr-defined]

    @property
    def family(self) -> str:
        return specs.family_of(self.name, self.labels)[0]

    @property
    def number(self) -> int:
        """Which version of its family it is."""
        return specs.family_of(self.name, self.labels)[1]


class Secret(SecretOrConfig):
    """A secret as the watcher last saw it. Its value is known to nobody but its containers."""

    noun: Noun = "secret"
    VIEW, WRITE, REMOVE = Action.SECRET_VIEW, Action.SECRET_WRITE, Action.SECRET_REMOVE
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="secrets")
    driver = models.CharField(max_length=255, blank=True)  # that holds the value, if not the Swarm

    class Meta(SecretOrConfig.Meta):
        constraints = [models.UniqueConstraint(fields=("cluster", "engine_id"), name="secret_once")]


class Config(SecretOrConfig):
    """A config with its data, which whoever may see configs can read."""

    noun: Noun = "config"
    VIEW, WRITE, REMOVE = Action.CONFIG_VIEW, Action.CONFIG_WRITE, Action.CONFIG_REMOVE
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="configs")
    data = models.BinaryField(default=b"")

    class Meta(SecretOrConfig.Meta):
        constraints = [models.UniqueConstraint(fields=("cluster", "engine_id"), name="config_once")]


MODELS: dict[Noun, type[Secret] | type[Config]] = {"secret": Secret, "config": Config}


class KeptSecret(models.Model):
    """The sealed value of a secret that somebody asked to keep, so that it can be put back."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="kept_secrets")
    name = models.CharField(max_length=255)
    stack = models.CharField(max_length=64, blank=True)
    labels = models.JSONField(default=dict)
    sealed = models.BinaryField()  # by access.vault, whose key is not in the database
    kept_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    kept_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("cluster", "name"), name="kept_secret_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster.name, self.stack)
