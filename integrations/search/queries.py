"""What the search finds: a few results of each kind, by queries that each walk an index or a short table.

A person finds what they may open and nothing else: `Scope` says in which companies. Support's scope is everywhere.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.audit_log.pushes import TRACE_CHARS
from integrations.models import Connection, Push, Ticket, Zone
from integrations.models.onboarding import FIRST_TICKET_NUMBER
from integrations.search.pages import pages_named
from locations.models import Company, Location, Permit
from locations.text import tidy

# More of a kind than fit on a screen are better found by typing more.
EACH = 6
MOST_CHARS = 80
_TICKET = re.compile(r"(?:OFF-?)?(\d{4,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a person looks: `companies` by id, or None for all of them; and the company whose page they are on."""

    companies: frozenset[int] | None
    company: Company | None = None
    role: str = ""

    def narrow(self, rows: QuerySet[Any], field: str = "company") -> QuerySet[Any]:
        """Return those rows that belong to one of the companies, the present company's first."""
        if self.companies is not None:
            rows = rows.filter(**{f"{field}__in": self.companies})
        if self.company is None:
            return rows
        here = When(**{field: self.company.pk}, then=Value(0))
        ordered: QuerySet[Any] = rows.annotate(
            elsewhere=Case(here, default=Value(1), output_field=IntegerField())
        )
        return ordered

    @property
    def has_several(self) -> bool:
        """Whether results may be of different companies, so that each has to name its own."""
        return self.companies is None or len(self.companies) > 1


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was found. `plate` is a plate as it was typed, shown as one; `note` says where it is."""

    title: str
    url: str
    icon: str
    note: str = ""
    plate: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Results of one kind; `more` says that there are others."""

    title: str
    results: Sequence[Result]
    more: bool = False


def find(text: str, scope: Scope) -> list[Group]:
    """Return what was found, kind by kind; kinds without a result are left out. An empty text finds nothing.

    What a text names exactly (a ticket, a trace ID, an operator ID) comes first.
    """
    text = tidy(text)
    if not text or len(text) > MOST_CHARS or "\0" in text:
        return []
    kinds: tuple[tuple[str, Callable[[str, Scope], list[Result]]], ...] = (
        (_("Tickets"), _tickets),
        (_("Integrations"), _connections),
        (_("Pushes"), _pushes),
        (_("Permits"), _permits),
        (_("Locations"), _locations),
        (_("Zones"), _zones),
        (_("Companies"), _companies),
        (_("Pages"), _pages),
    )
    found = [(title, read(text, scope)) for title, read in kinds]
    return [Group(title, results[:EACH], len(results) > EACH) for title, results in found if results]


# --- Kinds ------------------------------------------------------------------------------------------------------------


def _tickets(text: str, scope: Scope) -> list[Result]:
    number = _TICKET.fullmatch(text)
    if number is None:
        return []
    tickets = scope.narrow(Ticket.objects.filter(pk=int(number[1]) - FIRST_TICKET_NUMBER))
    return [
        Result(
            one.number,
            _of_connection("setup_connection", one.connection),
            "ticket",
            _of(scope, one.company, one.subject),
        )
        for one in tickets.select_related("company", "connection__company")[:1]
    ]


def _connections(text: str, scope: Scope) -> list[Result]:
    named = Q(name__iexact=text) | Q(operator_id__iexact=_as_uuid(text) or text)
    connections = scope.narrow(Connection.objects.filter(named)).select_related("company")
    return [
        Result(
            one.name,
            _of_connection("setup_connection", one),
            "stairs",
            _of(scope, one.company, one.operator_id),
        )
        for one in connections.order_by("pk")[: EACH + 1]
    ]


def _pushes(text: str, scope: Scope) -> list[Result]:
    if len(text) < TRACE_CHARS or " " in text:
        return []
    pushes = scope.narrow(Push.objects.filter(trace_id__startswith=text), "connection__company")
    return [
        Result(
            one.trace_id,
            reverse("push", args=[one.connection.company.slug, one.pk]),
            "activity",
            _of(scope, one.connection.company, one.get_outcome_display()),
        )
        for one in pushes.select_related("connection__company").order_by("trace_id")[: EACH + 1]
    ]


def _permits(text: str, scope: Scope) -> list[Result]:
    found: dict[int, Permit] = {}
    permits = Permit.objects.real()
    if scope.companies is not None:
        permits = permits.filter(company__in=scope.companies)
    for branch in permits.search_branches(text):
        for one in branch.select_related("company", "location")[: EACH + 1]:
            found.setdefault(one.pk, one)
    return [
        Result(
            one.plate_typed,
            reverse("permit", args=[one.company.slug, one.pk]),
            "car",
            _of(scope, one.company, one.location.name, one.unit, one.external_id),
            plate=one.plate_typed,
            state=one.region.key,
        )
        for one in _here_first(found.values(), scope)
    ]


def _locations(text: str, scope: Scope) -> list[Result]:
    locations = scope.narrow(Location.objects.filter(name__icontains=text)).select_related("company")
    order = ["elsewhere"] if scope.company else []
    return [
        Result(
            one.name,
            reverse("location_change", args=[one.company.slug, one.pk]),
            "map-pin",
            _of(scope, one.company),
        )
        for one in locations.order_by(*order, "name", "pk")[: EACH + 1]
    ]


def _zones(text: str, scope: Scope) -> list[Result]:
    named = Zone.objects.listed().filter(Q(number__istartswith=text) | Q(name__icontains=text))
    zones = scope.narrow(named, "connection__company").select_related("connection__company")
    # Case counts in a zone's number: the exact one comes first.
    exact = Case(When(number=text, then=Value(0)), default=Value(1), output_field=IntegerField())
    order = ["elsewhere"] if scope.company else []
    return [
        Result(
            f"{one.number} · {one.name}" if one.name else one.number,
            reverse("zone", args=[one.connection.company.slug, one.pk]),
            "map-pin",
            _of(scope, one.connection.company, one.connection.name),
        )
        for one in zones.order_by(exact, *order, "number", "pk")[: EACH + 1]
    ]


def _companies(text: str, scope: Scope) -> list[Result]:
    if not scope.has_several:
        return []
    companies = Company.objects.filter(
        Q(name__icontains=text) | Q(slug__icontains=text) | Q(offstreet_id__iexact=text)
    )
    if scope.companies is not None:
        companies = companies.filter(pk__in=scope.companies)
    return [
        Result(one.name, one.get_absolute_url(), "building") for one in companies.order_by("name")[: EACH + 1]
    ]


def _pages(text: str, scope: Scope) -> list[Result]:
    if scope.company is None:
        return []
    return [
        Result(plan.label, url, plan.icon, _of(scope, scope.company))
        for plan, url in pages_named(text, scope.company, scope.role)
    ]


# --- Their words ------------------------------------------------------------------------------------------------------


def _of(scope: Scope, company: Company, *notes: str) -> str:
    """Return what stands beside a result: its company, where that is not plain, and what else is known of it."""
    return " · ".join(note for note in (company.name if scope.has_several else "", *notes) if note)


def _of_connection(view: str, connection: Connection) -> str:
    return reverse(view, args=[connection.company.slug, connection.pk])


def _here_first(permits: Iterable[Permit], scope: Scope) -> list[Permit]:
    here = scope.company.pk if scope.company else None
    return sorted(permits, key=lambda permit: permit.company_id != here)


def _as_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""
