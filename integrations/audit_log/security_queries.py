"""Reads of the security log (`locations.security_log`): a page of it, and all of it for an export.

A company's managers see what concerns the company, and what happened to the accounts of its members since they joined.
Support sees everything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from integrations.audit_log.csv_lines import plain
from integrations.audit_log.pushes import PAGE_ROWS, Key
from integrations.audit_log.security_labels import WORDS
from locations.models import AuditEvent, Company, Membership

_BATCH_ROWS: Final = 1_000
CSV_HEADER: Final = (
    "time (UTC)",
    "event",
    "who",
    "account",
    "company",
    "network address",
    "thing",
    "details",
    "row",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event in words. `company` is its name where the list is of all companies."""

    at: datetime
    who: str
    about: str
    sentence: str
    tone: str
    details: str
    address: str
    company: str


def list_events(
    company: Company | None, *, group: str = "", key: Key | None = None
) -> tuple[list[Event], Key | None]:
    """Return a page of events, newest first, and the key of the next page; without a company, of all of them."""
    kinds = _kinds(group)
    rows: list[AuditEvent] = []
    for found in _parts(company, kinds):
        if key is not None:
            found = found.filter(at__lte=key.at).filter(Q(at__lt=key.at) | Q(at=key.at, pk__lt=key.pk))
        rows.extend(found.order_by("-at", "-pk")[: PAGE_ROWS + 1])
    rows.sort(key=lambda row: (row.at, row.pk), reverse=True)
    page = rows[:PAGE_ROWS]
    older = Key(page[-1].at, page[-1].pk) if len(rows) > PAGE_ROWS else None
    return [_event(row) for row in page], older


def csv_rows(
    company: Company | None, *, group: str = "", since: datetime | None = None, until: datetime | None = None
) -> Iterator[tuple[str, ...]]:
    """Yield the header and every event as cells, oldest first, a batch at a time. No cell is taken for a formula."""
    yield CSV_HEADER
    last, found = 0, _parts(company, _kinds(group))
    while True:
        rows: list[AuditEvent] = []
        for part in found:
            part = part.filter(pk__gt=last)
            part = part.filter(at__gte=since) if since else part
            part = part.filter(at__lt=until) if until else part
            rows.extend(part.order_by("pk")[:_BATCH_ROWS])
        rows.sort(key=lambda row: row.pk)
        for row in rows[:_BATCH_ROWS]:
            yield tuple(plain(cell) for cell in _cells(row))
        if len(rows) < _BATCH_ROWS:
            return
        last = rows[_BATCH_ROWS - 1].pk


def _kinds(group: str) -> list[str]:
    return [kind for kind, words in WORDS.items() if not group or words.group == group]


def _parts(company: Company | None, kinds: list[str]) -> list[QuerySet[AuditEvent]]:
    """Return the queries whose rows together are asked for; each has an index of its own."""
    found = AuditEvent.objects.filter(kind__in=kinds).select_related("actor", "person", "company")
    if company is None:
        return [found]
    members = Membership.objects.filter(company=company)
    was_member = members.filter(user=OuterRef("person"), created_at__lte=OuterRef("at"))
    own = found.filter(company=None, person__in=members.values("user")).filter(Exists(was_member))
    return [found.filter(company=company), own]


def _event(row: AuditEvent) -> Event:
    words = WORDS[row.kind]
    return Event(
        at=row.at,
        who=who_did(row),
        about=str(row.person.label) if row.person and row.person != row.actor else "",
        sentence=str(words.sentence),
        tone=words.tone,
        details=words.details(row),
        address=row.address or "",
        company=str(row.company) if row.company else "",
    )


def who_did(row: AuditEvent) -> str:
    """Return who did it: who failed to sign in is nobody that is known, and a script has no name."""
    if row.actor is not None:
        return str(row.actor.label)
    return _("someone not signed in") if row.address else _("automatic, or by a script")


def _cells(row: AuditEvent) -> tuple[Any, ...]:
    words = WORDS[row.kind]
    return (
        row.at.isoformat(), row.kind, row.actor.email if row.actor else "", row.person.email if row.person else "",
        row.company.name if row.company else "", row.address or "", row.thing, words.details(row), row.pk,
    )  # fmt: skip
