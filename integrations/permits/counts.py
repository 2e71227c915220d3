"""How many permits wait, were refused, are not visible to enforcement or are still shown: one place that counts each.

The overview, the list of all companies, diagnostics and the commands all ask here, so that no two of them disagree. What each
number means:

| number | the real permits that it counts |
|---|---|
| waiting | a change waits to be sent |
| refused | the vendor refused the last change |
| not visible | current, and on the mapped connection waiting, refused or drifting; or current at a location without a zone |
| still shown | cancelled or over, and the vendor still has it: waiting, the stop was refused, or it is still listed |

A row that was written behind the services' back is unknown here until the audit marks it, some seconds later.

What it decides about speed: the rows stand in small partial indexes, so a number costs what is wrong and not what is right.
Of what waits, at most `MOST_LOOKED_AT` rows of a connection are looked at, the most urgent first: to find the few that are
parked now among a million that begin next month would cost more than the number says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    DateTimeField,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)

from integrations.models import Connection, PermitSync
from integrations.models.delivery import (
    PermitSyncQuerySet,
    is_as_mapped,
    is_listed_too_long,
    is_of_current,
    is_still_there,
)
from integrations.permits.queries import count_of
from locations.models import Location, Permit

# Beyond it people need no exact figure.
MOST_COUNTED = 2_000
MOST_LOOKED_AT = 10_000
# An active location without a zone: its permits can't be sent.
UNMAPPED = Q(active=True, zone_mapping=None)
# One whose zone the vendor lists no longer: it refuses new permits there, and officers may not see those it has.
ZONE_MISSING = Q(active=True, zone_mapping__zone__missing_since__isnull=False)


@dataclass(frozen=True, slots=True)
class Counted:
    """A number that stops at `MOST_COUNTED`."""

    n: int

    def __bool__(self) -> bool:
        return self.n > 0

    @property
    def is_capped(self) -> bool:
        """Whether there are more than were counted."""
        return self.n > MOST_COUNTED

    @property
    def text(self) -> str:
        """The number in words: “3”, “2,000+”."""
        return f"{MOST_COUNTED:,}+" if self.is_capped else f"{self.n:,}"


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """The permits of one connection in numbers, or those of several together; see the module's text.

    `waiting_since` says since when the oldest has waited. `not_visible` lacks those at locations without a
    zone, which are no connection's (`PlaceCounts`); it and `still_shown` may stop at some number above `MOST_COUNTED`.
    """

    waiting: int = 0
    waiting_since: datetime | None = None
    refused: int = 0
    not_visible: int = 0
    still_shown: int = 0


@dataclass(frozen=True, slots=True)
class PlaceCounts:
    """A company's locations in numbers: the active ones, and the current permits at any location without a zone.

    `clock` is the time zone of most of them; `unmapped_since` when the oldest one without a zone was made. `zone_missing`
    counts those mapped to a zone that the vendor lists no longer, `parked_missing` the current permits there.
    """

    total: int = 0
    mapped: int = 0
    unmapped_since: datetime | None = None
    parked_unmapped: int = 0
    zone_missing: int = 0
    zone_missing_since: datetime | None = None
    parked_missing: int = 0
    clock: str = "UTC"

    @property
    def unmapped(self) -> int:
        """Active locations without a zone."""
        return self.total - self.mapped


def together(counts: Iterable[DeliveryCounts]) -> DeliveryCounts:
    """Return the counts of several connections as one. Pure."""
    every = list(counts)
    return DeliveryCounts(
        waiting=sum(one.waiting for one in every),
        waiting_since=min((one.waiting_since for one in every if one.waiting_since), default=None),
        refused=sum(one.refused for one in every),
        not_visible=sum(one.not_visible for one in every),
        still_shown=sum(one.still_shown for one in every),
    )


# --- On connections ---------------------------------------------------------------------------------------------------


def delivery_counts(connections: QuerySet[Connection], now: datetime) -> dict[int, DeliveryCounts]:
    """Return the counts of these connections by id, by one query."""
    return {row.pk: counts_from(row) for row in with_counts(connections.order_by().only("pk"), now)}


def with_counts(connections: QuerySet[Connection], now: datetime) -> QuerySet[Any]:
    """Add to connections what `counts_from` reads.

    Each connection is looked up separately in the partial indexes: the database would otherwise rather read all rows than
    believe how few of them are due.
    """
    here = PermitSync.objects.filter(connection=OuterRef("pk"))
    # One level further down: these are limited before they are narrowed.
    there = PermitSync.objects.filter(connection=OuterRef(OuterRef("pk")))
    still_there, too_long = is_still_there(now), is_listed_too_long(now)
    return connections.annotate(
        waiting_n=count_of(here.waiting()),
        waiting_at=_oldest(here.waiting(), "due_since"),
        refused_n=count_of(here.refused().real()),
        refused_parts=_parted(looked_at(there.refused().real()), now, still=still_there),
        drifting_parts=_parted(looked_at(there.drifting().real()), now, still=too_long),
    ).annotate(
        # Where few wait, as nearly always, they need not be limited before they are looked at, which is half the work.
        waiting_parts=Case(
            When(waiting_n__lte=MOST_LOOKED_AT, then=_parted(here.waiting(), now, still=still_there)),
            default=_parted(looked_at(there.waiting().by_urgency()), now, still=still_there),
            output_field=BigIntegerField(),
        )
    )


# What `with_counts` adds, for who reads values instead of whole connections.
COUNT_COLUMNS = ("waiting_n", "waiting_at", "refused_n", "waiting_parts", "refused_parts", "drifting_parts")


def _parted(rows: PermitSyncQuerySet, now: datetime, *, still: Q) -> Subquery:
    """Count those of these rows that are hidden from officers and those still shown, in one pass over them.

    A subquery has one column, so both counts come in one number: `_parts_of` takes them apart.
    """
    hidden = Count("pk", filter=is_of_current(now) & is_as_mapped())
    both = hidden * Value(_PART, output_field=BigIntegerField()) + Count("pk", filter=still)
    grouped = rows.order_by().annotate(all=Value(1)).values("all").annotate(both=both).values("both")
    return Subquery(grouped, output_field=BigIntegerField())


_PART = 2**32


def _parts_of(both: int | None) -> tuple[int, int]:
    return divmod(both or 0, _PART)


def counts_from(row: Any) -> DeliveryCounts:
    """Return the counts of a connection that `with_counts` has read."""
    hidden, still = zip(
        *map(_parts_of, (row.waiting_parts, row.refused_parts, row.drifting_parts)), strict=True
    )
    return DeliveryCounts(
        waiting=row.waiting_n,
        waiting_since=row.waiting_at,
        refused=row.refused_n,
        not_visible=sum(hidden),
        still_shown=sum(still),
    )


def looked_at(rows: PermitSyncQuerySet) -> PermitSyncQuerySet:
    """Return the first `MOST_LOOKED_AT` of these rows, to be narrowed further."""
    return PermitSync.objects.filter(pk__in=rows.values("pk")[:MOST_LOOKED_AT])


def _oldest(rows: PermitSyncQuerySet, column: str) -> Subquery:
    grouped = rows.order_by().annotate(all=Value(1)).values("all").annotate(at=Min(column)).values("at")
    return Subquery(grouped, output_field=DateTimeField())


def settled_counts(connection: Connection) -> dict[str, int]:
    """Return how many real permits of a connection the vendor has as they should be (`accepted`), and how many not any more.

    Reads every row of the connection: for commands.
    """
    there = Q(remote_until__isnull=False)
    done = connection.permit_syncs.real().filter(state=PermitSync.State.DONE)
    found: dict[str, int] = done.aggregate(
        accepted=Count("pk", filter=there), withdrawn=Count("pk", filter=~there)
    )
    return found


# --- At locations -----------------------------------------------------------------------------------------------------


def place_counts(locations: QuerySet[Location], now: datetime) -> dict[int, PlaceCounts]:
    """Return these locations in numbers by company id, by one query."""
    by_company: dict[int, list[Mapping[str, Any]]] = {}
    for row in place_rows(locations, now):
        by_company.setdefault(row["company"], []).append(row)
    return {company: places_from(some) for company, some in by_company.items()}


def place_rows(locations: QuerySet[Location], now: datetime) -> QuerySet[Any, Any]:
    """Return what `places_from` reads: these locations in numbers, by company and time zone.

    A location that is out of use may still have current permits. Of each one without a zone, or whose zone is missing, its
    stretch of the index of current permits is read, and no more.
    """
    parked = count_of(Permit.objects.real().current(now).filter(location=OuterRef("pk")))

    def parked_where(which: Q) -> Case:
        return Case(When(which, then=parked), default=Value(0), output_field=IntegerField())

    return (
        locations.order_by()
        .annotate(parked=parked_where(Q(zone_mapping=None)), affected=parked_where(ZONE_MISSING))
        .values("company", "timezone")
        .annotate(
            total=Count("pk", filter=Q(active=True)),
            unmapped=Count("pk", filter=UNMAPPED),
            since=Min("created_at", filter=UNMAPPED),
            parked_here=Sum("parked"),
            missing=Count("pk", filter=ZONE_MISSING),
            missing_at=Min("zone_mapping__zone__missing_since", filter=ZONE_MISSING),
            affected_here=Sum("affected"),
        )
    )


def places_from(rows: Sequence[Mapping[str, Any]]) -> PlaceCounts:
    """Return one company's rows of `place_rows` as one; at least one row."""
    total = sum(row["total"] for row in rows)
    return PlaceCounts(
        total=total,
        mapped=total - sum(row["unmapped"] for row in rows),
        unmapped_since=min((row["since"] for row in rows if row["since"]), default=None),
        parked_unmapped=sum(row["parked_here"] for row in rows),
        zone_missing=sum(row["missing"] for row in rows),
        zone_missing_since=min((row["missing_at"] for row in rows if row["missing_at"]), default=None),
        parked_missing=sum(row["affected_here"] for row in rows),
        clock=max(rows, key=lambda row: (row["total"], row["timezone"]))["timezone"],
    )


def not_visible(counts: DeliveryCounts, places: PlaceCounts) -> Counted:
    """Return how many current permits officers can't see, those at locations without a zone among them. Pure."""
    return Counted(counts.not_visible + places.parked_unmapped)
