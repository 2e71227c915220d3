"""A company's connections as the overview tells of them, each with its snapshot for the steps to live, by one query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from integrations.alarms.facts import failing_breakers, health_from, with_health
from integrations.alarms.health import LinkHealth, Trouble, trouble_of
from integrations.models import Breaker, Connection, PermitSync, ZoneRefresh
from integrations.onboarding.snapshot import Facts
from integrations.onboarding.snapshot_queries import facts_from, with_surroundings
from integrations.permits.counts import DeliveryCounts, looked_at
from locations.models import Company


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """One connection with what the overview says of it."""

    connection: Connection
    refresh: ZoneRefresh | None
    facts: Facts
    health: LinkHealth
    trouble: Trouble | None
    ended_plate: str = ""

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
        return self.connection.is_live and not self.is_stopped

    @property
    def counts(self) -> DeliveryCounts:
        """How many of its permits wait, were refused and so on."""
        return self.health.counts

    @property
    def is_stopped(self) -> bool:
        """Whether nothing is sent until somebody acts."""
        return self.health.failing is not None and self.health.failing.stopped


def _latest_refresh(name: str) -> Subquery:
    found = ZoneRefresh.objects.filter(connection=OuterRef("pk")).order_by("-pk")
    return Subquery(found.values(name)[:1])


@dataclass(frozen=True, slots=True)
class Summaries:
    """A company's connections, all breakers after failures, and the database's time at which they were read."""

    links: Sequence[ConnectionSummary]
    breakers: Sequence[Breaker]
    at: datetime


def summaries_of(company: Company, now: datetime) -> Summaries:
    """Return the company's connections that have not ended, with all that is said of them, by two queries.

    What is wrong is judged by the database's clock, by which it was written; `now` only tells which permits are current.
    """
    current = company.connections.exclude(status=Connection.Status.ENDED).select_related("status_by")
    ended = looked_at(PermitSync.objects.waiting().filter(connection=OuterRef(OuterRef("pk"))).by_urgency())
    rows = with_health(with_surroundings(current), now).annotate(
        read_at=Now(),
        pull_pk=_latest_refresh("pk"),
        pull_counts=_latest_refresh("found__counts"),
        pull_listed=_latest_refresh("zones_listed"),
        ended_plate=Subquery(ended.still_there(now).values("permit__plate_typed")[:1]),
    )
    found = list(rows.order_by("pk"))
    breakers = list(failing_breakers()) if found else []
    at = found[0].read_at if found else now
    return Summaries([_summary(row, breakers, at) for row in found], breakers, at)


def _summary(row: Any, breakers: Sequence[Breaker], now: datetime) -> ConnectionSummary:
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
    health = health_from(row, breakers)
    return ConnectionSummary(
        connection=row,
        refresh=refresh,
        facts=facts_from(row, row, now),
        health=health,
        trouble=trouble_of(health, now),
        ended_plate=row.ended_plate or "",
    )
