"""Support's overview over all companies: one line each, worst first.

What it decides: the order is by what hurts drivers now (a stopped connection, then cars without protection), then by what
will (refused, waiting for long), then by what waits for a person. A vendor's host that is stopped or away is nobody's
own trouble and everybody's: it is the page's answer, whatever the lines say. All
figures come from small partial indexes, grouped once for all companies; the lines are sorted here, since a thousand of
them are quicker to sort than to join. The cost grows with what is wrong and with the number of companies, not with permits.
What a set-up waits for is worked out for the lines that are shown alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.dashboard.headline import HeadlineAnswer
from integrations.delivery.status import fragment
from integrations.models import Breaker, Connection
from integrations.onboarding.snapshot import Facts
from integrations.onboarding.snapshot_queries import snapshots
from integrations.onboarding.steps import OnboardingStep, active, steps
from integrations.permits.counts import (
    Counted,
    DeliveryCounts,
    PlaceCounts,
    delivery_counts,
    not_visible,
    place_counts,
    together,
)
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import get_vendor
from locations.models import Company, Location
from locations.times import duration_text

SENDING = (Connection.Status.LIVE, Connection.Status.PAUSED)
# A backlog, or a host that does not answer, for less than this is the normal way of things.
OLD_BACKLOG = timedelta(minutes=2)


@dataclass(slots=True)
class CompanyLine:
    """One company's figures."""

    pk: int
    name: str
    slug: str
    offstreet_id: str
    created_at: datetime
    statuses: list[str] = field(default_factory=list)
    operator_ids: list[str] = field(default_factory=list)
    vendors: set[str] = field(default_factory=set)
    stopped: str = ""
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    places: PlaceCounts = field(default_factory=PlaceCounts)
    status_since: datetime | None = None
    # The oldest of its connections' latest zone refreshes; None where there was none.
    zones_at: datetime | None = None
    # What the set-up waits for; only on the lines that are shown (`add_steps`).
    step: OnboardingStep | None = None

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
    def unprotected(self) -> Counted:
        """Current permits that officers can't see, where the company has ever been live."""
        return not_visible(self.counts, self.places) if self.is_sending else Counted(0)

    def badness(self, now: datetime) -> tuple[float, ...]:
        """Return a key that is greater the worse the company stands."""
        oldest, sending = self.counts.waiting_since, self.is_sending
        age_s = (now - oldest).total_seconds() if oldest and now - oldest > OLD_BACKLOG else 0.0
        return (
            bool(self.stopped),
            self.unprotected.n,
            self.counts.refused,
            age_s if sending else 0,
            self.status == Connection.Status.PAUSED,
            self.places.unmapped if sending else 0,
            bool(self.statuses) and not sending,
        )


@dataclass(frozen=True, slots=True)
class HostHealth:
    """A vendor's host that is in trouble: nothing is sent through it for anybody."""

    vendor: str
    stopped: bool
    error: str
    remedy: str
    since: datetime | None


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
    hosts: tuple[HostHealth, ...] = ()


def lines(now: datetime) -> list[CompanyLine]:
    """Return a line for each company, worst first; six queries."""
    columns = ("pk", "name", "slug", "offstreet_id", "created_at")
    found = {row[0]: CompanyLine(*row) for row in Company.objects.order_by().values_list(*columns)}
    company_of: dict[int, CompanyLine] = {}
    connections = Connection.objects.exclude(status=Connection.Status.ENDED).order_by()
    rows = connections.values_list(
        "pk", "company", "vendor", "status", "status_since", "operator_id", "zones_pulled_at"
    )
    for pk, company, vendor, status, since, operator_id, zones_at in rows:
        line = company_of[pk] = found[company]
        line.statuses.append(status)
        line.status_since = max(since, line.status_since or since)
        line.operator_ids.append(operator_id)
        line.vendors.add(vendor)
        line.zones_at = min(filter(None, (line.zones_at, zones_at)), default=None)
    stopped = Breaker.objects.filter(stopped=True, connection__isnull=False)
    for connection_id, error in stopped.values_list("connection_id", "error"):
        if connection_id in company_of:
            company_of[connection_id].stopped = error
    counts: dict[int, list[DeliveryCounts]] = {}
    for pk, one in delivery_counts(connections, now).items():
        if pk in company_of:  # else begun since
            counts.setdefault(company_of[pk].pk, []).append(one)
    for company, some in counts.items():
        found[company].counts = together(some)
    for company, places in place_counts(Location.objects.all(), now).items():
        if company in found:
            found[company].places = places
    return sorted(found.values(), key=lambda line: ([-part for part in line.badness(now)], line.name))


def hosts(now: datetime) -> tuple[HostHealth, ...]:
    """Return the vendors' hosts that are stopped, or that have not answered for a while."""
    rows = Breaker.objects.filter(vendor__isnull=False, failures__gt=0).order_by("vendor")
    return tuple(
        HostHealth(row.vendor or "", row.stopped, row.error, row.remedy, row.failing_since)
        for row in rows
        if row.stopped or (row.failing_since and now - row.failing_since > OLD_BACKLOG)
    )


def add_steps(shown: Sequence[CompanyLine], now: datetime) -> None:
    """Add what the set-up of these lines waits for; three queries however many they are."""
    waiting = {line.pk: line for line in shown if not line.is_sending}
    on_the_way = Connection.objects.filter(
        company__in=waiting, status__in=(Connection.Status.SETUP, Connection.Status.TESTING)
    )
    found = {connection.pk: connection for connection in on_the_way}
    for pk, facts in snapshots(found.values(), now).items():
        line, step = waiting[found[pk].company_id], active(steps(facts, now))
        # Of several set-ups the one that has waited longest.
        if step and (line.step is None or (step.since or now) < (line.step.since or now)):
            line.step = step
    for line in waiting.values():
        if not line.statuses:
            line.step = active(steps(Facts(created_at=line.created_at, names=names_of()), now))


def search(all_lines: Iterable[CompanyLine], text: str) -> list[CompanyLine]:
    """Return the lines whose company's name, address, Offstreet id or operator ID holds `text`, in any case."""
    wanted = text.strip().casefold()
    return [
        line
        for line in all_lines
        if any(
            wanted in one.casefold() for one in (line.name, line.slug, line.offstreet_id, *line.operator_ids)
        )
    ]


# What the list can be put in order by instead; the key of each line.
SORTS: dict[str, Callable[[CompanyLine], Any]] = {
    "name": lambda line: line.name.casefold(),
    "unprotected": lambda line: line.unprotected.n,
    "refused": lambda line: line.counts.refused,
    "waiting": lambda line: line.counts.waiting,
    "unmapped": lambda line: line.places.unmapped,
}


def in_order(found: list[CompanyLine], sort: str) -> list[CompanyLine]:
    """Return the lines by one of `SORTS`, with “-” downwards; as they are (worst first) where `sort` is none of them."""
    key = SORTS.get(sort.removeprefix("-"))
    return sorted(found, key=key, reverse=sort.startswith("-")) if key else found


def totals(all_lines: Iterable[CompanyLine], in_trouble: tuple[HostHealth, ...] = ()) -> Totals:
    """Join the lines, and the hosts that are in trouble."""
    every = list(all_lines)
    counts = together(line.counts for line in every)
    return Totals(
        companies=len(every),
        live=sum(Connection.Status.LIVE in line.statuses for line in every),
        unprotected=sum(line.unprotected.n for line in every),
        with_unprotected=sum(bool(line.unprotected) for line in every),
        waiting=counts.waiting,
        # What a set-up holds back may be weeks old, and is as it should be.
        oldest=min(
            (line.counts.waiting_since for line in every if line.is_sending and line.counts.waiting_since),
            default=None,
        ),
        refused=counts.refused,
        stopped=sum(bool(line.stopped) for line in every),
        hosts=in_trouble,
    )


def answer(found: Totals, now: datetime) -> HeadlineAnswer:
    """Say in one sentence how all companies stand; what stops everybody goes first."""
    if not found.companies:
        return HeadlineAnswer("info", _("There are no companies yet."))
    for host in sorted(found.hosts, key=lambda one: not one.stopped):
        return _host_answer(host, now)
    if found.stopped:
        text = ngettext(
            "The connection of %(n)d company is stopped.",
            "The connections of %(n)d companies are stopped.",
            found.stopped,
        )
        return HeadlineAnswer(
            "danger", text % {"n": found.stopped}, _("Nothing is sent for them until somebody acts.")
        )
    if found.unprotected:
        cars = ngettext("%(n)s car", "%(n)s cars", found.unprotected) % {"n": f"{found.unprotected:,}"}
        text = ngettext(
            "%(cars)s at %(n)d company: parked without protection.",
            "%(cars)s at %(n)d companies: parked without protection.",
            found.with_unprotected,
        )
        return HeadlineAnswer(
            "warning", text % {"cars": cars, "n": found.with_unprotected}, _("The worst come first.")
        )
    return HeadlineAnswer("success", _("Enforcement sees everything at every live company."))


def _host_answer(host: HostHealth, now: datetime) -> HeadlineAnswer:
    label = get_vendor(host.vendor).names.label
    span = duration_text(now - host.since) if host.since else ""
    if host.stopped:
        sentence = _("Nothing is sent to %(vendor)s for any company: %(reason)s.") % {
            "vendor": label,
            "reason": fragment(host.error),
        }
        waits = (
            _("This has lasted %(span)s; what is saved waits and is not lost.") % {"span": span}
            if span
            else ""
        )
        return HeadlineAnswer("danger", sentence, f"{host.remedy} {waits}".strip())
    sentence = _("%(vendor)s has not answered for %(span)s, so nothing is sent for any company.") % {
        "vendor": label,
        "span": span,
    }
    return HeadlineAnswer(
        "danger", sentence, _("It is tried again by itself; what is saved waits and is not lost.")
    )
