"""The last report of each process."""

from django.db import models
from django.db.models.functions import Now


class ProcessReport(models.Model):
    """What one process had counted when it last wrote. Nothing but /metrics reads it."""

    process = models.CharField(max_length=160, unique=True)  # role@host:pid
    role = models.CharField(max_length=16)  # web, watcher, worker, beat
    families = models.JSONField()  # see telemetry.families
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.process
