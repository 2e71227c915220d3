"""Zones as the vendor lists them, and which location is mapped to which.

A zone is identified by the vendor's id alone; its number is compared character by character. A zone that the vendor no
longer lists is marked `missing_since`, which is cleared if it is listed again; it is never deleted. A location is mapped
to at most one zone, so it sends its permits to at most one connection.
"""

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from integrations.models.connections import Connection
from locations.models import Location
from locations.models.permits import NeverDeleted
from locations.text import tidy


class ZoneQuerySet(models.QuerySet["Zone"]):
    """Queries on zones."""

    def listed(self) -> Self:
        """Those that the vendor still lists."""
        return self.filter(missing_since=None)

    def search(self, text: str) -> Self:
        """Those whose number or name contains `text`, ignoring case (for searching only; choosing is by id)."""
        text = tidy(text)
        return self.filter(Q(number__icontains=text) | Q(name__icontains=text)) if text else self


class Zone(models.Model):
    """One zone of a vendor's account."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="zones")
    remote_id = models.CharField(_("vendor's id"), max_length=64)
    number = models.CharField(_("number"), max_length=120)
    name = models.CharField(_("name"), max_length=250)
    session_type = models.CharField(max_length=20, blank=True, default="")
    raw = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)

    objects = ZoneQuerySet.as_manager()

    class Meta:
        ordering = ["number", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "remote_id"], name="zone_remote_id_unique_on_connection"
            ),
            models.CheckConstraint(condition=~Q(remote_id=""), name="zone_has_a_remote_id"),
        ]
        indexes = [models.Index(fields=["connection", "number", "id"], name="zone_dropdown")]

    def __str__(self) -> str:
        return f"{self.number} · {self.name}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: zones are marked as missing, never deleted."""
        raise NeverDeleted("Zones are never deleted; a refresh marks them as missing.")

    @property
    def needs_space(self) -> bool:
        """Whether a permit here needs a space number (documented for `session_type` = `space`)."""
        return self.session_type == "space"

    @property
    def spaces(self) -> list[str]:
        """The zone's space numbers, if the vendor lists them."""
        listed = self.raw.get("spaces") if isinstance(self.raw, dict) else None
        return [space for space in listed if isinstance(space, str)] if isinstance(listed, list) else []


class ZoneMapping(models.Model):
    """The zone under which a location's permits are sent."""

    location = models.OneToOneField(Location, on_delete=models.PROTECT, related_name="zone_mapping")
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="mappings")
    mapped_at = models.DateTimeField()
    mapped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    history = HistoricalRecords()

    def __str__(self) -> str:
        return f"{self.location} → {self.zone}"


class ZoneRefresh(models.Model):
    """One refresh of a connection's zones, and what it found.

    `found` = {"added": [...], "renamed": [...], "case_changed": [...], "changed": [...], "gone": [...], "back": [...]},
    each entry {"zone": id, "number": …, "name": …, "was": {…}?, "locations": [{"id", "name", "permits"}]?}.
    """

    class Outcome(models.TextChoices):
        """How it ended."""

        RUNNING = "running", _("running")
        DONE = "done", _("done")
        HELD = "held", _("waits for a decision")
        FAILED = "failed", _("failed")

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="refreshes")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.RUNNING)
    trigger = models.CharField(max_length=20, default="daily")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    zones_listed = models.PositiveIntegerField(default=0)
    found = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    remedy = models.TextField(blank=True, default="")
    # The held refresh whose changes support accepted with this one.
    releases = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name_plural = "zone refreshes"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["connection", "-id"], name="refresh_history"),
            # Support's list of refreshes that failed or are held: few among very many.
            models.Index(fields=["-id"], name="refresh_not_done", condition=~Q(outcome="done")),
        ]

    def __str__(self) -> str:
        return f"zones of {self.connection}: {self.outcome}"
