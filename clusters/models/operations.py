"""What was asked of a cluster, and what a second person says to it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from access.models import ApiToken
from access.policy import Scope
from clusters.models.clusters import Cluster
from clusters.models.objects import MODELS
from clusters.ports import Noun


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
        SECRET_REMOVE = "secret-remove", "Remove"
        CONFIG_REMOVE = "config-remove", "Remove"
        SECRET_PUT_BACK = "secret-put-back", "Put back"
        SECRET_FORGET = "secret-forget", "Delete kept value"

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
    def about(self) -> Noun | None:
        """The secret or config that it is about, if it is about one."""
        found: Noun | None = next((n for n in MODELS if self.kind.startswith(f"{n}-")), None)
        return found

    @property
    def disposes(self) -> Noun | None:
        """What it removes, puts back or forgets, if it does one of these."""
        return None if self.rotates else self.about

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
