"""The log of numbered changes, from which a viewer that was away resumes."""

from django.db import models


class Counter(models.Model):
    """One row: the number of the last change. Its row lock makes numbers follow commit order."""

    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"change {self.last}"


class Change(models.Model):
    """That an object changed: what, not how. Readers look the object up; it may be gone.

    `noun` is the kind ("service", "slot", "node", "network", "cluster", "operation"), `key` the
    object's own id, `parent` the id of what it belongs to (a slot's service), "" if nothing.
    "slots" is all of a service's at once: its spec is another, so they are all of an old one.
    A `noun` of "reset" says that more changed than is worth numbering: read all of `cluster`.
    """

    sequence = models.BigIntegerField(primary_key=True)
    cluster = models.CharField(max_length=64)
    noun = models.CharField(max_length=16)
    key = models.CharField(max_length=64)
    parent = models.CharField(max_length=64, blank=True)
    stack = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("sequence",)

    def __str__(self) -> str:
        return f"{self.sequence} {self.noun} {self.key}"
