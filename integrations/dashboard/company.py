"""What a company's overview shows: its figures, and which of its vehicles officers can't see, the longest first.

The numbers are those of `integrations.permits.counts`, which every page and command shares. The number of queries is fixed,
and what is right is never looked at one by one: a million accepted permits cost nothing here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils.functional import cached_property

from integrations.audit_log.pushes import Refusal, refusals
from integrations.dashboard.connection_summary import ConnectionSummary, summaries_of
from integrations.models import PermitSync
from integrations.models.delivery import PermitSyncQuerySet
from integrations.permits.counts import (
    MOST_COUNTED,
    MOST_LOOKED_AT,
    Counted,
    DeliveryCounts,
    PlaceCounts,
    looked_at,
    not_visible,
    place_rows,
    places_from,
    together,
)
from integrations.permits.queries import Delivery, count_of, deliveries
from locations.models import Company, Permit

SHOWN_UNPROTECTED = 10
# Of one location, so that one without a zone does not hide the others.
SHOWN_OF_LOCATION = 3
STARTING_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Figures:
    """All that the overview shows of one company at one moment (the database's time).

    `hidden` are the first of the permits that officers can't see, `still` of those that were ended and may still be shown,
    each with since when.
    `current` and `starting` are the company's real permits that hold now, and that begin within `STARTING_WITHIN`.
    """

    at: datetime
    places: PlaceCounts
    current: int
    starting: int
    links: Sequence[ConnectionSummary]
    oldest_unprotected: datetime | None = None
    hidden: Sequence[tuple[datetime, Delivery]] = ()
    still: Sequence[tuple[datetime, Delivery]] = ()
    reasons: Sequence[Refusal] = ()

    @cached_property
    def total(self) -> DeliveryCounts:
        """The counts of all connections together."""
        return together(link.counts for link in self.links)

    @property
    def unprotected(self) -> Counted:
        """Current permits that officers can't see."""
        return not_visible(self.total, self.places)

    @property
    def moves(self) -> bool:
        """Whether the page would look different in some seconds, without anybody doing anything.

        What is refused, paused or without a zone waits for people, maybe for days.
        """
        return any(link.refresh_runs or (link.sends and link.counts.waiting) for link in self.links)


def figures_of(company: Company, now: datetime) -> Figures:
    """Return the overview's figures; at most nine queries."""
    summaries = summaries_of(company, now)
    links = summaries.links
    places, current, starting = places_of(company, now)
    hidden, still = troubled(company, [link.connection.pk for link in links], now)
    since = {**pick(still), **pick(hidden)}
    found = Permit.objects.select_related("location__zone_mapping__zone__connection").in_bulk(since)
    told = (
        {one.permit.pk: one for one in deliveries(list(found.values()), now, summaries.breakers)}
        if found
        else {}
    )
    return Figures(
        at=summaries.at,
        places=places,
        current=current,
        starting=starting,
        links=links,
        oldest_unprotected=hidden[0][2] if hidden else None,
        hidden=[(at, told[pk]) for pk, at in pick(hidden).items() if pk in told],
        still=[(at, told[pk]) for pk, at in pick(still).items() if pk in told],
        reasons=refusals([link.connection for link in links]) if links else [],
    )


def pick(rows: Sequence[tuple[int, int, datetime]]) -> dict[int, datetime]:
    """Return which of these permits to show: the first, at most `SHOWN_OF_LOCATION` of one location. Pure."""
    shown: dict[int, datetime] = {}
    of_location: dict[int, int] = defaultdict(int)
    for pk, location, at in rows:
        if of_location[location] < SHOWN_OF_LOCATION and len(shown) < SHOWN_UNPROTECTED:
            of_location[location] += 1
            shown[pk] = at
    return shown


# --- The parts --------------------------------------------------------------------------------------------------------


def places_of(company: Company, now: datetime) -> tuple[PlaceCounts, int, int]:
    """Return a company's locations in numbers, its current permits, and those that begin soon, by one query."""
    permits = Permit.objects.real().filter(company=company)
    starting = permits.coming(now).filter(start__lt=now + STARTING_WITHIN)
    rows = place_rows(company.locations.all(), now).annotate(
        current=count_of(permits.current(now)), starting=count_of(starting)
    )
    found = list(rows)
    if not found:
        return PlaceCounts(), 0, 0
    return places_from(found), found[0]["current"], found[0]["starting"]


Row = tuple[int, int, datetime]


def troubled(company: Company, connections: Sequence[int], now: datetime) -> tuple[list[Row], list[Row]]:
    """Return what is counted as not visible, and what is counted as still shown, the longest first, by one query.

    Each is (permit id, location id, since when), at most `MOST_COUNTED` + 1 of both together. Where there are very many, the
    first of each kind are put in order: to read a million of them would cost more than the order says.
    """
    parked = (
        Permit.objects.real()
        .current(now)
        .filter(location__in=company.locations.filter(zone_mapping=None).order_by().values("pk"))
        .order_by()
    )
    unmapped = (
        Permit.objects.filter(pk__in=parked.values("pk")[:MOST_LOOKED_AT])
        .order_by()
        .values_list("pk", "location")
        .annotate(since=Greatest("start", "updated_at"), still=Value(0))
    )
    here = PermitSync.objects.filter(connection__in=connections)
    # Each has a partial index of its own.
    refused, drifting = looked_at(here.refused().real()), looked_at(here.drifting().real())
    waiting = [looked_at(here.waiting().filter(connection=pk).by_urgency()) for pk in connections]
    listed_since = Coalesce("drift_since", "error_since")
    arms = [
        _hidden(refused, F("error_since"), now),
        _hidden(drifting, listed_since, now),
        *(_hidden(rows, F("due_since"), now) for rows in waiting),
        _still(refused.still_there(now), F("error_since")),
        _still(drifting.listed_too_long(now), listed_since),
        *(_still(rows.still_there(now), F("due_since")) for rows in waiting),
    ]
    rows: list[tuple[int, int, datetime, int]] = list(
        unmapped.union(*arms, all=True).order_by("since")[: MOST_COUNTED + 1]
    )
    hidden, still = ([row[:3] for row in rows if row[3] == which] for which in (0, 1))
    return hidden, still


def _hidden(rows: PermitSyncQuerySet, at: F | Coalesce, now: datetime) -> QuerySet[PermitSync, Any]:
    since = Greatest("permit__start", at)
    return _row(rows.as_mapped().of_current(now)).annotate(since=since, still=Value(0))


def _still(rows: PermitSyncQuerySet, at: F | Coalesce) -> QuerySet[PermitSync, Any]:
    return _row(rows).annotate(since=at, still=Value(1))


def _row(rows: PermitSyncQuerySet) -> QuerySet[PermitSync, Any]:
    return rows.order_by().values_list("permit_id", "permit__location")
