"""What keeps the product running without a process that everything hangs on.

Each worker runs the scheduler; a `Chore` row is the baton: whoever moves `next_at` forward does the work this time.
`WorkerBeat` says which workers are alive, for the doctor and for the readiness of a deployment.
"""

from django.db import models


class Chore(models.Model):
    """One periodic duty and when it is next due."""

    name = models.CharField(max_length=80, primary_key=True)
    next_at = models.DateTimeField()
    last_began_at = models.DateTimeField(null=True, blank=True)
    last_ended_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    cursor = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class WorkerBeat(models.Model):
    """One worker process and when it was last alive."""

    name = models.CharField(max_length=120, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name
