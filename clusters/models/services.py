"""Services, their tasks, and the specs that they have had."""

from django.db import models
from django.db.models.functions import Now

from access.policy import Scope
from clusters.models.clusters import Cluster


class Service(models.Model):
    """A service as the watcher last saw it; `spec` is the Engine's own, untouched."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="services")
    engine_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    stack = models.CharField(max_length=64, blank=True)
    image = models.CharField(max_length=512)
    mode = models.CharField(max_length=16)  # replicated, global, replicated-job, global-job
    desired = models.IntegerField(default=0)
    running = models.IntegerField(default=0)
    health = models.CharField(max_length=16, default="unknown")  # see clusters.specs.Health
    update_state = models.CharField(max_length=32, blank=True)
    update_message = models.TextField(blank=True)
    update_started_at = models.DateTimeField(null=True)
    update_finished_at = models.DateTimeField(null=True)
    version = models.BigIntegerField()
    spec = models.JSONField()
    previous_spec = models.JSONField(null=True)
    endpoint = models.JSONField(default=dict)
    template_hash = models.CharField(
        max_length=64
    )  # of the task template: tells old tasks from new
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)
    placement = models.CharField(max_length=255, blank=True)  # constraints in short
    # See clusters.inventory.trouble: since when it is unwell, or has got over it if `well_since`.
    unwell_since = models.DateTimeField(null=True)
    well_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("cluster", "engine_id"), name="service_once")
        ]
        indexes = [
            models.Index(fields=("cluster", "name")),
            models.Index(fields=("cluster", "stack")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster.name, self.stack)


class SwarmTask(models.Model):
    """One task: a container to be, running, or gone. (Celery's tasks are another thing.)"""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="tasks")
    engine_id = models.CharField(max_length=64)
    service_engine_id = models.CharField(max_length=64)
    slot = models.IntegerField(default=0)  # 0 for global services, whose slot is the node
    node_engine_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16)
    desired_state = models.CharField(max_length=16)
    message = models.TextField(blank=True)
    error = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)
    image = models.CharField(max_length=512, blank=True)
    container_id = models.CharField(max_length=64, blank=True)
    template_hash = models.CharField(max_length=64)
    version = models.BigIntegerField()
    created_at = models.DateTimeField()
    state_at = models.DateTimeField()

    class Meta:
        ordering = ("slot", "-created_at")
        constraints = [models.UniqueConstraint(fields=("cluster", "engine_id"), name="task_once")]
        indexes = [
            models.Index(fields=("cluster", "service_engine_id")),
            models.Index(fields=("cluster", "node_engine_id")),
        ]

    def __str__(self) -> str:
        return self.engine_id


class Revision(models.Model):
    """A spec that a service has had. Rollback goes to one of these, not to Swarm's PreviousSpec."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="revisions")
    service_engine_id = models.CharField(max_length=64)
    number = models.IntegerField()  # 1, 2, 3 … per service
    version = models.BigIntegerField()  # the service's version when the spec was first seen
    spec = models.JSONField()
    spec_hash = models.CharField(max_length=64)
    operation = models.ForeignKey("Operation", on_delete=models.SET_NULL, null=True)  # that made it
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-number",)
        constraints = [
            models.UniqueConstraint(
                fields=("cluster", "service_engine_id", "number"), name="revision_once"
            )
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"
