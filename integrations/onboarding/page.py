"""What the set-up page shows, read with few queries: the steps, the one sentence, the ticket, tests, links, backfill."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Exists, F, OuterRef
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, StatusLink, TestPlate, Ticket, TicketEntry
from integrations.onboarding.backfill import Backfill, backfill_of
from integrations.onboarding.snapshot import Facts, Who
from integrations.onboarding.snapshot_queries import facts_of
from integrations.onboarding.steps import BLOCKED, CURRENT, DONE, TODO, WAITING, OnboardingStep, active, steps
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from integrations.zones import operator_claims
from locations.models import Company, Location

ENTRIES = 40
TESTS = 5
# A select or a list with more is no help; the command takes any location by its name.
PLACES = 500
NEW_PLACES = 20


@dataclass(frozen=True, slots=True)
class SetupPage:
    """What the set-up page of a connection shows; `polls`: there is something to wait for, so the page polls."""

    steps: Sequence[OnboardingStep]
    turn: OnboardingStep | None
    facts: Facts
    tone: str
    sentence: str
    detail: str
    stepper: Sequence[dict[str, Any]]
    who: str = ""
    siblings: Sequence[Connection] = ()
    ticket: Ticket | None = None
    entries: Sequence[TicketEntry] = ()
    tests: Sequence[TestPlate] = ()
    status_links: Sequence[StatusLink] = ()
    backfill: Backfill | None = None
    places: Sequence[Location] = ()

    @property
    def key(self) -> str:
        """The step whose turn it is, or "live" where all are done."""
        return self.turn.key if self.turn else "live"

    @property
    def new_places(self) -> list[Location]:
        """What a live connection still lacks: locations without a zone or without a confirmed test."""
        return new_places(self.places) if self.facts.live_since else []

    @property
    def icon(self) -> str:
        """The icon beside the sentence; "" stands for the tone's own. Waiting is no warning sign."""
        return "clock" if self.turn is not None and self.turn.state == WAITING else ""

    @property
    def symptom(self) -> str:
        """The symptom of diagnostics that fits a blocked step; empty if none does."""
        if self.turn is None or self.turn.state != BLOCKED:
            return ""
        return {"received": "zones", "set_up": "zones", "tested": "plate"}.get(self.turn.key, "")

    @property
    def can_test(self) -> bool:
        """Whether a test plate can be sent: a location is mapped and the connection has not ended."""
        return bool(self.facts.mapped) and self.facts.status != Connection.Status.ENDED

    @property
    def polls(self) -> bool:
        """Whether the product itself is at it, so that the page should look again."""
        return self.turn is not None and self.turn.who == Who.PRODUCT


def setup_page(
    company: Company,
    connection: Connection | None,
    now: datetime,
    siblings: Sequence[Connection] = (),
    *,
    clock: str,
) -> SetupPage:
    """Return what the page shows; without a connection the steps as they stand before the first one.

    `siblings` are the company's connections that have not ended; `clock` is the time zone of the page's dates.
    """
    tests: list[TestPlate] = []
    facts = Facts(created_at=company.created_at, names=names_of())
    if connection is not None:
        own = TestPlate.objects.filter(connection=connection).select_related("permit", "zone", "location")
        tests = list(own.order_by("-pk")[:TESTS])
        facts = facts_of(connection, now)
    shown = steps(facts, now)
    turn = active(shown)
    tone, sentence, detail = headline(turn, company.name, facts.names)
    bare = SetupPage(
        steps=shown,
        turn=turn,
        facts=facts,
        tone=tone,
        sentence=sentence,
        detail=detail,
        stepper=stepper(shown, company.name, ZoneInfo(clock)),
        who=who_words(turn, company.name) if turn and turn.who != Who.PRODUCT else "",
        siblings=siblings if len(siblings) > 1 or connection not in siblings else (),
    )
    if connection is None:
        return bare
    entries = TicketEntry.objects.filter(ticket__connection=connection).select_related("ticket", "by")
    shown_entries = list(entries.order_by("-at", "-pk")[:ENTRIES])
    return replace(
        bare,
        # A ticket begins with an entry, and the latest one has the latest entries.
        ticket=shown_entries[0].ticket if shown_entries else None,
        entries=shown_entries,
        tests=tests,
        status_links=list(connection.status_links.filter(revoked_at=None).select_related("created_by")),
        backfill=backfill_of(connection),
        places=company_places(company) if facts.mapped or facts.live_since else (),
    )


def claim_of(connection: Connection | None, *, for_support: bool) -> dict[str, Any]:
    """Return what the page says of an operator ID that waits to be confirmed; who else has it is for support alone."""
    if connection is None or not connection.is_claimed:
        return {}
    return {
        "claim_code": operator_claims.code_of(connection),
        "claim_holder": operator_claims.holder_of(connection) if for_support else None,
    }


def who_words(step: OnboardingStep, company: str) -> str:
    """Return whose turn it is in words, the company by its name; pure."""
    return company if step.who == Who.COMPANY else step.who_label


def headline(turn: OnboardingStep | None, company: str, names: VendorNames) -> tuple[str, str, str]:
    """Return the tone, the one sentence that answers "where are we?", and who has waited for whom; pure."""
    if turn is None:
        return "success", _("Live: each permit is sent to %(vendor)s when it is saved.") % names.words, ""
    tones = {CURRENT: "info", WAITING: "warning", BLOCKED: "danger"}
    tone = "info" if turn.who == Who.PRODUCT and turn.state == WAITING else tones[turn.state]
    if turn.who in (Who.PRODUCT, Who.NOBODY):
        return tone, turn.what_next, ""
    return (
        tone,
        turn.what_next,
        _("Waiting on %(who)s %(since)s.")
        % {
            "who": who_words(turn, company),
            "since": days_text(turn),
        },
    )


def days_text(step: OnboardingStep) -> str:
    """Return for how long the step has been waiting: *since today*, *for 3 days*."""
    if step.waiting_days == 0:
        return _("since today")
    return ngettext("for %(n)d day", "for %(n)d days", step.waiting_days) % {"n": step.waiting_days}


def stepper(shown: Sequence[OnboardingStep], company: str, tz: tzinfo) -> list[dict[str, Any]]:
    """Return the steps as the stepper component takes them, dates in the time zone `tz`; pure."""
    items = []
    for step in shown:
        hint = ""
        if step.state == DONE and step.done_at:
            hint = date_format(step.done_at.astimezone(tz), "j M")
        elif step.state != TODO:
            hint = who_words(step, company) if step.who != Who.PRODUCT else _("in progress")
            if step.waiting_days:
                hint = _("%(who)s, %(since)s") % {"who": hint, "since": days_text(step)}
        items.append({"title": step.title, "state": step.state, "note": step.note, "hint": hint})
    return items


def company_places(company: Company) -> list[Location]:
    """Return the company's active locations, those without a zone last; `confirmed` says whether the present zone was
    confirmed by a test plate.
    """
    confirmed = TestPlate.objects.filter(
        location=OuterRef("pk"), zone=OuterRef("zone_mapping__zone"), answer=TestPlate.Answer.YES
    )
    places = Location.objects.filter(company=company, active=True).annotate(confirmed=Exists(confirmed))
    places = places.select_related("zone_mapping__zone__connection")
    return list(places.order_by(F("zone_mapping").asc(nulls_last=True), "name")[:PLACES])


def new_places(places: Sequence[Location]) -> list[Location]:
    """Return those without a zone, then those whose present zone is not confirmed; pure."""
    open_ones = [place for place in places if not getattr(place, "confirmed", False)]
    return sorted(open_ones, key=lambda place: (is_mapped(place), place.name))[:NEW_PLACES]


def testable(places: Sequence[Location], connection: Connection) -> list[Location]:
    """Return those that are mapped to a listed zone of this connection, by name; pure."""
    fit = [
        place
        for place in places
        if is_mapped(place)
        and place.zone_mapping.zone.connection_id == connection.pk
        and place.zone_mapping.zone.missing_since is None
    ]
    return sorted(fit, key=lambda place: place.name)


def is_mapped(place: Location) -> bool:
    """Whether a location of `company_places` has a zone."""
    return hasattr(place, "zone_mapping")
