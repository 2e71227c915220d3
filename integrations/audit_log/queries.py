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

from django.db.models import JSONField, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, JSONObject
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.audit_log import labels as audit_labels
from integrations.audit_log.pushes import PAGE_ROWS, Key
from integrations.models import Connection, Zone, ZoneMapping
from locations.models import AuditEvent, Company, Location, Membership, Permit
from locations.plates import normalise_plate

CREATED, DELETED = "+", "-"
# Whom a list can be narrowed to beside the members: support, and what no person did on a page.
SUPPORT_STAFF, NO_PERSON = "support", "none"
# Columns that hold the id of a row, which people know by its name.
_ROW_IDS: Final[Mapping[str, Any]] = {"location_id": Location, "zone_id": Zone}
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


@dataclass(frozen=True, slots=True)
class EventFilters:
    """What the list is narrowed to; empty values narrow nothing.

    `who` is a person's id, `SUPPORT_STAFF` or `NO_PERSON`. A `plate` finds what was done to permits that have it or had it.
    `unreadable` says that one of them is none that there is: nothing matches then.
    """

    kind: str = ""
    who: str = ""
    plate: str = ""
    unreadable: bool = False


def list_events(
    company: Company,
    filters: EventFilters = EventFilters(),
    *,
    key: Key | None = None,
    tz: tzinfo = UTC,
    rows: int = PAGE_ROWS,
) -> tuple[list[ListedEvent], Key | None]:
    """Return a page of what people did, newest first, and the key of the next page."""
    if filters.unreadable:
        return [], None
    found: list[tuple[datetime, int, str, Source | None, Any]] = []
    for source in SOURCES:
        if filters.kind in ("", source.kind) and (not filters.plate or source.kind == "permit"):
            found.extend(
                (row.history_date, row.history_id, source.kind, source, row)
                for row in _history_rows(source, company, filters, key, rows)
            )
    if not filters.plate and (not filters.kind or filters.kind in audit_labels.GROUPS):
        found.extend(
            (row.at, row.pk, row.kind, None, row) for row in _event_rows(company, filters, key, rows)
        )
    found.sort(key=lambda one: one[:3], reverse=True)
    page = found[:rows]
    older = Key(page[-1][0], page[-1][1]) if len(found) > rows else None
    names = _names(row for *_, source, row in page if source is not None)
    told = [
        _from_event(row, company) if source is None else _from_history(source, row, tz, names)
        for *_, source, row in page
    ]
    return [one for one in told if one is not None], older


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


def _history_rows(
    source: Source, company: Company, filters: EventFilters, key: Key | None, most: int
) -> QuerySet[Any]:
    history = source.model.history.model
    document = JSONObject(**{name: name for name in source.fields})
    before = history.objects.filter(id=OuterRef("id"), history_id__lt=OuterRef("history_id")).order_by(
        "-history_id"
    )
    found = history.objects.filter(**{source.of_company: company.pk}, **source.only)
    found = _by(found, filters.who, "history_user")
    if filters.plate:
        having = history.objects.filter(company=company.pk, plate=normalise_plate(filters.plate))
        found = found.filter(id__in=having.values("id"))
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
        .order_by("-history_date", "-history_id")[: most + 1]
    )
    return rows


def _by(rows: QuerySet[Any], who: str, column: str) -> QuerySet[Any]:
    """Narrow rows to what one person did (by id), or support, or nobody on a page."""
    if who == NO_PERSON:
        return rows.filter(**{column: None})
    if who == SUPPORT_STAFF:
        return rows.filter(**{f"{column}__is_staff": True})
    return rows.filter(**{column: who}) if who else rows


def _names(rows: Iterable[Any]) -> dict[tuple[str, int], str]:
    """Return the names of the locations and zones that these rows changed from or to, by column and id; one query."""
    wanted: dict[str, set[int]] = {column: set() for column in _ROW_IDS}
    for row in rows:
        for document in (row.before or {}, row.after):
            for column in _ROW_IDS:
                if document.get(column) is not None:
                    wanted[column].add(document[column])
    named = [
        model.objects.filter(pk__in=wanted[column])
        .order_by()
        .values_list(Value(column), "pk", Cast("name" if model is Location else "number", TextField()))
        for column, model in _ROW_IDS.items()
        if wanted[column]
    ]
    if not named:
        return {}
    return {(column, pk): name for column, pk, name in named[0].union(*named[1:], all=True)}


def _event_rows(company: Company, filters: EventFilters, key: Key | None, most: int) -> QuerySet[AuditEvent]:
    # Other kinds are told elsewhere (`integrations.audit_log.security_queries`), or by a newer version.
    kinds = [kind for kind, words in audit_labels.WORDS.items() if filters.kind in ("", words.group)]
    of_kinds = AuditEvent.objects.filter(company=company, kind__in=kinds).select_related("actor")
    found = _by(of_kinds, filters.who, "actor")
    if key is not None:
        found = found.filter(at__lte=key.at).filter(Q(at__lt=key.at) | Q(at=key.at, pk__lt=key.pk))
    return found.order_by("-at", "-pk")[: most + 1]


def _from_event(row: AuditEvent, company: Company) -> ListedEvent | None:
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


def _from_history(
    source: Source, row: Any, tz: tzinfo, names: Mapping[tuple[str, int], str]
) -> ListedEvent | None:
    """Return the row in words, or None where nothing changed that anybody would ask for."""
    changes: list[tuple[str, str, str]] = []
    if row.before and row.history_type not in (CREATED, DELETED):
        for name, label in source.fields.items():
            was, now = row.before.get(name), row.after.get(name)
            if was == now or (source.kind == "permit" and name == "status"):
                continue  # a cancellation is told by its verb
            if name in _YES_NO:
                was, now = bool(was), bool(now)  # SQLite's JSON has no booleans
            if name in _ROW_IDS:
                # One that was removed since has no name any more.
                was, now = (names.get((name, pk), f"#{pk}") if pk else "" for pk in (was, now))
            changes.append((str(label), say(was, tz), say(now, tz)))
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
