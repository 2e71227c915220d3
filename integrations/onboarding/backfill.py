"""How far the backfill of a connection that went live is: how many of how many, and what was refused, by reason.

Counted from what is left (partial indexes hold just that), so that it costs little however many there are. What was
saved since then is delivered in the same way and order, so the count may stand still for a moment; it is over when
nothing that was there at the start is left.
"""

from dataclasses import dataclass

from django.db.models import Count, Q

from integrations.models import Connection, PermitSync

REASONS = 10


@dataclass(frozen=True, slots=True)
class NotSentReason:
    """Permit syncs that were refused for one reason."""

    code: str
    sentence: str
    remedy: str
    count: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """The state of a backfill; `accepted + waiting + refused` is `total`."""

    total: int
    accepted: int
    waiting: int
    refused: int
    reasons: tuple[NotSentReason, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing waits any more."""
        return self.waiting == 0


def backfill_of(connection: Connection) -> Backfill | None:
    """Return how far the backfill is; None before the connection is live."""
    if connection.backfill_total is None:
        return None
    begun = connection.backfill_started_at or connection.live_since
    left = connection.permit_syncs.filter(
        Q(state=PermitSync.State.DUE, permit__created_at__lte=begun) | Q(state=PermitSync.State.REFUSED),
        permit__is_test=False,
    )
    columns = ("state", "error_code", "error", "remedy")
    grouped = list(left.order_by().values_list(*columns).annotate(n=Count("pk")).order_by("-n"))
    waiting = sum(row[-1] for row in grouped if row[0] == PermitSync.State.DUE)
    reasons = [NotSentReason(*row[1:]) for row in grouped if row[0] == PermitSync.State.REFUSED]
    total = connection.backfill_total
    waiting = min(waiting, total)
    refused = min(sum(reason.count for reason in reasons), total - waiting)
    return Backfill(total, total - waiting - refused, waiting, refused, tuple(reasons[:REASONS]))
