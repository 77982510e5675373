"""The inventory's rows, the revisions, and the operations. One row's rules stand on its class."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from access.models import ApiToken
from access.policy import Action, Scope
from clusters import specs
from clusters.events import Event  # noqa: F401  # Django looks for models here
from clusters.ports import Noun


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


class Operation(models.Model):
    """Something asked of a cluster, from the request to its true result.

    pending → running → succeeded | failed | rolled_back; both first ones → cancelling → cancelled;
    running → interrupted when nothing can be known (the table: `clusters.states`). In a protected
    scope it is `awaiting` a second person first. A pending row is also the outbox: the broker's
    message is a wake-up, and the sweep repeats it.
    """

    class Kind(models.TextChoices):
        SCALE = "scale"
        UPDATE = "update"
        ROLLBACK = "rollback"
        RESTART = "restart"
        RESUME = "resume"
        SWARM_INIT = "swarm-init"
        SECRET_ROTATE = "secret-rotate", "Rotate"
        CONFIG_ROTATE = "config-rotate", "Rotate"

    class State(models.TextChoices):
        AWAITING = "awaiting", "Awaiting approval"
        PENDING = "pending"
        RUNNING = "running"
        CANCELLING = "cancelling"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        ROLLED_BACK = "rolled_back"
        CANCELLED = "cancelled"
        INTERRUPTED = "interrupted"

    class Cancel(models.TextChoices):
        STOP = "stop"  # leave the tasks as they are now
        BACK = "back"  # return to the spec before the operation

    ACTIVE = (State.PENDING, State.RUNNING, State.CANCELLING)  # one per target
    OPEN = (State.AWAITING, *ACTIVE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="operations")
    target_id = models.CharField(max_length=64)  # the service's engine id, or secret:<its id>
    target = models.CharField(max_length=255)  # its name, for people
    # The services that it changes besides: nothing else may begin on them while it is under way.
    holds = models.JSONField(default=list)
    plan = models.JSONField(default=dict)  # how far a rotation is: see operations.rotating
    stack = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    change = models.JSONField(default=dict)  # what was asked, in the API's words
    before = models.JSONField(default=dict)  # the raw spec that the requester saw
    after = models.JSONField(default=dict)  # the raw spec that is to be
    base_version = models.BigIntegerField(default=0)
    sent_version = models.BigIntegerField(null=True)  # read just before sending: set = maybe sent
    accepted_version = models.BigIntegerField(null=True)  # set = Docker has it

    steps = models.JSONField(default=list)  # [{"name", "state", "at", "message"}]
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    unit = models.CharField(max_length=16, default="tasks")
    estimate_at = models.DateTimeField(null=True)  # when it will be done, if it goes on like this
    error = models.TextField(blank=True)
    result = models.TextField(blank=True)  # one sentence for people
    clash = models.JSONField(null=True)  # {"theirs", "yours"}: the differences of a conflict

    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    requested_via = models.CharField(max_length=16)
    requested_from = models.CharField(max_length=45, blank=True)
    api_token = (
        models.ForeignKey(  # that it was asked for with: it must still suffice when it begins
            ApiToken, on_delete=models.PROTECT, null=True, related_name="+"
        )
    )
    # Null where there is none: an empty string would not be unique.
    idempotency_key = models.CharField(max_length=128, null=True)  # noqa: DJ001
    cancel = models.CharField(max_length=8, choices=Cancel.choices, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(db_default=Now())  # from when on a worker may take it up
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # The lease of the worker that carries it on, and its fencing token.
    holder = models.CharField(max_length=128, blank=True)
    token = models.BigIntegerField(default=0)
    held_until = models.DateTimeField(null=True)
    next_step_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("cluster", "target_id"),
                condition=Q(state__in=("pending", "running", "cancelling")),
                name="one_active_operation_per_target",
            ),
            models.UniqueConstraint(
                fields=("requested_by", "idempotency_key"), name="idempotency_key_once"
            ),
        ]
        indexes = [
            models.Index(fields=("state", "next_step_at")),
            models.Index(fields=("cluster", "target_id")),
            models.Index(fields=("finished_at",)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster.name, self.stack)

    @property
    def rotates(self) -> Noun | None:
        """What it rotates, if it is a rotation."""
        nouns: dict[str, Noun] = {
            self.Kind.SECRET_ROTATE: "secret",
            self.Kind.CONFIG_ROTATE: "config",
        }
        return nouns.get(self.kind)

    @property
    def active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def awaiting(self) -> bool:
        return self.state == self.State.AWAITING

    @property
    def seconds(self) -> float | None:
        """How long it has run, or ran; None before its start."""
        if not self.started_at:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class Approval(models.Model):
    """What a second person is asked to approve: this spec, on top of that one, and nothing else."""

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="approval")
    version = models.BigIntegerField()  # the service's, when it was asked for
    before_hash = models.CharField(max_length=64)
    after_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    # Null while nobody has decided.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    approved = models.BooleanField(default=False)
    note = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"approval of {self.operation_id}"
