"""Support's overview over all companies: one line each, worst first.

What it decides: the order is by what hurts drivers now (a stopped connection, then cars without protection), then by what
will (refused, waiting for long), then by what waits for a person. All
figures come from small partial indexes, grouped once for all companies; the lines are sorted here, since a thousand of
them are quicker to sort than to join. The cost grows with what is wrong and with the number of companies, not with permits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Min, OuterRef, Q, Subquery, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.answers import Answer
from integrations.figures import count_of
from integrations.models import Breaker, Connection, Registration
from locations.models import Company, Location, Permit

SENDING = (Connection.Status.LIVE, Connection.Status.PAUSED)
# A backlog younger than this is the normal way of things.
OLD_BACKLOG = timedelta(minutes=2)


@dataclass(slots=True)
class Line:
    """One company's figures."""

    pk: int
    name: str
    slug: str
    statuses: list[str] = field(default_factory=list)
    stopped: str = ""
    unprotected: int = 0
    parked_unmapped: int = 0
    unmapped: int = 0
    refused: int = 0
    waiting: int = 0
    oldest: datetime | None = None
    status_since: datetime | None = None

    @property
    def status(self) -> str:
        """The company's worst connection status in one word: "", "setup", "testing", "paused" or "live"."""
        order = (
            Connection.Status.PAUSED,
            Connection.Status.TESTING,
            Connection.Status.SETUP,
            Connection.Status.LIVE,
        )
        return next((status for status in order if status in self.statuses), "")

    @property
    def is_sending(self) -> bool:
        """Whether a connection of the company is live or paused."""
        return any(status in SENDING for status in self.statuses)

    @property
    def not_protected(self) -> int:
        """Parked cars that Passport has not accepted as they stand or does not show, those without a zone among them."""
        return self.unprotected + self.parked_unmapped

    def badness(self, now: datetime) -> tuple[float, ...]:
        """Return a key that is greater the worse the company stands."""
        age_s = (
            (now - self.oldest).total_seconds() if self.oldest and now - self.oldest > OLD_BACKLOG else 0.0
        )
        sending = self.is_sending
        return (
            bool(self.stopped),
            self.not_protected if sending else 0,
            self.refused,
            age_s if sending else 0,
            self.status == Connection.Status.PAUSED,
            self.unmapped if sending else 0,
            bool(self.statuses) and not sending,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """All companies together."""

    companies: int
    live: int
    unprotected: int
    with_unprotected: int
    waiting: int
    oldest: datetime | None
    refused: int
    stopped: int


def lines(now: datetime) -> list[Line]:
    """Return a line for each company, worst first; six queries."""
    found = {pk: Line(pk, name, slug) for pk, name, slug in Company.objects.values_list("pk", "name", "slug")}
    company_of: dict[int, Line] = {}
    connections = Connection.objects.exclude(status=Connection.Status.ENDED).order_by()
    for pk, company, status, since in connections.values_list("pk", "company", "status", "status_since"):
        line = company_of[pk] = found[company]
        line.statuses.append(status)
        line.status_since = max(since, line.status_since or since)
    for key, error in Breaker.objects.filter(stopped=True).values_list("key", "error"):
        kind, _colon, rest = key.partition(":")
        if kind == "c" and rest.isdigit() and int(rest) in company_of:
            company_of[int(rest)].stopped = error
    _add_registrations(company_of, now)
    _add_unmapped(found, now)
    return sorted(found.values(), key=lambda line: ([-part for part in line.badness(now)], line.name))


def _add_registrations(company_of: dict[int, Line], now: datetime) -> None:
    """Add what is refused, what waits where registrations are sent, and what of these and of drift is parked now.

    Each connection is looked up in the partial indexes by itself: the database would otherwise rather read all
    registrations than believe how few of them are due.
    """
    here = Registration.objects.filter(connection=OuterRef("pk"))
    due, refused = here.due(), here.refused()
    current = Q(
        permit__status=Permit.Status.ACTIVE,
        permit__start__lte=now,
        permit__end__gt=now,
        permit__is_test=False,
    )
    oldest = due.order_by().values("connection").annotate(at=Min("marked_at")).values("at")
    sending = Q(status__in=SENDING)
    counted = (
        Connection.objects.filter(pk__in=list(company_of))
        .order_by()
        .annotate(
            refused=count_of(refused),
            refused_now=count_of(refused.filter(current)),
            drifting_now=count_of(here.drifting().filter(current)),
            # One that is being set up may hold back all that it has; nobody asks for that here.
            due=Case(When(sending, then=count_of(due)), default=Value(0)),
            due_now=Case(When(sending, then=count_of(due.filter(current))), default=Value(0)),
            oldest=Case(When(sending, then=Subquery(oldest))),
        )
    )
    for pk, waits, stuck, at, waits_now, stuck_now, drifting_now in counted.values_list(
        "pk", "due", "refused", "oldest", "due_now", "refused_now", "drifting_now"
    ):
        line = company_of[pk]
        line.refused += stuck
        line.unprotected += stuck_now + drifting_now
        if waits:
            line.waiting += waits
            line.unprotected += waits_now
            line.oldest = min(at, line.oldest or at)


def _add_unmapped(found: dict[int, Line], now: datetime) -> None:
    # For each location its stretch of the index of current permits, and no more.
    parked = count_of(Permit.objects.real().current(now).filter(location=OuterRef("pk")))
    unmapped = Location.objects.filter(zone_mapping=None).annotate(parked=parked).order_by()
    for company, active, count in unmapped.values_list("company", "active", "parked"):
        line = found[company]
        line.unmapped += active
        line.parked_unmapped += count if line.is_sending else 0


def search(all_lines: Iterable[Line], text: str) -> list[Line]:
    """Return the lines whose company's name or address holds `text`, in any case."""
    wanted = text.strip().casefold()
    return [line for line in all_lines if wanted in line.name.casefold() or wanted in line.slug]


# What the list can be put in order by instead; the key of each line.
SORTS: dict[str, Callable[[Line], Any]] = {
    "name": lambda line: line.name.casefold(),
    "unprotected": lambda line: line.not_protected if line.is_sending else 0,
    "refused": lambda line: line.refused,
    "waiting": lambda line: line.waiting,
    "unmapped": lambda line: line.unmapped,
}


def in_order(found: list[Line], sort: str) -> list[Line]:
    """Return the lines by one of `SORTS`, with “-” downwards; as they are (worst first) where `sort` is none of them."""
    key = SORTS.get(sort.removeprefix("-"))
    return sorted(found, key=key, reverse=sort.startswith("-")) if key else found


def totals(all_lines: Iterable[Line]) -> Totals:
    """Join the lines."""
    every = list(all_lines)
    sending = [line for line in every if line.is_sending]
    return Totals(
        companies=len(every),
        live=sum(Connection.Status.LIVE in line.statuses for line in every),
        unprotected=sum(line.not_protected for line in sending),
        with_unprotected=sum(bool(line.not_protected) for line in sending),
        waiting=sum(line.waiting for line in every),
        oldest=min((line.oldest for line in every if line.oldest), default=None),
        refused=sum(line.refused for line in every),
        stopped=sum(bool(line.stopped) for line in every),
    )


def answer(found: Totals) -> Answer:
    """Say in one sentence how all companies stand."""
    if not found.companies:
        return Answer("info", _("There are no companies yet."))
    if found.stopped:
        text = ngettext("%(n)d connection is stopped.", "%(n)d connections are stopped.", found.stopped)
        return Answer(
            "danger", text % {"n": found.stopped}, _("Nothing is sent for them until somebody acts.")
        )
    if found.unprotected:
        cars = ngettext("%(n)s car", "%(n)s cars", found.unprotected) % {"n": f"{found.unprotected:,}"}
        text = ngettext(
            "%(cars)s at %(n)d company: parked without protection.",
            "%(cars)s at %(n)d companies: parked without protection.",
            found.with_unprotected,
        )
        return Answer(
            "warning", text % {"cars": cars, "n": found.with_unprotected}, _("The worst come first.")
        )
    return Answer("success", _("Enforcement sees everything at every live company."))
