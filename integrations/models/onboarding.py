"""Onboarding: the ticket with its timeline, test plates, and status links that can be shared.

A ticket's number (`OFF-1042`) is its row id plus 1,000, so numbers are unique without a separate counter. A test plate is
a permit marked `is_test` and is delivered like any other. This table adds who asked, what was seen, and a person's one
answer. The secrets of links are stored only as hashes.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models.connections import Connection
from integrations.models.zones import Zone
from locations.models import Company, Location, Permit

FIRST_TICKET_NUMBER = 1_000
# A status page that nobody renews expires: whoever got its address may have left long ago.
STATUS_LINK_LIFETIME = timedelta(days=365)


class Ticket(models.Model):
    """The record of one integration's set-up."""

    class State(models.TextChoices):
        """Whether someone is still working on it."""

        OPEN = "open", _("open")
        DONE = "done", _("done")

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="tickets")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="tickets")
    subject = models.CharField(max_length=200)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(state="open"), name="one_open_ticket_per_connection"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.subject}"

    @property
    def number(self) -> str:
        """The ticket's number, such as `OFF-1042`."""
        return f"OFF-{FIRST_TICKET_NUMBER + self.pk}"


class TicketEntry(models.Model):
    """One entry in a ticket's timeline."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=40)
    text = models.TextField()

    class Meta:
        verbose_name_plural = "ticket entries"
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text


class TestPlate(models.Model):
    """One test of one location: from saving the permit to a person's answer."""

    __test__ = False  # not a test case, despite its name

    class Answer(models.TextChoices):
        """What a person said."""

        YES = "yes", _("seen")
        NO = "no", _("not seen, or something else")

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="test_plates")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="test_plates")
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="+")
    permit = models.OneToOneField(Permit, on_delete=models.PROTECT, related_name="test_plate")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    saved_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_right = models.JSONField(null=True, blank=True)
    answer = models.CharField(max_length=3, choices=Answer.choices, blank=True, default="")
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.CharField(max_length=200, blank=True, default="")
    answered_via = models.CharField(max_length=10, blank=True, default="")
    note = models.TextField(blank=True, default="")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    link_hash = models.CharField(max_length=64, blank=True, default="")
    link_sent_to = models.CharField(max_length=400, blank=True, default="")
    link_expires_at = models.DateTimeField(null=True, blank=True)
    link_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(answer="", answered_at=None)
                | Q(answer__in=["yes", "no"], answered_at__isnull=False),
                name="test_plate_answer_says_when",
            ),
            models.UniqueConstraint(
                fields=["link_hash"], condition=~Q(link_hash=""), name="test_plate_link_is_unique"
            ),
        ]
        indexes = [
            # Those that the scheduler still has to follow: not yet gone from the parking rights.
            models.Index(fields=["connection"], name="test_plate_open", condition=Q(gone_at=None)),
        ]

    def __str__(self) -> str:
        return f"test at {self.location}"


class StatusLink(models.Model):
    """A read-only page on a connection's steps, for someone without an account."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="status_links")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_opened_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"status link of {self.connection}"

    @property
    def ends_at(self) -> datetime:
        """When the page expires. Links from before expiry existed have no time of their own and get a first year."""
        return self.expires_at or self.created_at + STATUS_LINK_LIFETIME

    def works(self, now: datetime) -> bool:
        """Whether the page can still be opened."""
        return self.revoked_at is None and now < self.ends_at
