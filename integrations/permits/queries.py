"""Reads that join permits with their delivery: lists over a million rows and what a page of permits needs in words.

What it decides about speed:
- A search or a push state that means one thing *or* another is asked branch by branch in one statement; each branch walks
  an index of its own and stops when it has a page. OR would walk the whole company where few rows match.
- What a page of permits needs beside itself is fetched for all of its rows at once (`push_states`), so the number of
  queries does not grow with rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection as db
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from integrations.delivery.circuit_breaker import breakers_of
from integrations.delivery.status import PushState, push_state
from integrations.models import Breaker, Connection, PermitSync, ZoneMapping
from locations.models import Company, Location, Permit, PermitQuerySet
from locations.regions import Region

PAGE_ROWS = 50
MAX_TYPES = 60

When = Literal["", "current", "coming", "ended", "cancelled"]
PushFilter = Literal["", "waiting", "accepted", "refused", "unprotected"]


@dataclass(frozen=True, slots=True)
class PermitFilters:
    """What a list of permits is narrowed to; empty values narrow nothing. `tests` shows test plates too.

    `unreadable` says that some of them could not be read: nothing matches then, so that an address with a slip in it never
    stands for more permits than was meant.
    """

    q: str = ""
    location: int | None = None
    region: Region | None = None
    when: When = ""
    push: PushFilter = ""
    type: str = ""
    tests: bool = False
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A permit with all that says what became of it. `breaker` is the one that holds its connection back, if any."""

    permit: Permit
    state: PushState
    permit_sync: PermitSync | None = None
    mapping: ZoneMapping | None = None
    connection: Connection | None = None
    breaker: Breaker | None = None


def pick_breaker(breakers: Iterable[Breaker], connection: Connection, now: datetime) -> Breaker | None:
    """Return which of these breakers holds the connection back at `now`; one that people must fix goes first."""
    holding = [
        found
        for found in breakers
        if (found.connection_id == connection.pk or found.vendor == connection.vendor)
        and (found.stopped or (found.open_until and found.open_until > now))
    ]
    return min(holding, key=lambda found: (not found.stopped, found.vendor is not None), default=None)


def pick_permit_sync(permit_syncs: Sequence[PermitSync], connection: Connection | None) -> PermitSync | None:
    """Return the permit sync that determines a permit's state: the one on the mapped connection.

    Without it, one that is still to be brought in line (somewhere else), else the latest.
    """
    for permit_sync in permit_syncs:
        if connection is not None and permit_sync.connection_id == connection.pk:
            return permit_sync
    open_ones = [found for found in permit_syncs if found.state != PermitSync.State.DONE]
    return max(open_ones or permit_syncs, key=lambda found: found.due_since, default=None)


def deliveries(
    permits: Sequence[Permit], now: datetime, breakers: Sequence[Breaker] | None = None
) -> list[Delivery]:
    """Return the permits with their delivery in words, by three queries however many they are.

    `permit.location` must be loaded, or each costs a query; where its mapping's connection was loaded too, one query less.
    `breakers` are those after failures, where they are known.
    """
    by_permit: dict[int, list[PermitSync]] = {}
    for row in PermitSync.objects.filter(permit__in=[permit.pk for permit in permits]).select_related(
        "connection"
    ):
        by_permit.setdefault(row.permit_id, []).append(row)
    mappings = _mappings_of(permits)
    picked: list[tuple[Permit, PermitSync | None, ZoneMapping | None, Connection | None]] = []
    for permit in permits:
        mapping = mappings.get(permit.location_id)
        mapped = mapping.zone.connection if mapping else None
        permit_sync = pick_permit_sync(by_permit.get(permit.pk, []), mapped)
        picked.append(
            (permit, permit_sync, mapping, mapped or (permit_sync.connection if permit_sync else None))
        )
    if breakers is None:
        breakers = list(breakers_of([connection for _, _, _, connection in picked if connection]))
    found = []
    for permit, permit_sync, mapping, connection in picked:
        breaker = pick_breaker(breakers, connection, now) if connection else None
        state = push_state(permit, permit_sync, mapping, connection, now, breaker)
        found.append(Delivery(permit, state, permit_sync, mapping, connection, breaker))
    return found


def _mappings_of(permits: Sequence[Permit]) -> dict[int, ZoneMapping]:
    """Return the mappings of the permits' locations by location id, as they were loaded with them or by one query."""
    if permits and all("zone_mapping" in permit.location._state.fields_cache for permit in permits):
        loaded = {permit.location_id: getattr(permit.location, "zone_mapping", None) for permit in permits}
        return {pk: mapping for pk, mapping in loaded.items() if mapping is not None}
    found = ZoneMapping.objects.filter(location__in={permit.location_id for permit in permits})
    return {mapping.location_id: mapping for mapping in found.select_related("zone__connection")}


def delivery_of(permit: Permit, now: datetime) -> Delivery:
    """Return one permit with its delivery in words."""
    return deliveries([permit], now)[0]


def narrowed(company: Company, filters: PermitFilters, now: datetime) -> list[PermitQuerySet]:
    """Return the querysets whose union is what the filters ask for; each can use an index."""
    if filters.unreadable:
        return [Permit.objects.none()]
    permits = Permit.objects.filter(company=company)
    if not filters.tests:
        permits = permits.real()
    if filters.location is not None:
        permits = permits.filter(location=filters.location)
    if filters.region:
        permits = permits.of_region(filters.region)
    if filters.type:
        permits = permits.exclude(type="").filter(type=filters.type)
    if filters.when:
        permits = _when(permits, filters.when, now)
    branches = _pushed(permits, company, filters.push, now) if filters.push else [permits]
    return [found for branch in branches for found in branch.search_branches(filters.q)]


def _when(permits: PermitQuerySet, when: When, now: datetime) -> PermitQuerySet:
    if when == "current":
        return permits.current(now)
    if when == "coming":
        return permits.coming(now)
    if when == "cancelled":
        return permits.filter(status=Permit.Status.CANCELLED)
    return permits.ended(now)


def _pushed(
    permits: PermitQuerySet, company: Company, push: PushFilter, now: datetime
) -> list[PermitQuerySet]:
    """Return the branches for one push state; each state has its partial index."""
    # The ids themselves, not a join: with them the planner knows how many rows each connection has.
    connections = list(Connection.objects.filter(company=company).values_list("pk", flat=True))
    here = PermitSync.objects.filter(permit=OuterRef("pk"), connection__in=connections)
    if push == "refused":
        return [permits.filter(Exists(here.refused()))]
    if push == "accepted":
        accepted = here.filter(state=PermitSync.State.DONE, remote_until__isnull=False, error_code="")
        return [permits.filter(Exists(accepted.filter(drift_since=None)))]
    places = Location.objects.filter(company=company, zone_mapping=None).values_list("pk", flat=True)
    unmapped = permits.not_ended(now).filter(location__in=list(places))
    if push == "waiting":
        return [permits.filter(Exists(here.due())), unmapped]
    # Not visible, as `integrations.permits.counts` counts it.
    current = permits.current(now)
    behind = [rows.as_mapped() for rows in (here.due(), here.refused(), here.drifting())]
    return [*(current.filter(Exists(rows)) for rows in behind), unmapped.current(now)]


def permit_types(company: Company) -> list[str]:
    """Return the types that a company's permits have, in order, at most `MAX_TYPES`.

    Each type costs one step through the index (a "loose index scan"), however many permits have it.
    """
    table, no_more = db.ops.quote_name(Permit._meta.db_table), MAX_TYPES
    sql = f"""
        WITH RECURSIVE kinds(kind, n) AS (
            SELECT (SELECT MIN(type) FROM {table} WHERE company_id = %s AND type <> ''), 1
            UNION ALL
            SELECT (SELECT MIN(type) FROM {table} WHERE company_id = %s AND type <> '' AND type > kind), n + 1
            FROM kinds WHERE kind IS NOT NULL AND n < %s
        )
        SELECT kind FROM kinds WHERE kind IS NOT NULL
    """  # noqa: S608 - the table's name is the model's own
    with db.cursor() as cursor:
        cursor.execute(sql, [company.pk, company.pk, no_more])
        return [row[0] for row in cursor.fetchall()]


def with_vendor(locations: QuerySet[Location]) -> QuerySet[Location]:
    """Add `vendor` to locations: the vendor to which one sends, or its company's (as `vendor_of`), or None."""
    mapped = ZoneMapping.objects.filter(location=OuterRef("pk")).values("zone__connection__vendor")
    of_company = Connection.objects.filter(company=OuterRef("company")).exclude(
        status=Connection.Status.ENDED
    )
    usual = of_company.order_by("pk").values("vendor")
    return locations.annotate(vendor=Coalesce(Subquery(mapped[:1]), Subquery(usual[:1])))


def look_alikes(company: Company, plates: Iterable[str], now: datetime) -> QuerySet[Permit]:
    """Return the permits (current or coming) of these plates in a company."""
    return (
        Permit.objects.filter(Q(company=company), plate__in=list(plates))
        .real()
        .not_ended(now)
        .select_related("location")
        .order_by("plate", "-pk")
    )


def count_of(rows: QuerySet[Any]) -> Coalesce:
    """Return a scalar subquery that counts `rows`; by "*", since counting a column would read the rows themselves."""
    counted = rows.order_by().annotate(all=Value(1)).values("all").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted), Value(0), output_field=IntegerField())
