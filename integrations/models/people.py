"""What people are told: mails (an outbox of their own) and notices in the dashboard.

A mail is written in the transaction of what it tells of and sent by the worker afterwards. `dedupe_key` makes it one mail
however often the event is told; `state` moves to *sent* under a lock, so two workers never send it twice.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from locations.models import Company


class Mail(models.Model):
    """One mail to one address."""

    class State(models.TextChoices):
        """Where it is on its way."""

        DUE = "due", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="mails", null=True, blank=True
    )
    kind = models.CharField(max_length=40)
    dedupe_key = models.CharField(max_length=160, unique=True)
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField(blank=True, default="")
    state = models.CharField(max_length=8, choices=State.choices, default=State.DUE)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["next_attempt_at"], name="mail_due", condition=Q(state="due"))]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"


class Notice(models.Model):
    """One thing that people of a company (or support, without one) should know."""

    class Level(models.TextChoices):
        """How it is shown."""

        INFO = "info", _("information")
        SUCCESS = "success", _("good news")
        WARNING = "warning", _("warning")
        DANGER = "danger", _("alarm")

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="notices", null=True, blank=True
    )
    kind = models.CharField(max_length=40)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.TextField()
    url = models.CharField(max_length=200, blank=True, default="")
    dedupe_key = models.CharField(max_length=160, blank=True, default="")
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["dedupe_key"],
                condition=~Q(dedupe_key="") & Q(done_at=None),
                name="one_open_notice_per_matter",
            ),
        ]
        indexes = [models.Index(fields=["company", "-id"], name="notice_open", condition=Q(done_at=None))]

    def __str__(self) -> str:
        return self.text
