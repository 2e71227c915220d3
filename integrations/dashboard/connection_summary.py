"""A company's connections as the overview tells of them, each with its snapshot for the steps to live, by one query."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery

from integrations.models import Breaker, Connection, ZoneRefresh
from integrations.onboarding.snapshot import Facts
from integrations.onboarding.snapshot_queries import facts_from, with_surroundings
from integrations.permits.counts import DeliveryCounts, counts_from, with_counts
from locations.models import Company


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """One connection with what the overview says of it."""

    connection: Connection
    refresh: ZoneRefresh | None
    stopped: str
    stopped_remedy: str
    stopped_since: datetime | None
    facts: Facts
    counts: DeliveryCounts

    @property
    def zones(self) -> int:
        """How many zones are listed now."""
        return self.facts.zones

    @property
    def refresh_runs(self) -> bool:
        """Whether the zones are being pulled now."""
        return self.refresh is not None and self.refresh.outcome == ZoneRefresh.Outcome.RUNNING

    @property
    def sends(self) -> bool:
        """Whether what waits here is on its way: neither held back by a person nor stopped until one acts."""
        return self.connection.is_live and not self.stopped


def _latest_refresh(name: str) -> Subquery:
    found = ZoneRefresh.objects.filter(connection=OuterRef("pk")).order_by("-pk")
    return Subquery(found.values(name)[:1])


def _stopped(name: str) -> Subquery:
    mine = Q(connection=OuterRef("pk")) | Q(vendor=OuterRef("vendor"))
    # The connection's own breaker before its host's.
    found = Breaker.objects.filter(mine, stopped=True).order_by(F("vendor").asc(nulls_first=True))
    return Subquery(found.values(name)[:1])


def summaries_of(company: Company, now: datetime) -> list[ConnectionSummary]:
    """Return the company's connections that have not ended, with all that is said of them, by one query."""
    current = company.connections.exclude(status=Connection.Status.ENDED).select_related("status_by")
    rows = with_counts(with_surroundings(current), now).annotate(
        pull_pk=_latest_refresh("pk"),
        pull_counts=_latest_refresh("found__counts"),
        pull_listed=_latest_refresh("zones_listed"),
        stopped=_stopped("error"),
        stopped_remedy=_stopped("remedy"),
        stopped_since=_stopped("failing_since"),
    )
    return [_summary(row, now) for row in rows.order_by("pk")]


def _summary(row: Any, now: datetime) -> ConnectionSummary:
    refresh = None
    if row.pull_pk is not None:
        refresh = ZoneRefresh(
            pk=row.pull_pk,
            outcome=row.pull,
            started_at=row.pull_began,
            finished_at=row.pull_ended,
            error=row.pull_error,
            zones_listed=row.pull_listed,
            found={"counts": row.pull_counts or {}},
        )
    return ConnectionSummary(
        connection=row,
        refresh=refresh,
        stopped=row.stopped or "",
        stopped_remedy=row.stopped_remedy or "",
        stopped_since=row.stopped_since,
        facts=facts_from(row, row, now),
        counts=counts_from(row),
    )
