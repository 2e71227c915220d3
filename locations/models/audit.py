"""What people did that no history of rows tells: an invitation, a retry, a notice put away.

An event is written in the transaction of what it tells of and never changed afterwards. It keeps a kind and what it takes
to say it (`thing`, `params`), never a sentence, so it is told in the reader's language; no plate and no secret is in it.
The database itself refuses to change or delete one (`locations.append_only`).
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from locations.models.companies import Company


class NeverChanged(Exception):
    """Raised where code tries to change or delete what was done."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Events are added and read."""

    def update(self, **_values: Any) -> int:
        """Refuse: see `NeverChanged`."""
        raise NeverChanged("Events are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse: see `NeverChanged`."""
        raise NeverChanged("Events are never deleted.")


class AuditEvent(models.Model):
    """One thing that somebody did; see the module's text. Without a company it is support's own."""

    # Its index begins the one below.
    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="audit_events", null=True, blank=True, db_index=False
    )
    # People who did something are never deleted, only made inactive: emptying these would change what was written.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Whose account it was done to, where it was done to one. Its index begins the one below.
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # The network address of who did it, as sign-in counts it; none for scripts and workers.
    address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("kind"), max_length=40)
    thing = models.CharField(_("what it was done to"), max_length=200, blank=True, default="")
    params = models.JSONField(default=dict, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        db_table = "locations_deed"
        ordering = ["-at", "-id"]
        constraints = [models.CheckConstraint(condition=~Q(kind=""), name="deed_has_a_kind")]
        indexes = [
            # What people did in a company, newest first.
            models.Index(fields=["company", "-at", "-id"], name="deed_of_company"),
            # What happened to somebody's account, and all of it.
            models.Index(fields=["person", "-at", "-id"], name="deed_of_person"),
            models.Index(fields=["-at", "-id"], name="deed_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.thing}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write a new event; refuse to change one."""
        if not self._state.adding:
            raise NeverChanged("Events are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: see `NeverChanged`."""
        raise NeverChanged("Events are never deleted.")
