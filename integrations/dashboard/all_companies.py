"""Support's overview over all companies: one line each, worst first.

What it decides: the order is by what hurts drivers now (trouble with a connection, then vehicles that officers can't see or
still see), then by what will (refused, waiting for long), then by what waits for a person. A vendor's host that is stopped or
away is nobody's own trouble and everybody's: it is the page's answer, whatever the lines say. All numbers are those of
`integrations.permits.counts`, grouped once for all companies; the lines are sorted here, since a thousand of them are quicker
to sort than to join. The cost grows with what is wrong and with the number of companies, not with permits. What a set-up
waits for is worked out for the lines that are shown alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.alarms.facts import HEALTH_COLUMNS, failing_breakers, health_from, with_health
from integrations.alarms.health import LATE, Level, LinkHealth, Trouble, is_proved, trouble_of
from integrations.alarms.words import trouble_sentence, trouble_word
from integrations.models import Alarm, Connection
from integrations.onboarding.snapshot import Facts
from integrations.onboarding.snapshot_queries import snapshots
from integrations.onboarding.steps import OnboardingStep, active, steps
from integrations.permits.counts import (
    Counted,
    DeliveryCounts,
    PlaceCounts,
    not_visible,
    place_counts,
    together,
)
from integrations.reconciliation import proof
from integrations.vendors.naming import names_of
from locations.models import Company, Location
from locations.text import tidy

SENDING = (Connection.Status.LIVE, Connection.Status.PAUSED)


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
    # The gravest trouble of its connections, and the vendor of the one that has it.
    trouble: Trouble | None = None
    trouble_vendor: str = ""
    # In words; only on the lines that are shown (`add_steps`).
    trouble_sentence: str = ""
    # Whether a live connection has no young comparison that proves what officers see, and the oldest comparison.
    is_unproved: bool = False
    compared_at: datetime | None = None
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    # Of `counts.waiting`, those on connections that aren't live yet; and since when the oldest of the others waits.
    held_back: int = 0
    oldest: datetime | None = None
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

    @property
    def trouble_word(self) -> str:
        """The trouble in a word, for a badge."""
        return trouble_word(self.trouble) if self.trouble else ""

    @property
    def stopped(self) -> str:
        """Why its own connection is stopped; empty where it is not."""
        own = (
            self.trouble is not None
            and self.trouble.cause == Alarm.Cause.STOPPED
            and not self.trouble.of_host
        )
        return self.trouble.error if own and self.trouble else ""

    @property
    def level(self) -> Level:
        """How grave the trouble of its connections is; a zone that is gone is grave."""
        level = self.trouble.level if self.trouble else Level.CALM
        return Level.DANGER if self.places.zone_missing and self.is_sending else level

    def badness(self, now: datetime) -> tuple[float, ...]:
        """Return a key that is greater the worse the company stands."""
        oldest, sending = self.oldest, self.is_sending
        age_s = (now - oldest).total_seconds() if oldest and now - oldest > LATE else 0.0
        return (
            bool(self.stopped),
            self.level,
            self.unprotected.n + self.counts.still_shown,
            self.counts.refused,
            age_s,
            self.status == Connection.Status.PAUSED,
            self.places.unmapped if sending else 0,
            bool(self.statuses) and not sending,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """All companies together; `hosts` are the troubles of vendors' hosts by vendor, the gravest first.

    Of what is `waiting`, `held_back` is what set-ups keep until they are live, for weeks maybe; `oldest` is of the rest.
    """

    companies: int
    live: int
    unprotected: int
    with_unprotected: int
    still_shown: int
    waiting: int
    held_back: int
    oldest: datetime | None
    refused: int
    stopped: int
    troubled: Sequence[CompanyLine] = ()
    zone_missing: int = 0
    unproved: int = 0
    compared_at: datetime | None = None
    hosts: Sequence[tuple[str, Trouble]] = ()


def lines(now: datetime) -> list[CompanyLine]:
    """Return a line for each company, worst first; four queries."""
    columns = ("pk", "name", "slug", "offstreet_id", "created_at")
    found = {row[0]: CompanyLine(*row) for row in Company.objects.order_by().values_list(*columns)}
    open_ones = Connection.objects.exclude(status=Connection.Status.ENDED).order_by()
    link_columns = (*HEALTH_COLUMNS, "company", "operator_id", "zones_pulled_at")
    breakers = list(failing_breakers())
    counts: dict[int, list[DeliveryCounts]] = {}
    # Plain values: a thousand connections as objects would take longer than to read them.
    for row in with_health(open_ones, now).values_list(*link_columns, named=True):
        line = found.get(row.company)
        if line is None:  # made since
            continue
        health = health_from(row, breakers)
        counts.setdefault(line.pk, []).append(health.counts)
        _add_connection(line, row, health, now)
    for company, some in counts.items():
        found[company].counts = together(some)
    for company, places in place_counts(Location.objects.all(), now).items():
        if company in found:
            found[company].places = places
    return sorted(found.values(), key=lambda line: ([-part for part in line.badness(now)], line.name))


def _add_connection(line: CompanyLine, connection: Any, health: LinkHealth, now: datetime) -> None:
    """Add one connection, as a row of the columns that `lines` reads."""
    line.statuses.append(connection.status)
    line.status_since = max(connection.status_since, line.status_since or connection.status_since)
    line.operator_ids.append(connection.operator_id)
    line.vendors.add(connection.vendor)
    line.zones_at = min(filter(None, (line.zones_at, connection.zones_pulled_at)), default=None)
    if connection.status in SENDING:
        line.oldest = min(filter(None, (line.oldest, health.counts.waiting_since)), default=None)
    else:
        line.held_back += health.counts.waiting
    trouble = trouble_of(health, now)
    if trouble is not None and (line.trouble is None or _is_graver(trouble, line.trouble)):
        line.trouble, line.trouble_vendor = trouble, connection.vendor
    if connection.status == Connection.Status.LIVE:
        line.is_unproved |= not is_proved(health, now, max_age=proof.max_age())
        line.compared_at = min(filter(None, (line.compared_at, health.compared_at)), default=None)


def _is_graver(one: Trouble, other: Trouble) -> bool:
    return (-one.level, one.since) < (-other.level, other.since)


def add_steps(shown: Sequence[CompanyLine], now: datetime) -> None:
    """Add what the set-up of these lines waits for, and what is wrong in words; two queries however many they are."""
    for line in shown:
        if line.trouble is not None:
            line.trouble_sentence = trouble_sentence(line.trouble, names_of(line.trouble_vendor), now)
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
    wanted = tidy(text).casefold()
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


def totals(all_lines: Iterable[CompanyLine]) -> Totals:
    """Join the lines."""
    every = list(all_lines)
    counts = together(line.counts for line in every)
    troubled = [line for line in every if line.trouble is not None and line.trouble.level > Level.CALM]
    hosts: dict[str, Trouble] = {}
    for line in every:
        trouble = line.trouble
        if trouble is not None and trouble.of_host:
            known = hosts.setdefault(line.trouble_vendor, trouble)
            if _is_graver(trouble, known):
                hosts[line.trouble_vendor] = trouble
    return Totals(
        companies=len(every),
        live=sum(Connection.Status.LIVE in line.statuses for line in every),
        unprotected=sum(line.unprotected.n for line in every),
        with_unprotected=sum(bool(line.unprotected) for line in every),
        still_shown=counts.still_shown,
        waiting=counts.waiting,
        held_back=sum(line.held_back for line in every),
        oldest=min((line.oldest for line in every if line.oldest), default=None),
        refused=counts.refused,
        stopped=sum(bool(line.stopped) for line in every),
        troubled=troubled,
        zone_missing=sum(bool(line.places.zone_missing) for line in every if line.is_sending),
        unproved=sum(line.is_unproved for line in every),
        compared_at=min((line.compared_at for line in every if line.compared_at), default=None),
        hosts=sorted(hosts.items(), key=lambda pair: (-pair[1].level, pair[1].since)),
    )
