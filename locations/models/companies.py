"""Companies, who may do what in them, and their locations."""

import zoneinfo
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from locations.fields import LineField
from locations.names import validate_name
from locations.regions import region_of_key
from locations.typed_times import DAY_FIRST, MONTH_FIRST

SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class Role(models.TextChoices):
    """What a member may do; each role may do all that the one before it may."""

    VIEWER = "viewer", _("Viewer")
    OPERATOR = "operator", _("Operator")
    MANAGER = "manager", _("Manager")

    @property
    def rank(self) -> int:
        """Position in the order viewer < operator < manager."""
        return list(Role).index(self)


@cache
def known_timezones() -> frozenset[str]:
    """Return the names of all IANA time zones; finding them reads some six hundred files, so that is done once."""
    return frozenset(zoneinfo.available_timezones())


def validate_timezone(value: str) -> None:
    """Raise `ValidationError` unless `value` is an IANA time zone such as `America/New_York`."""
    if value not in known_timezones():
        raise ValidationError(
            _("“%(value)s” is not a time zone. Enter it like this: America/New_York."),
            params={"value": value},
        )


class DateOrder(models.TextChoices):
    """How a company means a date such as 03/11/2026."""

    MONTH_FIRST = MONTH_FIRST, _("Month first: 03/11/2026 is March 11")
    DAY_FIRST = DAY_FIRST, _("Day first: 03/11/2026 is 3 November")


def validate_region(value: str) -> None:
    """Raise `ValidationError` unless `value` is the key of a region such as `US-NC`."""
    region_of_key(value)


class Company(models.Model):
    """A city, university or property that registers vehicles."""

    name = LineField(_("name"), max_length=120, validators=[validate_name])
    slug = models.CharField(max_length=60, unique=True, validators=[RegexValidator(SLUG_PATTERN)])
    offstreet_id = LineField(_("Offstreet company ID"), max_length=60, unique=True)
    two_step_required = models.BooleanField(_("two-step sign-in required"), default=False, db_default=False)
    # What forms begin with; empty where nothing was chosen. A region by its key (`locations.regions`).
    default_region = models.CharField(
        _("default state"), max_length=6, blank=True, default="", db_default="", validators=[validate_region]
    )
    default_timezone = models.CharField(
        _("default time zone"),
        max_length=60,
        blank=True,
        default="",
        db_default="",
        validators=[validate_timezone],
    )
    # How a date such as 03/11/2026 is meant; empty: it is asked.
    date_order = models.CharField(
        _("date order"), max_length=3, choices=DateOrder.choices, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "companies"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="company_has_a_name"),
            models.CheckConstraint(condition=~Q(offstreet_id=""), name="company_has_an_offstreet_id"),
            models.CheckConstraint(condition=Q(slug__regex=SLUG_PATTERN), name="company_slug_is_a_slug"),
            models.CheckConstraint(
                condition=Q(date_order="") | Q(date_order__in=DateOrder.values),
                name="company_date_order_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The company's overview."""
        return reverse("overview", args=[self.slug])


class Membership(models.Model):
    """One person's role in one company."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "company"], name="one_membership_per_person_and_company"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.company} · {self.role}"


class Invitation(models.Model):
    """An offer by mail to join a company. Only a hash of the link's secret is kept."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    secret_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="invitation_role_is_known"),
            models.UniqueConstraint(
                Lower("email"),
                "company",
                condition=Q(accepted_at=None, withdrawn_at=None),
                name="one_open_invitation_per_address_and_company",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.company}"

    def is_open(self, now: datetime) -> bool:
        """Whether the link may still be used at `now`."""
        return self.accepted_at is None and self.withdrawn_at is None and now < self.expires_at


class Location(models.Model):
    """A place where registered vehicles park. Times of its permits are shown in its own time zone."""

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="locations")
    name = LineField(_("name"), max_length=120, validators=[validate_name])
    external_id = LineField(_("your reference"), max_length=60, blank=True, default="")
    timezone = models.CharField(
        _("time zone"), max_length=60, default="America/New_York", validators=[validate_timezone]
    )
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="location_has_a_name"),
            # Letter for letter: "Lot B" and "lot b" may be two places, and are never taken for one another.
            models.UniqueConstraint(fields=["company", "name"], name="location_name_unique_in_company"),
            models.UniqueConstraint(
                fields=["company", "external_id"],
                condition=~Q(external_id=""),
                name="location_external_id_unique_in_company",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tz(self) -> zoneinfo.ZoneInfo:
        """The location's time zone."""
        return zoneinfo.ZoneInfo(self.timezone)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Refuse an unknown time zone also outside of forms: every shown time depends on it."""
        validate_timezone(self.timezone)
        super().save(*args, **kwargs)
