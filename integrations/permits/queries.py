"""Reads that join permits with their delivery: lists over a million rows and what a page of permits needs in words.

What it decides about speed:
- Paging is by key (`after`/`before` an id), and nothing is counted: page 10,000 costs what page 1 costs.
- A search or a push state that means one thing *or* another is asked branch by branch in one statement; each branch walks
  an index of its own and stops when it has a page. OR would walk the whole company where few rows match.
- What a page of permits needs beside itself is fetched for all of its rows at once (`push_states`), so the number of
  queries does not grow with rows.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import connection as db
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from integrations.delivery.circuit_breaker import breakers_of
from integrations.delivery.status import PushState, push_state
from integrations.models import Breaker, Connection, PermitSync, ZoneMapping
from locations.models import Company, Location, Permit, PermitQuerySet
from locations.plates import normalise_plate
from locations.regions import Region
from locations.text import tidy

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


@dataclass(slots=True)
class PermitPage:
    """One page of permits; `newer`/`older` are ids to page by, or None where the list ends.

    What was searched for comes in the order of what was found and is not paged: `more` says that only its beginning is
    shown, and that typing more of it shows the rest.
    """

    rows: list[Delivery] = field(default_factory=list)
    newer: int | None = None
    older: int | None = None
    more: bool = False


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


def list_permits(
    company: Company,
    filters: PermitFilters,
    *,
    now: datetime,
    older_than: int | None = None,
    newer_than: int | None = None,
    rows: int = PAGE_ROWS,
) -> PermitPage:
    """Return one page, newest first. `older_than`/`newer_than` are ids; without them it is the first page.

    A search returns its first page alone, see `PermitPage`.
    """
    branches = narrowed(company, filters, now)
    if tidy(filters.q):
        found = _in_order_of_search(_load(_first_ids(branches, rows + 1)), filters.q)
        return PermitPage(rows=deliveries(found[:rows], now), more=len(found) > rows)
    upwards = newer_than is not None
    if newer_than is not None:
        branches = [branch.filter(pk__gt=newer_than) for branch in branches]
    elif older_than is not None:
        branches = [branch.filter(pk__lt=older_than) for branch in branches]
    order = "pk" if upwards else "-pk"
    ids = sorted(_first_ids([branch.order_by(order) for branch in branches], rows + 1), reverse=not upwards)
    more, ids = len(ids) > rows, sorted(ids[:rows], reverse=True)
    by_id = {permit.pk: permit for permit in _load(ids)}
    page = PermitPage(rows=deliveries([by_id[pk] for pk in ids if pk in by_id], now))
    if ids:
        page.older = ids[-1] if (upwards or more) else None
        page.newer = ids[0] if (more if upwards else older_than is not None) else None
    return page


def _first_ids(branches: Sequence[PermitQuerySet], rows: int) -> set[int]:
    """Return the ids of the first rows of each ordered branch, by one statement."""
    firsts = [
        Permit.objects.order_by().filter(pk__in=branch.values("pk")[:rows]).values_list("pk", flat=True)
        for branch in branches
    ]
    return set(firsts[0].union(*firsts[1:], all=True) if len(firsts) > 1 else firsts[0])


def _load(ids: Collection[int]) -> list[Permit]:
    return list(Permit.objects.select_related("location").filter(pk__in=ids))


def _in_order_of_search(permits: Iterable[Permit], text: str) -> list[Permit]:
    """Put plates that begin with it first, then those that hold it, then units, then external ids, each in its own order."""
    plate, upper = normalise_plate(text), tidy(text).upper()

    def place(permit: Permit) -> tuple[int, str, int]:
        if plate and plate in permit.plate:
            return int(not permit.plate.startswith(plate)), permit.plate, permit.pk
        if permit.unit.upper().startswith(upper):
            return 2, permit.unit.upper(), permit.pk
        return 3, permit.external_id.upper(), permit.pk

    return sorted(permits, key=place)


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
