"""Pushes counted by the hour, so that charts over thirty days read a few hundred rows instead of a million."""

from django.db import models
from django.db.models import Q

from integrations.models.connections import Connection


class PushHour(models.Model):
    """One connection's pushes in one hour, counted; without a connection, those of all connections together.

    `latencies` counts the accepted events by the time from `due_since` to the vendor's answer: one number for each of
    `integrations.dashboard.hourly_stats.BOUNDS_MS`, and one for those that took longer.
    """

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="hours"
    )
    hour = models.DateTimeField()
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    latencies = models.JSONField(default=list)

    class Meta:
        ordering = ["hour"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "hour"],
                condition=Q(connection__isnull=False),
                name="one_push_hour_per_connection",
            ),
            models.UniqueConstraint(
                fields=["hour"], condition=Q(connection=None), name="one_push_hour_of_all"
            ),
        ]
        indexes = [models.Index(fields=["hour"], name="push_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.accepted} accepted, {self.refused} refused"
