"""What people did: the histories of permits, mappings, connections, locations, members and the company, as one list, and
among them the events that no history tells (`locations.models.audit`).

Each history keeps whole rows. What changed is found by comparing a row with the one before it of the same thing, which
the database hands over beside it, both as JSON: so a page takes one query for each history, whatever it shows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import Any, Final

from django.db.models import JSONField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.audit_log import labels as audit_labels
from integrations.audit_log.pushes import PAGE_ROWS, Key
from integrations.models import Connection, ZoneMapping
from locations.models import AuditEvent as NotedDeed
from locations.models import Company, Location, Membership, Permit

CREATED, DELETED = "+", "-"
_ROW_IDS: Final = {"location_id", "zone_id"}
_YES_NO: Final = {"active"}
# Things that were done in one go are told in one line; it names so many of them.
NAMED_TOGETHER: Final = 5


@dataclass(frozen=True, slots=True)
class Source:
    """One history: whose rows are the company's, which columns tell, and how a row is named."""

    kind: str
    label: Any
    model: Any
    of_company: str
    fields: Mapping[str, Any]
    name: Callable[[Any], str]
    icon: str
    related: tuple[str, ...] = ()
    # Rows that are told are only those for which this holds.
    only: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """One thing that somebody did. `changes` are (what, before, after) in words."""

    at: datetime
    pk: int
    who: str
    kind: str
    label: str
    icon: str
    verb: str
    thing: str
    changes: tuple[tuple[str, str, str], ...]
    permit: int | None = None
    url: str = ""


_PERMIT: Final = {
    "plate_typed": gettext_lazy("plate"),
    "subdivision": gettext_lazy("state"),
    "location_id": gettext_lazy("location"),
    "start": gettext_lazy("from"),
    "end": gettext_lazy("until"),
    "space_number": gettext_lazy("space number"),
    "type": gettext_lazy("type"),
    "unit": gettext_lazy("unit"),
    "external_id": gettext_lazy("your reference"),
    "status": gettext_lazy("status"),
}
SOURCES: Final = (
    Source(
        "permit", gettext_lazy("Permit"), Permit, "company", _PERMIT, lambda row: row.plate_typed, "car",
        # Test plates are told as such.
        only={"is_test": False},
    ),
    Source(
        "mapping", gettext_lazy("Zone of a location"), ZoneMapping, "location__company", {"zone_id": gettext_lazy("zone")},
        lambda row: f"{row.location.name} → {row.zone}" if row.location and row.zone else "", "map-pin", ("location", "zone"),
    ),
    Source(
        "connection", gettext_lazy("Integration"), Connection, "company",
        {"status": gettext_lazy("status"), "status_reason": gettext_lazy("reason"),
         "operator_id": gettext_lazy("operator ID"), "label": gettext_lazy("site")},
        lambda row: row.name, "plug-connected",
    ),
    Source(
        "location", gettext_lazy("Location"), Location, "company",
        {"name": gettext_lazy("name"), "external_id": gettext_lazy(
                "your reference"), "timezone": gettext_lazy("time zone"),
         "active": gettext_lazy("active")},
        lambda row: row.name, "building-community",
    ),
    Source(
        "member", gettext_lazy("Member"), Membership, "company", {"role": gettext_lazy("role")},
        lambda row: row.user.email if row.user else "", "users", ("user",),
    ),
    Source(
        "company", gettext_lazy("Company"), Company, "id", {"name": gettext_lazy("name")}, lambda row: row.name, "building",
    ),
)  # fmt: skip
KINDS: Final = {source.kind: source.label for source in SOURCES} | {
    group: label for group, (label, _icon) in audit_labels.GROUPS.items()
}


def list_events(
    company: Company, *, kind: str = "", key: Key | None = None, tz: tzinfo = UTC
) -> tuple[list[ListedEvent], Key | None]:
    """Return a page of what people did, newest first, and the key of the next page."""
    audit_events: list[tuple[datetime, int, str, ListedEvent | None]] = []
    for source in SOURCES:
        if kind and kind != source.kind:
            continue
        audit_events.extend(
            (row.history_date, row.history_id, source.kind, _deed(source, row, tz))
            for row in _rows(source, company, key)
        )
    if not kind or kind in audit_labels.GROUPS:
        audit_events.extend(
            (row.at, row.pk, row.kind, _noted(row, company)) for row in _noted_rows(company, kind, key)
        )
    audit_events.sort(key=lambda one: one[:3], reverse=True)
    page = audit_events[:PAGE_ROWS]
    older = Key(page[-1][0], page[-1][1]) if len(audit_events) > PAGE_ROWS else None
    return [audit_event for _at, _pk, _kind, audit_event in page if audit_event is not None], older


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of the page: one event, or several that were done in one go."""

    audit_events: tuple[ListedEvent, ...]

    @property
    def first(self) -> ListedEvent:
        """The event that stands for all."""
        return self.audit_events[0]

    @property
    def named(self) -> tuple[ListedEvent, ...]:
        """Those that are named."""
        return self.audit_events[:NAMED_TOGETHER]

    @property
    def unnamed(self) -> int:
        """How many are only counted."""
        return max(0, len(self.audit_events) - NAMED_TOGETHER)


def together(audit_events: Iterable[ListedEvent]) -> list[EventLine]:
    """Join neighbours that the same person did to things of one kind within one second, in the same way. Pure."""
    groups = groupby(
        audit_events, lambda one: (one.at.replace(microsecond=0), one.who, one.kind, one.verb, one.changes)
    )
    return [EventLine(tuple(group)) for _key, group in groups]


def _rows(source: Source, company: Company, key: Key | None) -> QuerySet[Any]:
    history = source.model.history.model
    document = JSONObject(**{name: name for name in source.fields})
    before = history.objects.filter(id=OuterRef("id"), history_id__lt=OuterRef("history_id")).order_by(
        "-history_id"
    )
    found = history.objects.filter(**{source.of_company: company.pk}, **source.only)
    if key is not None:
        # Ids of different histories are compared as numbers: any order will do, as long as it is always the same.
        found = found.filter(history_date__lte=key.at).filter(
            Q(history_date__lt=key.at) | Q(history_date=key.at, history_id__lt=key.pk)
        )
    rows: QuerySet[Any] = (
        found.select_related("history_user", *source.related)
        .annotate(
            after=document,
            before=Subquery(before.values(document=document)[:1], output_field=JSONField()),
        )
        .order_by("-history_date", "-history_id")[: PAGE_ROWS + 1]
    )
    return rows


def _noted_rows(company: Company, group: str, key: Key | None) -> QuerySet[NotedDeed]:
    # Other kinds are told elsewhere (`integrations.audit_log.security_queries`), or by a newer version.
    kinds = [kind for kind, words in audit_labels.WORDS.items() if group in ("", words.group)]
    found = NotedDeed.objects.filter(company=company, kind__in=kinds).select_related("actor")
    if key is not None:
        found = found.filter(at__lte=key.at).filter(Q(at__lt=key.at) | Q(at=key.at, pk__lt=key.pk))
    return found.order_by("-at", "-pk")[: PAGE_ROWS + 1]


def _noted(row: NotedDeed, company: Company) -> ListedEvent | None:
    """Return an event in words, or None where there are none for its kind (any more)."""
    words = audit_labels.WORDS.get(row.kind)
    if words is None:
        return None
    label, icon = audit_labels.GROUPS[words.group]
    details = words.details(row)
    return ListedEvent(
        at=row.at,
        pk=row.pk,
        who=audit_labels.who_did(row),
        kind=words.group,
        label=str(label),
        icon=icon,
        verb=str(words.verb),
        thing=audit_labels.thing_of(row),
        changes=((details, "", ""),) if details else (),
        url=audit_labels.url_of(row, company.slug),
    )


def _deed(source: Source, row: Any, tz: tzinfo) -> ListedEvent | None:
    """Return the row in words, or None where nothing changed that anybody would ask for."""
    changes: list[tuple[str, str, str]] = []
    if row.before and row.history_type not in (CREATED, DELETED):
        for name, label in source.fields.items():
            was, now = row.before.get(name), row.after.get(name)
            if was == now or (source.kind == "permit" and name == "status"):
                continue  # a cancellation is told by its verb
            if name in _YES_NO:
                was, now = bool(was), bool(now)  # SQLite's JSON has no booleans
            # Ids of rows say nothing to people; that it changed does.
            told = ("", "") if name in _ROW_IDS else (say(was, tz), say(now, tz))
            changes.append((str(label), *told))
    verb = _verb(source, row)
    if not changes and row.history_type not in (CREATED, DELETED) and verb == _("changed"):
        return None
    return ListedEvent(
        at=row.history_date,
        pk=row.history_id,
        who=row.history_user.label if row.history_user else _("automatic, or by a script"),
        kind=source.kind,
        label=str(source.label),
        icon=source.icon,
        verb=verb,
        thing=source.name(row),
        changes=tuple(changes),
        permit=row.id if source.kind == "permit" else None,
    )


def _verb(source: Source, row: Any) -> str:
    if source.kind == "permit" and row.before and row.before.get("status") != row.after.get("status"):
        return _("cancelled") if row.status == Permit.Status.CANCELLED else _("reinstated")
    if source.kind == "mapping":
        return _("zone removed") if row.history_type == DELETED else _("mapped")
    return {CREATED: _("added"), DELETED: _("removed")}.get(row.history_type, _("changed"))


def say(value: Any, tz: tzinfo) -> str:
    """Write a value of a history in words: times at `tz`, yes and no, a dash for nothing."""
    if value in (None, ""):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    text = str(value)
    if len(text) >= 19 and text[4] == text[7] == "-" and text[10] in "T ":
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return date_format(at.astimezone(tz), "j M Y, H:i")
    return text
