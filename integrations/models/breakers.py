"""What holds sends back: circuit breakers, and the fleet's limit of requests."""

from typing import Any

from django.db import models
from django.db.models import Q

from integrations.models.connections import Connection


class Breaker(models.Model):
    """A circuit breaker, which pauses sends after failures: one row per connection, and one per vendor (its host).

    Closed: `open_until` is empty. Open: nothing is sent until `open_until`, then one probe at a time (`probe_until` says
    until when a worker has it). `stopped` marks a problem that people must fix (credentials, authorisation), reported once
    and probed rarely. `recovered_at` lets rows that failed before it go at once, whatever their own backoff says.

    Invariants: a row is never of a connection and of a vendor; no two are of the same. That it is of one of them is kept by
    `save`, not yet by the database, since a worker from before the two columns (migration 0020) writes `key` alone. Once no
    such worker runs anywhere, that is from the release after the next on, the constraint may ask for exactly one and
    `key` may go.
    """

    # What a row is of, as text ("c:7", "h:vendor"): written for workers from before the columns, which look rows up by it.
    key = models.CharField(max_length=60, primary_key=True)
    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="breaker"
    )
    vendor = models.CharField(max_length=20, null=True, blank=True, unique=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    open_until = models.DateTimeField(null=True, blank=True)
    probe_until = models.DateTimeField(null=True, blank=True)
    recovered_at = models.DateTimeField(null=True, blank=True)
    stopped = models.BooleanField(default=False)
    error_code = models.CharField(max_length=120, blank=True, default="")
    error = models.TextField(blank=True, default="")
    remedy = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(connection=None) | Q(vendor=None), name="breaker_of_a_connection_or_a_vendor"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the key that belongs to the connection or the vendor; raise `ValueError` where it is not of one."""
        self.key = self.key_of(self.connection_id, self.vendor)
        super().save(*args, **kwargs)

    @staticmethod
    def key_of(connection_id: int | None, vendor: str | None) -> str:
        """Return the key of the breaker of a connection or of a vendor; raise `ValueError` unless it is one of the two."""
        if (connection_id is None) == (vendor is None):
            raise ValueError("A breaker is of a connection or of a vendor.")
        return f"h:{vendor}" if connection_id is None else f"c:{connection_id}"


class RateBucket(models.Model):
    """The next free moment for a request of the whole fleet (a leaky bucket kept as one time)."""

    key = models.CharField(max_length=60, primary_key=True)
    next_at = models.DateTimeField()
    # When a moment was last taken; in the future only if the database's clock was wrong then.
    taken_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key
