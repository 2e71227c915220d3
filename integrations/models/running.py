"""What keeps the product running without a single process that everything depends on.

Each worker runs the scheduler; whichever moves a `PeriodicTask`'s `next_at` forward runs it this time. `WorkerHeartbeat` says
which workers are alive, for the diagnostics and for the readiness of a deployment. A `CheckRun` is a look-up with the vendor
that a person asked for, which a worker does while the person's page waits.
"""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from integrations.models.connections import Connection
from integrations.models.onboarding import TestPlate
from locations.models import Company, Permit


class PeriodicTask(models.Model):
    """A periodic task and when it is next due."""

    name = models.CharField(max_length=80, primary_key=True)
    next_at = models.DateTimeField()
    last_began_at = models.DateTimeField(null=True, blank=True)
    last_ended_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    cursor = models.BigIntegerField(default=0)

    class Meta:
        db_table = "integrations_chore"

    def __str__(self) -> str:
        return self.name


class WorkerHeartbeat(models.Model):
    """One worker process and when it was last alive."""

    name = models.CharField(max_length=120, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "integrations_workerbeat"

    def __str__(self) -> str:
        return self.name


class CheckRun(models.Model):
    """One look-up that a person asked for, and what it found; see `integrations.reconciliation.check_runs`.

    It waits while `leased_until` is None or past, runs until then, and is done once `finished_at` is set. The
    result may hold plates, so rows are kept for an hour.
    """

    class Kind(models.TextChoices):
        """What is looked up."""

        DIAGNOSTICS = "diagnostics"
        RIGHTS = "rights"

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    permit = models.ForeignKey(Permit, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    test = models.ForeignKey(TestPlate, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    symptom = models.CharField(max_length=20, blank=True, default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    requested_at = models.DateTimeField(db_index=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="rights") | Q(permit__isnull=False), name="check_of_rights_names_a_permit"
            ),
        ]
        indexes = [
            # The few that are open, among all of the last hour.
            models.Index(fields=["id"], name="check_open", condition=Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.company}"
