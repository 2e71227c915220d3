"""The figures of a company's overview: what is parked and not protected, what waits, for whom, and how fast pushes are.

What it decides: *not protected* is a permit whose window has begun and that the vendor has not accepted as it stands or does
not show: its registration on the mapped connection is due, refused or drifting, or its location has no zone (then there is
no registration). All of these stand in small partial indexes, so the figures cost what is wrong and not what is right: a
million accepted permits are never looked at one by one. A row that was written behind the services' back is unknown here
until the audit marks it, some seconds later.

The number of queries is fixed. Counts stop at `MOST_COUNTED`: beyond it people need no exact figure, and the page its time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import (
    CharField,
    Count,
    F,
    Max,
    Min,
    Q,
    Value,
)
from django.db.models.functions import Cast, Greatest

from integrations.dashboard.connection_summary import ConnectionSummary, summaries_of
from integrations.models import PermitSync
from integrations.permits.queries import Delivery, count_of, deliveries
from locations.models import Company, Permit

MOST_COUNTED = 2_000
MOST_SORTED = 10_000
SHOWN_UNPROTECTED = 10
# Of one location, so that one without a zone does not hide the others.
SHOWN_OF_LOCATION = 3
STARTING_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Counted:
    """A number that stops at `MOST_COUNTED`."""

    n: int

    @property
    def is_capped(self) -> bool:
        """Whether there are more than were counted."""
        return self.n > MOST_COUNTED

    @property
    def text(self) -> str:
        """The number in words: “3”, “2,000+”."""
        return f"{MOST_COUNTED:,}+" if self.is_capped else f"{self.n:,}"


@dataclass(frozen=True, slots=True)
class LocationCounts:
    """A company's active locations and permits in numbers; `clock` is the time zone of most of them."""

    total: int = 0
    mapped: int = 0
    unmapped_since: datetime | None = None
    current: int = 0
    starting: int = 0
    clock: str = "UTC"

    @property
    def unmapped(self) -> int:
        """Active locations without a zone."""
        return self.total - self.mapped


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """Refused registrations that were refused for the same reason; `sentence` is one of their errors."""

    code: str
    sentence: str
    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent, and since when the oldest of it waits; `of` are the numbers by connection id."""

    count: int = 0
    oldest: datetime | None = None
    of: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the overview shows of one company at one moment."""

    at: datetime
    places: LocationCounts
    links: Sequence[ConnectionSummary]
    unprotected: Counted
    oldest_unprotected: datetime | None
    deliveries: Sequence[tuple[datetime, Delivery]] = ()
    backlog: Backlog = field(default_factory=Backlog)
    reasons: Sequence[RefusalCount] = ()

    @property
    def refused(self) -> int:
        """Refused registrations in all."""
        return sum(reason.count for reason in self.reasons)

    @property
    def moves(self) -> bool:
        """Whether the page would look different in some seconds, without anybody doing anything.

        What is refused, paused or without a zone waits for people, maybe for days.
        """
        return any(
            link.refresh_runs or (link.sends and self.backlog.of.get(link.connection.pk))
            for link in self.links
        )


def figures_of(company: Company, now: datetime) -> Figures:
    """Return the overview's figures; at most nine queries."""
    links = summaries_of(company, now)
    connections = [link.connection.pk for link in links]
    places = places_of(company, now)
    backlog, reasons = waiting_and_refused(connections)
    rows = unprotected(company, connections, now) if places.current else []
    since = pick(rows)
    found = Permit.objects.select_related("location").in_bulk(since)
    ordered = [found[pk] for pk in since if pk in found]
    shown = [(since[one.permit.pk], one) for one in deliveries(ordered, now)] if ordered else []
    return Figures(
        at=now,
        places=places,
        links=links,
        unprotected=Counted(len(rows)),
        oldest_unprotected=rows[0][2] if rows else None,
        deliveries=shown,
        backlog=backlog,
        reasons=reasons,
    )


def pick(rows: Sequence[tuple[int, int, datetime]]) -> dict[int, datetime]:
    """Return which of the unprotected permits to show: the first, at most `SHOWN_OF_LOCATION` of one location. Pure."""
    shown: dict[int, datetime] = {}
    of_location: dict[int, int] = defaultdict(int)
    for pk, location, at in rows:
        if of_location[location] < SHOWN_OF_LOCATION and len(shown) < SHOWN_UNPROTECTED:
            of_location[location] += 1
            shown[pk] = at
    return shown


# --- The parts --------------------------------------------------------------------------------------------------------


def places_of(company: Company, now: datetime) -> LocationCounts:
    """Return the company's active locations and all its permits in numbers, by one query.

    A location that is out of use may still have current permits, so the query looks at it too.
    """
    active = Q(active=True)
    permits = Permit.objects.real().filter(company=company)
    current = count_of(permits.current(now))
    starting = count_of(permits.coming(now).filter(start__lt=now + STARTING_WITHIN))
    rows = list(
        company.locations.order_by()
        .values("timezone")
        .annotate(
            total=Count("pk", filter=active),
            mapped=Count("pk", filter=active & Q(zone_mapping__isnull=False)),
            since=Min("created_at", filter=active & Q(zone_mapping=None)),
            current=current,
            starting=starting,
        )
    )
    if not rows:
        return LocationCounts()
    return LocationCounts(
        total=sum(row["total"] for row in rows),
        mapped=sum(row["mapped"] for row in rows),
        unmapped_since=min((row["since"] for row in rows if row["since"]), default=None),
        current=rows[0]["current"],
        starting=rows[0]["starting"],
        clock=max(rows, key=lambda row: (row["total"], row["timezone"]))["timezone"],
    )


def waiting_and_refused(connections: Sequence[int]) -> tuple[Backlog, list[RefusalCount]]:
    """Return what waits on these connections, and what was refused by reason, by one query."""
    if not connections:
        return Backlog(), []
    here = PermitSync.objects.filter(connection__in=connections, permit__is_test=False).order_by()
    # Two arms, since each has a partial index of its own. What waits is counted by connection, what was refused by reason.
    due = (
        PermitSync.objects.filter(connection__in=connections)
        .due()
        .order_by()
        .annotate(
            kind=Value("due"),
            code=Cast("connection", CharField()),
            text=Value("", output_field=CharField()),
        )
        .values_list("kind", "code")
        .annotate(n=Count("*"), since=Min("due_since"), words=Max("text"))
    )
    refused = (
        here.refused()
        .annotate(kind=Value("refused"), code=F("error_code"))
        .values_list("kind", "code")
        .annotate(n=Count("pk"), since=Min("error_since"), words=Max("error"))
    )
    of: dict[int, int] = {}
    oldest: list[datetime] = []
    reasons = []
    for kind, code, count, since, words in due.union(refused, all=True):
        if kind == "due":
            of[int(code)] = count
            oldest.append(since)
        else:
            reasons.append(RefusalCount(code, words, count, since))
    backlog = Backlog(sum(of.values()), min(oldest, default=None), of)
    return backlog, sorted(reasons, key=lambda reason: -reason.count)


def unprotected(
    company: Company, connections: Sequence[int], now: datetime
) -> list[tuple[int, int, datetime]]:
    """Return (permit id, location id, since when) of what is parked and not protected, the longest first.

    At most `MOST_COUNTED` + 1 of them. Where there are very many, the first `MOST_SORTED` of each kind are put in order:
    to read a million of them would cost more than the order says.
    """
    parked = (
        Permit.objects.real()
        .current(now)
        .filter(location__in=company.locations.filter(zone_mapping=None).order_by().values("pk"))
        .order_by()
    )
    unmapped = (
        Permit.objects.filter(pk__in=parked.values("pk")[:MOST_SORTED])
        .order_by()
        .values_list("pk", "location")
        .annotate(since=Greatest("start", "updated_at"))
    )
    behind = PermitSync.objects.filter(
        connection__in=connections,
        permit__status=Permit.Status.ACTIVE,
        permit__start__lte=now,
        permit__end__gt=now,
        permit__is_test=False,
        permit__location__zone_mapping__zone__connection=F("connection"),
    ).order_by()
    since, missing_since = Greatest("permit__start", "due_since"), Greatest("permit__start", "error_since")
    # Four arms, since each has a partial index of its own.
    refused, due, drifting = (
        PermitSync.objects.filter(pk__in=arm.values("pk")[:MOST_SORTED])
        .order_by()
        .values_list("permit_id", "permit__location")
        .annotate(since=at)
        for arm, at in ((behind.refused(), since), (behind.due(), since), (behind.drifting(), missing_since))
    )
    every = refused.union(due, drifting, unmapped, all=True).order_by("since")
    rows: list[tuple[int, int, datetime]] = list(every[: MOST_COUNTED + 1])
    return rows
