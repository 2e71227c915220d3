"""A connection: one company's link to one vendor account.

Its status: `setup` (being prepared) → `testing` (with test plates) → `live` (every save is pushed) ⇄ `paused`; `ended` is
final. Only a *live* connection sends real permits; the others hold them back without losing any. Trouble with the vendor
is not a status: it is kept on the breaker (`integrations.models.delivery`), which opens and closes automatically, while a
status changes only when someone decides so.

Invariants: an operator id belongs to at most one connection that has not ended; a live or paused connection has an
operator id that is confirmed (`integrations.zones.operator_claims`); `key` is random and never changes, since it makes
session ids unique for all time.
"""

import re
import secrets
import string
from typing import Any

from anyascii import anyascii
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from locations.fields import LineField
from locations.models import Company
from locations.models.permits import NeverDeleted
from locations.names import validate_name

# Of a company's part of an integration's name; the column has room for the vendor and a number, too.
MOST_NAME_CHARS = 120
_KEY_SIGNS = "".join(sign for sign in string.ascii_uppercase + string.digits if sign not in "O0I1")


def integration_name(vendor: str, company_name: str, slug: str = "") -> str:
    """Return the conventional name: the vendor and the company in capitals, A–Z and 0–9 only.

    Of the vendor `acme`, *University* becomes `ACMEUNIVERSITY` (Offstreet's integration guide). Other scripts are
    transliterated: *大学* becomes `ACMEDAXUE`. A company's `slug` stands in where nothing of its name is left.
    """
    own = _capitals(company_name) or _capitals(slug)
    return _capitals(vendor) + own[:MOST_NAME_CHARS]


def _capitals(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", anyascii(text).upper())


def default_vendor() -> str:
    """Return the slug of the vendor that a company without any connection is led to: the first of the settings."""
    return next(iter(settings.INTEGRATION_VENDORS))


def new_key() -> str:
    """Return a new random key of eight characters that are not easily confused."""
    return "".join(secrets.choice(_KEY_SIGNS) for _ in range(8))


def vendor_of(company: Company) -> str:
    """Return the vendor of a company's oldest connection that has not ended, or the default one's slug; one query."""
    found = company.connections.exclude(status=Connection.Status.ENDED).order_by("pk")
    return found.values_list("vendor", flat=True).first() or default_vendor()


class Connection(models.Model):
    """One company's link to one vendor account; see the module's docstring."""

    class Status(models.TextChoices):
        """What someone decided about this connection; see the module's docstring."""

        SETUP = "setup", _("being set up")
        TESTING = "testing", _("being tested")
        LIVE = "live", _("live")
        PAUSED = "paused", _("paused")
        ENDED = "ended", _("ended")

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="connections")
    vendor = models.CharField(max_length=20, default=default_vendor)
    name = models.CharField(max_length=160)
    label = LineField(_("site"), max_length=80, blank=True, default="", validators=[validate_name])
    key = models.CharField(max_length=8, unique=True, default=new_key, editable=False)
    operator_id = models.CharField(_("operator ID"), max_length=36, blank=True, default="")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.SETUP)
    status_since = models.DateTimeField()
    status_reason = models.TextField(blank=True, default="")
    status_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    live_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    # The onboarding steps (integrations.onboarding): when each was done. Empty means not yet.
    contact_unknown = models.BooleanField(default=False)
    request_text = models.TextField(blank=True, default="")
    requested_at = models.DateTimeField(null=True, blank=True)
    operator_id_at = models.DateTimeField(null=True, blank=True)
    operator_id_checked_at = models.DateTimeField(null=True, blank=True)
    operator_id_finding = models.CharField(max_length=20, blank=True, default="")
    # Whose operator ID it is (integrations.zones.operator_claims): who entered it, who confirmed it, and how they know.
    # `held` is an ID that another company has; it is not used until support has decided.
    operator_id_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    operator_confirmed_at = models.DateTimeField(null=True, blank=True)
    operator_confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    operator_confirmed_how = models.CharField(max_length=200, blank=True, default="", db_default="")
    operator_id_held = models.CharField(max_length=36, blank=True, default="", db_default="")
    operator_id_held_at = models.DateTimeField(null=True, blank=True)
    zones_pulled_at = models.DateTimeField(null=True, blank=True)
    # When the zones are next refreshed automatically (null: as soon as possible), and how often in a row that has failed.
    zones_due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    zones_failures = models.PositiveIntegerField(default=0, db_default=0)
    ready_for_test_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    backfill_total = models.PositiveIntegerField(null=True, blank=True)
    backfill_started_at = models.DateTimeField(null=True, blank=True)

    # Comparing with what enforcement sees (integrations.reconciliation). `reconciled_at` is when the last
    # comparison began, however it ended; `compared_at` when the last one ended in which the whole list was read and
    # believed. What went wrong since then, and how often in a row; both are empty after a success.
    reconciled_at = models.DateTimeField(null=True, blank=True)
    compared_at = models.DateTimeField(null=True, blank=True)
    comparison_error = models.TextField(blank=True, default="", db_default="")
    comparison_failures = models.PositiveIntegerField(default=0, db_default=0)
    # Until when a worker has it to itself; null where none compares it.
    comparing_until = models.DateTimeField(null=True, blank=True)
    # What the last one found, as a document, or null.
    comparison = models.JSONField(null=True, blank=True)

    # How often a check plate is sent (integrations.reconciliation.canary), in minutes; empty: the company has not agreed.
    canary_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    canary_next_at = models.DateTimeField(null=True, blank=True)

    history = HistoricalRecords(
        excluded_fields=[
            "zones_due_at",
            "zones_failures",
            "canary_next_at",
            "reconciled_at",
            "compared_at",
            "comparison_error",
            "comparison_failures",
            "comparing_until",
            "comparison",
        ]
    )

    class Meta:
        ordering = ["company__name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "operator_id"],
                condition=~Q(operator_id="") & ~Q(status="ended"),
                name="operator_id_on_one_connection",
            ),
            models.CheckConstraint(
                # Its form is the vendor's (`Vendor.clean_operator_id`).
                condition=Q(operator_id__regex=r"^[!-~]*$"),
                name="operator_id_is_printable",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["live", "paused"]) | ~Q(operator_id=""),
                name="live_has_an_operator_id",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["live", "paused"]) | Q(operator_confirmed_at__isnull=False),
                name="live_has_a_confirmed_operator",
            ),
            models.CheckConstraint(
                condition=Q(operator_confirmed_at__isnull=True) | ~Q(operator_id=""),
                name="confirmed_has_an_operator_id",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["setup", "testing", "live", "paused", "ended"]),
                name="status_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.label})" if self.label else self.name

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: connections are ended, never deleted."""
        raise NeverDeleted("Connections are never deleted; end them.")

    @property
    def is_confirmed(self) -> bool:
        """Whether the operator id is confirmed as the company's; only then may it be used."""
        return self.operator_confirmed_at is not None

    @property
    def is_claimed(self) -> bool:
        """Whether an operator id was entered that support has not confirmed yet."""
        if self.status == self.Status.ENDED:
            return False
        return bool(self.operator_id_held or (self.operator_id and not self.is_confirmed))

    @property
    def is_live(self) -> bool:
        """Whether real permits are pushed."""
        return self.status == self.Status.LIVE


class Contact(models.Model):
    """Someone outside Offstreet who gets emails about the integration."""

    class Kind(models.TextChoices):
        """What the contact is for."""

        ENFORCEMENT = "enforcement", _("Enforcement team")
        ACCOUNT_MANAGER = "manager", _("Account manager")
        OFFSTREET = "offstreet", _("Offstreet contact")

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="contacts")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = LineField(max_length=120, blank=True, default="", validators=[validate_name])
    email = models.EmailField()

    class Meta:
        ordering = ["kind", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "kind", "email"], name="one_contact_per_kind_and_address"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email
