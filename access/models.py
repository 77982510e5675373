"""People, grants, tokens, sign-in links, and the audit trail."""

from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models.functions import Now

from access.policy import Role, Scope


class User(AbstractUser):
    """A person or a program that signs in. What they may do stands in grants alone: their own, and
    those of their groups."""

    token: "ApiToken | None" = None  # that the user came with: it narrows what they may do


class Grant(models.Model):
    """Somebody × a role × a scope. An empty cluster or stack means every one."""

    MOST_REPLICAS = 10  # how far on-call may scale a service, unless their grant says otherwise

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="grants")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True, related_name="grants")
    role = models.CharField(max_length=32, choices=[(r.value, r.value) for r in Role])
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    most_replicas = models.PositiveIntegerField(null=True)  # a bound for scaling; None: any number
    expires_at = models.DateTimeField(null=True)
    break_glass = models.OneToOneField("BreakGlass", on_delete=models.CASCADE, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("user", "group", "role", "cluster", "stack"),
                condition=models.Q(break_glass=None),
                nulls_distinct=False,
                name="grant_once",
            ),
            models.CheckConstraint(
                condition=models.Q(user=None) ^ models.Q(group=None), name="grant_of_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.group} is {self.role} on {self.scope}"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class BreakGlass(models.Model):
    """Rights that somebody took in an emergency, for an hour, and what a reviewer says of it."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    reason = models.TextField()
    started_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # given back, or run out once that was noted
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    review = models.TextField(blank=True)

    class Meta:
        ordering = ("-started_at",)
        indexes = [  # what every page asks for: what still runs, or waits for its review
            models.Index(
                fields=("until",),
                condition=models.Q(reviewed_at=None),
                name="break_glass_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} broke the glass on {self.scope}"

    @property
    def given_back(self) -> bool:
        """Whether it ended before its time."""
        return self.ended_at is not None and self.ended_at < self.until

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class Protection(models.Model):
    """A scope in which a change needs a second person."""

    cluster = models.CharField(max_length=64)
    stack = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("cluster", "stack")
        constraints = [models.UniqueConstraint(fields=("cluster", "stack"), name="protected_once")]

    def __str__(self) -> str:
        return f"{self.scope} is protected"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class Unprotected(models.Model):
    """That somebody took a protection away: every administrator of the scope is told."""

    cluster = models.CharField(max_length=64)
    stack = models.CharField(max_length=64, blank=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.scope} is no longer protected"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class ApiToken(models.Model):
    """A bearer token of the API. Only its SHA-256 is kept; the token itself is shown once.

    It can do what its owner can, inside its own role and scope; nothing that asks for a proof.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=32, blank=True)  # empty: whatever its owner may
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class SignInLink(models.Model):
    """A one-time link that signs its user in once, until it expires. Only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"


class AuditChain(models.Model):
    """The head of one chain of audit entries: of a cluster, or of the panel itself (no cluster).

    Its row lock puts the chain's entries in the order of their commits.
    """

    cluster = models.CharField(max_length=64, primary_key=True)
    sequence = models.BigIntegerField(default=0)  # of the newest entry
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.cluster or 'panel'} {self.sequence} {self.hash}"


class AuditEntry(models.Model):
    """Who did what to what, from where, and how it went. The database only lets rows be added.

    An operation has two: its `intent`, in the transaction that requests it, and its `result`. Each
    entry's hash covers its fields and the hash before it in its cluster's chain: see access.audit.
    """

    class Phase(models.TextChoices):
        INTENT = "intent"
        RESULT = "result"
        REFUSED = "refused"
        EVENT = "event"  # what has no operation: a sign-in, a registered cluster

    at = models.DateTimeField()
    sequence = models.BigIntegerField()  # in its cluster's chain: 1, 2, 3 … without a gap
    hash = models.CharField(max_length=64)
    phase = models.CharField(max_length=8, choices=Phase.choices)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True)
    actor_name = models.CharField(max_length=150)
    via = models.CharField(max_length=16)  # browser, api, schedule, command
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=32)
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    target = models.CharField(max_length=255, blank=True)
    operation = models.UUIDField(null=True, db_index=True)
    outcome = models.CharField(max_length=16, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=("cluster", "sequence"), name="audit_sequence_once")
        ]
        # A page of the trail is found by time within one of these; names by how they begin.
        indexes = [
            models.Index(fields=("at", "id"), name="audit_by_time"),
            models.Index(fields=("cluster", "at", "id"), name="audit_by_cluster"),
            models.Index(fields=("action", "at"), name="audit_by_action"),
            models.Index(fields=("phase", "at"), name="audit_by_phase"),
            models.Index(
                fields=("actor_name", "at"), name="audit_by_actor",
                opclasses=("varchar_pattern_ops", "timestamptz_ops"),
            ),
            models.Index(
                fields=("target", "at"), name="audit_by_target",
                opclasses=("varchar_pattern_ops", "timestamptz_ops"),
            ),
            # So that nothing is found without looking at everything.
            models.Index(
                fields=("stack", "at"), condition=~models.Q(stack=""), name="audit_by_stack"
            ),
            models.Index(
                fields=("outcome", "at"), condition=~models.Q(outcome=""), name="audit_by_outcome"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor_name} {self.action} {self.target} {self.phase}"


class AuditProof(models.Model):
    """One look through all chains: asked for by somebody or due by itself, carried out by a worker.

    `chains`: of each chain its name, how many entries it has, its newest hash, and what is broken.
    """

    asked_at = models.DateTimeField(db_default=Now())
    asked_by = models.CharField(max_length=150, blank=True)  # nobody: it was due
    held_until = models.DateTimeField(null=True)  # while a worker goes through the chains
    done = models.BigIntegerField(default=0)  # entries
    total = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    chains = models.JSONField(default=list)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"proof {self.pk} of {self.asked_at:%F %T}"

    @property
    def breaks(self) -> list[dict[str, object]]:
        return [chain for chain in self.chains if chain["broken"]]


class Noted(models.Model):
    """What stands in the trail and happens again and again: it is counted until `until`.

    Then one more entry says how often it did. So neither a crawler nor a page that asks
    every second fills the trail.
    """

    key = models.CharField(max_length=64, unique=True)  # of all that makes two of them the same
    actor = models.ForeignKey(User, on_delete=models.CASCADE, null=True)
    name = models.CharField(max_length=150, blank=True)  # that nobody known claims to have
    via = models.CharField(max_length=16)
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=32)
    phase = models.CharField(max_length=8, choices=AuditEntry.Phase.choices)
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    target = models.CharField(max_length=255, blank=True)
    outcome = models.CharField(max_length=16, blank=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    times = models.BigIntegerField(default=0)  # beyond the first, which has an entry

    class Meta:
        indexes = [models.Index(fields=("actor", "until")), models.Index(fields=("until",))]

    def __str__(self) -> str:
        return f"{self.who} {self.action} {self.target}, {self.times} times more"

    @property
    def who(self) -> User:
        return self.actor or User(username=self.name)


class TokenAddress(models.Model):
    """An address that a token was used from; a new one stands in the trail."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=45)
    first_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("token", "address"), name="token_address_once")
        ]

    def __str__(self) -> str:
        return f"{self.token} from {self.address}"
