"""What a cluster runs on: its nodes and its networks."""

from django.db import models

from clusters.models.clusters import Cluster


class Node(models.Model):
    """A machine of the Swarm."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="nodes")
    engine_id = models.CharField(max_length=64)
    hostname = models.CharField(max_length=255)
    role = models.CharField(max_length=16)  # manager, worker
    availability = models.CharField(max_length=16)  # active, pause, drain
    state = models.CharField(max_length=16)  # ready, down, disconnected, unknown
    message = models.TextField(blank=True)
    address = models.CharField(max_length=64, blank=True)
    leader = models.BooleanField(default=False)
    reachability = models.CharField(max_length=16, blank=True)  # of a manager
    engine_version = models.CharField(max_length=32, blank=True)
    platform = models.CharField(max_length=64, blank=True)  # linux/x86_64
    cpus = models.FloatField(default=0)
    memory = models.BigIntegerField(default=0)  # bytes
    labels = models.JSONField(default=dict)
    version = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("hostname", "engine_id")
        constraints = [models.UniqueConstraint(fields=("cluster", "engine_id"), name="node_once")]

    def __str__(self) -> str:
        return self.hostname


class Network(models.Model):
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="networks")
    engine_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    stack = models.CharField(max_length=64, blank=True)
    driver = models.CharField(max_length=64)
    scope = models.CharField(max_length=16)  # swarm, local
    attachable = models.BooleanField(default=False)
    encrypted = models.BooleanField(default=False)
    ingress = models.BooleanField(default=False)
    subnets = models.JSONField(default=list)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("cluster", "engine_id"), name="network_once")
        ]

    def __str__(self) -> str:
        return self.name
