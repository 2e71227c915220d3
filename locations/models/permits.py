"""A permit: one plate at one location from one time until another.

Invariants, kept by the database: the window is half-open and not empty (`start < end`, UTC); the plate is normalised
(A–Z and 0–9, at most twelve); the subdivision belongs to the country, and is empty
where no state issued the plate; an external id is unique in its company; a
cancelled permit says when. Permits are never deleted, only ended: what enforcement saw must stay explainable.

`revision` counts the changes; each write through `locations.services` raises it by one. `is_test` marks the
registration of a test plate, which takes the same way as a real one but never appears among them.
"""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import connections, models
from django.db.models import F, Q
from django.db.models.functions import Collate, Upper
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from locations.models.companies import Company, Location
from locations.plates import MAX_PLATE_CHARS, normalise_plate
from locations.regions import Region
from locations.text import tidy

# Fewer signs stand in too many plates to be worth a look, and the index of parts holds three at a time (migration 0016).
_PART_CHARS = 3
# Sorts behind every text that begins the same.
_LAST_SIGN = "\U0010ffff"


class NeverDeleted(Exception):
    """Raised where code tries to delete what may only be ended."""


class PermitQuerySet(models.QuerySet["Permit"]):
    """Reads on permits. Times are aware datetimes."""

    def real(self) -> Self:
        """Leave out the permits of test plates."""
        return self.filter(is_test=False)

    def current(self, at: datetime) -> Self:
        """Those whose window holds `at` and that are not cancelled."""
        return self.filter(status=Permit.Status.ACTIVE, start__lte=at, end__gt=at)

    def coming(self, at: datetime) -> Self:
        """Those that begin after `at` and are not cancelled."""
        return self.filter(status=Permit.Status.ACTIVE, start__gt=at)

    def ended(self, at: datetime) -> Self:
        """Those that were cancelled or whose window is over at `at`."""
        return self.filter(Q(status=Permit.Status.CANCELLED) | Q(end__lte=at))

    def not_ended(self, at: datetime) -> Self:
        """Those that are current at `at` or begin later."""
        return self.filter(status=Permit.Status.ACTIVE, end__gt=at)

    def search_branches(self, text: str) -> list[Self]:
        """Those whose plate (however it is written) holds `text`, or whose unit or external id begins with it, as one set for
        each: plates that begin with it first.

        They are kept apart, and each is in the order of what was searched, so that each is a walk along one index that may
        stop anywhere; their union, plates first, is the result. An empty text narrows nothing.
        """
        text = tidy(text)
        if not text:
            return [self]
        branches = [self._beginning("unit", text), self._beginning("external_id", text)]
        if len(normalise_plate(text)) >= _PART_CHARS:
            branches.insert(0, self.plates_holding(text))
        if normalise_plate(text):
            branches.insert(0, self.plates_beginning(text))
        return branches

    def plates_beginning(self, text: str) -> Self:
        """Those whose plate begins with `text`, however either is written, in the order of plates; without signs, none."""
        plate = normalise_plate(text)
        if not plate:
            return self.none()
        if connections[self.db].vendor == "postgresql":
            # The column sorts by bytes there (migration 0004), so the beginning of a plate is a range.
            found = self.filter(plate__gte=plate, plate__lt=plate + _LAST_SIGN)
        else:
            found = self.filter(plate__startswith=plate)
        return found.order_by("plate", "pk")

    def plates_holding(self, text: str) -> Self:
        """Those with `text` inside or at the end of their plate, however either is written, in the order of plates."""
        plate = normalise_plate(text)
        return self.filter(plate__contains=plate).exclude(plate__startswith=plate).order_by("plate", "pk")

    def _beginning(self, column: str, text: str) -> Self:
        found = self.exclude(**{column: ""})
        if connections[self.db].vendor != "postgresql":
            return found.filter(**{f"{column}__istartswith": text}).order_by(Upper(column), "pk")
        key = Collate(Upper(column), "C")
        # The database's own upper case on both sides: it need not be Python's.
        first, beyond = (Upper(models.Value(bound)) for bound in (text, text + _LAST_SIGN))
        return found.alias(key=key).filter(key__gte=first, key__lt=beyond).order_by("key", "pk")

    def of_region(self, region: Region) -> Self:
        """Those whose plate comes from this state, or from this country without one."""
        if region.subdivision:
            return self.filter(subdivision=region.subdivision)
        return self.filter(subdivision="", country=region.country)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse: see `NeverDeleted`."""
        raise NeverDeleted("Permits are never deleted; cancel them with locations.services.")


class Permit(models.Model):
    """One permit; see the module's docstring for its invariants."""

    class Status(models.TextChoices):
        """Whether somebody has ended the permit; a window that is over needs no status."""

        ACTIVE = "active", _("active")
        CANCELLED = "cancelled", _("cancelled")

    class Source(models.TextChoices):
        """Where a permit came from."""

        DASHBOARD = "dashboard", _("dashboard")
        ADMIN = "admin", _("admin")
        COMMAND = "command", _("command line")
        IMPORT = "import", _("import")
        API = "api", _("API")
        SHELL = "shell", _("script")
        TEST = "test", _("test plate")

    # The indexes of these two begin the composite ones below.
    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="permits", db_index=False)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="permits", db_index=False)
    plate_typed = models.CharField(_("plate as typed"), max_length=40)
    plate = models.CharField(_("plate"), max_length=MAX_PLATE_CHARS)
    country = models.CharField(_("country"), max_length=2, default="US")
    subdivision = models.CharField(_("state or province"), max_length=6, blank=True, default="")
    start = models.DateTimeField(_("from"))
    end = models.DateTimeField(_("until"))
    space_number = models.CharField(_("space number"), max_length=20, blank=True, default="")
    type = models.CharField(_("type"), max_length=60, blank=True, default="")
    unit = models.CharField(_("unit"), max_length=60, blank=True, default="")
    external_id = models.CharField(_("your reference"), max_length=80, blank=True, default="")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.SHELL)
    is_test = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    updated_at = models.DateTimeField()
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cancelled_at = models.DateTimeField(null=True, blank=True)

    history = HistoricalRecords()
    objects = PermitQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(start__lt=F("end")), name="permit_window_is_not_empty"),
            models.CheckConstraint(
                condition=Q(plate__regex=rf"^[A-Z0-9]{{1,{MAX_PLATE_CHARS}}}$"),
                name="permit_plate_is_normalised",
            ),
            models.CheckConstraint(
                condition=Q(country__regex=r"^[A-Z]{2}$"), name="permit_country_is_alpha_2"
            ),
            models.CheckConstraint(
                condition=Q(subdivision="") | Q(subdivision__regex=r"^[A-Z]{2}-[A-Z0-9]{1,3}$"),
                name="permit_subdivision_is_iso_3166_2",
            ),
            models.CheckConstraint(
                condition=Q(status="active", cancelled_at=None)
                | Q(status="cancelled", cancelled_at__isnull=False),
                name="permit_cancelled_says_when",
            ),
            models.CheckConstraint(condition=Q(revision__gte=1), name="permit_revision_counts_from_one"),
            models.UniqueConstraint(
                fields=["company", "external_id"],
                condition=~Q(external_id=""),
                name="permit_external_id_unique_in_company",
            ),
        ]
        indexes = [
            # The list of a company's permits, newest first, and the same narrowed by one filter.
            models.Index(fields=["company", "-id"], name="permit_list"),
            models.Index(fields=["location", "-id"], name="permit_list_of_location"),
            models.Index(fields=["company", "subdivision", "-id"], name="permit_list_of_state"),
            # The same in order of their ends.
            models.Index(fields=["company", "end", "id"], name="permit_list_by_end"),
            # The list of cancelled ones, which may be few among a million.
            models.Index(
                fields=["company", "-id"], name="permit_list_of_cancelled", condition=Q(status="cancelled")
            ),
            models.Index(
                fields=["company", "type", "-id"], name="permit_list_of_type", condition=~Q(type="")
            ),
            # Search by plate, in order, and "is it valid?". The ones for unit and external id stand in migration 0004,
            # since they need an expression with a collation that SQLite does not have.
            models.Index(fields=["company", "plate", "id"], name="permit_plate"),
            # The same over all companies, for support's search.
            models.Index(fields=["plate", "id"], name="permit_plate_anywhere"),
            # Counts and lists of what is valid now or begins soon; with the start, so that a count reads the index alone.
            models.Index(
                fields=["location", "end", "start"],
                name="permit_of_location",
                condition=Q(status="active", is_test=False),
            ),
            models.Index(
                fields=["company", "end", "start"],
                name="permit_of_company",
                condition=Q(status="active", is_test=False),
            ),
            # The audit's walk over what has not ended (integrations.reconciliation.audit); with the end, so that it reads
            # the index alone.
            models.Index(fields=["id", "end"], name="permit_not_ended", condition=Q(status="active")),
        ]

    def __str__(self) -> str:
        return f"permit {self.pk}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: see `NeverDeleted`."""
        raise NeverDeleted("Permits are never deleted; cancel them with locations.services.")

    @property
    def region(self) -> Region:
        """Where the plate comes from; templates show its `key`."""
        return Region(self.country, self.subdivision)

    def is_current(self, at: datetime) -> bool:
        """Whether the permit holds at `at`."""
        return self.status == self.Status.ACTIVE and self.start <= at < self.end
