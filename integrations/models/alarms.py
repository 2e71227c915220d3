"""Alarms: what has kept enforcement from seeing what is saved here for so long that people are told.

One row from when they were told until it is over, of a connection or of a vendor's host. `over_at` is set once and for all:
what begins again is another alarm. Whoever opens or closes a row announces it in the same transaction
(`integrations.alarms.watch`), so that each is told once however many workers there are.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models.connections import Connection


class Alarm(models.Model):
    """One alarm; see the module's docstring. `since` is when the trouble itself began."""

    class Cause(models.TextChoices):
        """What is wrong; the gravest first."""

        STOPPED = "stopped", _("stopped until a person acts")
        WORKERS = "workers", _("no worker is running")
        OUTAGE = "outage", _("the vendor does not answer")
        BACKLOG = "backlog", _("changes wait")

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="alarms"
    )
    vendor = models.CharField(max_length=20, null=True, blank=True)
    cause = models.CharField(max_length=10, choices=Cause.choices)
    since = models.DateTimeField()
    raised_at = models.DateTimeField()
    over_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(connection=None, vendor__isnull=False) | Q(connection__isnull=False, vendor=None),
                name="alarm_of_a_connection_or_a_vendor",
            ),
            models.CheckConstraint(
                condition=Q(over_at=None) | Q(over_at__gte=models.F("raised_at")),
                name="alarm_over_after_raised",
            ),
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(over_at=None, connection__isnull=False),
                name="one_open_alarm_per_connection",
            ),
            models.UniqueConstraint(
                fields=["vendor"],
                condition=Q(over_at=None, vendor__isnull=False),
                name="one_open_alarm_per_vendor",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} of {self.connection or self.vendor}"
