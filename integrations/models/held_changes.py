"""Changes that nobody asked for and that would take away or replace too many rights: they wait for a person.

At most one change of a kind waits on a connection; what is found while it waits renews it. A person's answer is kept on
the row: see `integrations.held_changes.services` for how long it counts. Changes of zones are held on their own table
(`ZoneRefresh`), by the same measure.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models.connections import Connection


class HeldChange(models.Model):
    """One change that was held back, what it would do, and what became of it.

    `removed` and `replaced` are numbers of rights, out of `total` that the connection held. `examples` are ids of permits
    that it would affect.
    """

    class Kind(models.TextChoices):
        """Where the change comes from."""

        COMPARISON = "comparison", _("comparison with enforcement")
        IMPORT = "import", _("import")

    class State(models.TextChoices):
        """How far it got."""

        HELD = "held", _("waits for a decision")
        ACCEPTED = "accepted", _("accepted, not made yet")
        APPLIED = "applied", _("accepted and made")
        DISCARDED = "discarded", _("discarded")
        OVER = "over", _("no longer needed")

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="held_changes")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.HELD)
    removed = models.PositiveIntegerField()
    replaced = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    examples = models.JSONField(default=list)
    # One sentence on what was found.
    found = models.TextField(blank=True, default="")
    held_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "kind"], condition=Q(state="held"), name="one_held_change_of_a_kind"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["accepted", "applied", "discarded"]) | Q(decided_at__isnull=False),
                name="held_change_decided_says_when",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["held", "accepted", "applied", "discarded", "over"]),
                name="held_change_state_is_known",
            ),
        ]
        indexes = [models.Index(fields=["connection", "kind", "-id"], name="held_change_latest")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.connection}: {self.state}"
