"""Reads what `integrations.alarms.health` decides from: for one company's connections or for a thousand."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from integrations.alarms.health import LATE, WORKER_LATE, Failing, LinkHealth
from integrations.models import Breaker, Connection, PermitSync, Push, WorkerHeartbeat
from integrations.permits.counts import COUNT_COLUMNS, counts_from, with_counts


def with_health(connections: QuerySet[Connection], now: datetime) -> QuerySet[Any]:
    """Add to connections what `health_from` reads, their counts among it (`integrations.permits.counts`)."""
    waiting = PermitSync.objects.waiting().filter(connection=OuterRef("pk")).by_urgency()
    accepted = Push.objects.filter(connection=OuterRef("pk"), sent_at__gt=now - LATE, accepted__gt=0)
    # Not one from the future, which a clock that was wrong has left behind.
    beats = WorkerHeartbeat.objects.filter(seen_at__lt=now + WORKER_LATE)
    found: QuerySet[Any] = with_counts(connections, now).annotate(
        waiting_error=Subquery(waiting.values("error")[:1]),
        accepted_lately=Exists(accepted),
        worker_at=Subquery(beats.order_by("-seen_at").values("seen_at")[:1]),
    )
    return found


# What `health_from` reads, and what names a connection; for who reads values instead of whole connections.
HEALTH_COLUMNS = (
    "pk", "vendor", "status", "status_since", "backfill_started_at", "compared_at", "comparison_error", "worker_at",
    "waiting_error", "accepted_lately", *COUNT_COLUMNS,
)  # fmt: skip


def health_from(row: Any, breakers: Iterable[Breaker]) -> LinkHealth:
    """Return how a connection of `with_health` stands; `breakers` may be those of others too."""
    return LinkHealth(
        status=row.status,
        status_since=row.status_since,
        counts=counts_from(row),
        failing=failing_of(row, breakers),
        worker_at=row.worker_at,
        waiting_error=row.waiting_error or "",
        accepted_lately=row.accepted_lately,
        backfill_started_at=row.backfill_started_at,
        compared_at=row.compared_at,
        comparison_error=row.comparison_error,
    )


def failing_of(connection: Any, breakers: Iterable[Breaker]) -> Failing | None:
    """Return which of these breakers says most about a connection: one that people must fix, else its own."""
    mine = [
        one
        for one in breakers
        if (one.stopped or one.failures)
        and (one.connection_id == connection.pk or (one.vendor and one.vendor == connection.vendor))
    ]
    found = min(mine, key=lambda one: (not one.stopped, one.vendor is not None), default=None)
    if found is None:
        return None
    return Failing(found.failing_since, found.error, found.remedy, found.stopped, found.vendor is not None)


def failing_breakers() -> QuerySet[Breaker]:
    """All breakers after failures: few, however many connections there are."""
    return Breaker.objects.filter(failures__gt=0) | Breaker.objects.filter(stopped=True)


def health_of(connections: QuerySet[Connection], now: datetime) -> dict[int, LinkHealth]:
    """Return how these connections stand by id, by two queries."""
    breakers = list(failing_breakers())
    rows = with_health(connections.order_by(), now).values_list(*HEALTH_COLUMNS, named=True)
    return {row.pk: health_from(row, breakers) for row in rows}
