"""What people are told: emails (in their own outbox) and notices in the dashboard.

An email is stored in the same transaction as the event it is about, and the worker sends it afterwards. `dedupe_key` makes
sure that an event is emailed once however often it is reported. `state` moves to *sent* under a lock, so two workers never
send the same email.

Members choose which emails they get (`MailChoice`). Only choices that differ from the role's default need a row: managers
and operators get everything, viewers nothing.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from locations.models import Company, Membership


class Mail(models.Model):
    """One email to one address."""

    class State(models.TextChoices):
        """How far it got."""

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
        indexes = [
            models.Index(fields=["next_attempt_at"], name="mail_due", condition=Q(state="due")),
            # Support's search by address, and its list of failed emails.
            models.Index(Upper("to"), name="mail_to"),
            models.Index(fields=["-id"], name="mail_failed", condition=Q(state="failed")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"


class Topic(models.TextChoices):
    """What an email is about, for emails that people can choose to get."""

    ALARMS = "alarms", _("Alarms")
    STEPS = "steps", _("Set-up steps")
    RESULTS = "results", _("Test results and going live")


# What support may choose: a company's emails go to its members.
SUPPORT_TOPICS = (Topic.ALARMS, Topic.STEPS)


class MailChoice(models.Model):
    """Whether someone gets the emails of one topic: as a member of a company or, with `user`, as support."""

    membership = models.ForeignKey(
        Membership, on_delete=models.CASCADE, related_name="mail_choices", null=True, blank=True
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mail_choices", null=True, blank=True
    )
    topic = models.CharField(max_length=10, choices=Topic.choices)
    wanted = models.BooleanField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(membership=None, user__isnull=False) | Q(membership__isnull=False, user=None),
                name="mail_choice_is_a_members_or_supports",
            ),
            models.CheckConstraint(condition=Q(topic__in=Topic.values), name="mail_choice_topic_is_known"),
            models.CheckConstraint(
                condition=Q(user=None) | Q(topic__in=[topic.value for topic in SUPPORT_TOPICS]),
                name="mail_choice_topic_is_supports",
            ),
            models.UniqueConstraint(
                fields=["membership", "topic"], name="one_mail_choice_per_member_and_topic"
            ),
            models.UniqueConstraint(fields=["user", "topic"], name="one_mail_choice_per_person_and_topic"),
        ]

    def __str__(self) -> str:
        return f"{self.membership or self.user}: {self.topic} {'yes' if self.wanted else 'no'}"


class Notice(models.Model):
    """Something that a company's members should know; without a company, something for support."""

    class Level(models.TextChoices):
        """How it is displayed."""

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
