"""What keeps the product running without a process that everything hangs on.

Each worker runs the scheduler; a `Chore` row is the baton: whoever moves `next_at` forward does the work this time.
`WorkerBeat` says which workers are alive, for the doctor and for the readiness of a deployment. A `CheckRun` is what a
person asked to be looked up with the vendor, which a worker does while the person's page waits.
"""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from integrations.models.connections import Connection
from integrations.models.onboarding import TestPlate
from locations.models import Company, Permit


class PeriodicTask(models.Model):
    """One periodic duty and when it is next due."""

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
    """One look-up that somebody asked for, and what it found; see `integrations.reconciliation.check_runs`.

    It waits while `leased_until` is None or over, is under way until then, and is done once there is `finished_at`. The
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
