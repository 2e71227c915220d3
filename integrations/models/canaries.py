"""Check plates: a company that agrees has a made-up plate sent regularly, to see that enforcement shows it and lets it go.

One `CanaryRun` sends the plate to each mapped zone of a connection; a `CanaryCheck` is what became of it in one zone. These
rows and nothing else stand for it: there is no permit and no push, so that no list, count or bill has a check plate in it
(see `integrations.reconciliation.canary`).
"""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from integrations.models.connections import Connection
from integrations.models.zones import Zone


class CanaryRun(models.Model):
    """One round over the zones of a connection; whoever moves `next_at` forward works on it until then."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="canary_runs")
    number = models.PositiveIntegerField()
    began_at = models.DateTimeField(db_index=True)
    next_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Also what makes two workers that begin at the same moment begin one run.
            models.UniqueConstraint(fields=["connection", "number"], name="canary_run_number"),
            models.UniqueConstraint(
                fields=["connection"], condition=Q(finished_at=None), name="one_canary_run_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["next_at"], name="canary_run_open", condition=Q(finished_at=None))]

    def __str__(self) -> str:
        return f"check {self.number} of {self.connection}"


class CanaryCheck(models.Model):
    """What became of the check plate in one zone. Each time is that of an answer in which it was so."""

    class Failure(models.TextChoices):
        """Where it went wrong first."""

        UNREACHABLE = "unreachable", _("not reachable")
        REFUSED = "refused", _("refused")
        NOT_SHOWN = "not_shown", _("not shown")
        NOT_ENDED = "not_ended", _("could not be ended")
        STILL_SHOWN = "still_shown", _("still shown after it was ended")

    run = models.ForeignKey(CanaryRun, on_delete=models.CASCADE, related_name="checks")
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="canary_checks")
    session_id = models.CharField(max_length=64, unique=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=12, choices=Failure.choices, blank=True, default="")
    sentence = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "zone"], name="one_canary_check_per_zone"),
            models.CheckConstraint(
                condition=Q(seen_at=None) | Q(accepted_at__isnull=False), name="canary_seen_was_accepted"
            ),
            models.CheckConstraint(
                condition=Q(seen_at=None) | Q(seen_at__gte=F("accepted_at")),
                name="canary_seen_after_accepted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run} in {self.zone}"
