"""People, grants, tokens, sign-in links, and the audit trail."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Now

from access.policy import Role, Scope


class User(AbstractUser):
    """A person or a program that signs in. What they may do stands in their grants alone."""


class Grant(models.Model):
    """A person × a role × a scope. An empty cluster or stack means every one."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=32, choices=[(r.value, r.value) for r in Role])
    cluster = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("user", "role", "cluster", "stack"), name="grant_once")
        ]

    def __str__(self) -> str:
        where = "/".join(filter(None, (self.cluster, self.stack))) or "everything"
        return f"{self.user} is {self.role} on {where}"

    @property
    def scope(self) -> Scope:
        return Scope(self.cluster, self.stack)


class ApiToken(models.Model):
    """A bearer token of the API. Only its SHA-256 is kept; the token itself is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class SignInLink(models.Model):
    """A one-time link that signs its user in once, until it expires. Only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"


class AuditEntry(models.Model):
    """Who did what to what, from where, and how it went. Rows are only ever added.

    An operation has two: its `intent`, in the transaction that requests it, and its `result`.
    """

    class Phase(models.TextChoices):
        INTENT = "intent"
        RESULT = "result"
        REFUSED = "refused"
        EVENT = "event"  # what has no operation: a sign-in, a registered cluster

    at = models.DateTimeField(db_default=Now())
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

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor_name} {self.action} {self.target} {self.phase}"
