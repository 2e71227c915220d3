"""A permit's proof of delivery: what happened to it, in order, with who and what, to the millisecond.

`timeline` is pure; `gather` reads what it needs by a fixed number of queries. The evidence is what was written when it
happened: the permit's history (every revision, with who made it), the events of each push (with trace id, session id, what
was sent and the answer), the location's mappings, and when an acceptance was first seen among the parking rights. Nothing is
reconstructed: what was not recorded is not told, and what was seen is told as it had been accepted by then, whatever the
permit has become since.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.delivery.status import fragment, ordinal
from integrations.models import PermitSync, PushEvent, Zone, ZoneMapping
from integrations.models.delivery import NOT_LISTED
from integrations.vendors.naming import names_of, zone_label
from integrations.vendors.protocol import VendorNames
from locations.models import Location, Permit
from locations.regions import region_label
from locations.times import say_clock, say_time

MAX_EVENTS = 200
MAX_MAPPINGS = 50
# Of more tries in a row than these that came to nothing, only the first and the last are told one by one.
MOST_TRIES = 3
# Things that carry the same time stand in this order.
_SAVED, _MAPPED, _DUE, _SENT, _ANSWERED, _SEEN = range(6)
# By how much the clocks of the web and of the database may differ without a word in the time line changing its place.
CLOCKS_APART = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the time line. `at` is aware; `trace_id` and `session_id` are empty where there was no request."""

    at: datetime
    title: str
    tone: str
    icon: str
    text: str = ""
    by: str = ""
    trace_id: str = ""
    session_id: str = ""
    rank: int = _SAVED


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was recorded of one permit; see `gather`. `numbers` are those of zones by the vendor's ids."""

    versions: Sequence[Any]
    events: Sequence[PushEvent]
    permit_syncs: Sequence[PermitSync]
    mappings: Sequence[Any]
    locations: Mapping[int, str]
    zones: Mapping[int, str]
    numbers: Mapping[str, str] = field(default_factory=dict)

    def names(self, event: PushEvent) -> VendorNames:
        """The names of the vendor to which an event went."""
        return next(
            names_of(row.connection.vendor) for row in self.permit_syncs if row.pk == event.permit_sync_id
        )


def gather(permit: Permit) -> Evidence:
    """Read what was recorded of a permit, oldest first; at most six queries. The newest `MAX_EVENTS` events are taken."""
    versions = list(permit.history.select_related("history_user").order_by("history_date", "history_id"))
    permit_syncs = list(PermitSync.objects.filter(permit=permit).select_related("connection"))
    events = list(
        PushEvent.objects.filter(permit_sync__in=permit_syncs)
        .select_related("push")
        .order_by("-id")[:MAX_EVENTS]
    )[::-1]
    places = {version.location_id for version in versions} | {permit.location_id}
    mappings = list(
        ZoneMapping.history.filter(location_id__in=places)
        .select_related("history_user")
        .order_by("-history_date", "-history_id")[:MAX_MAPPINGS]
    )[::-1]
    names = {permit.location_id: permit.location.name}
    if elsewhere := places - names.keys():
        names |= dict(Location.objects.filter(pk__in=elsewhere).values_list("pk", "name"))
    sent_to = {event.zone for event in events} | {
        (row.remote_state or {}).get("zone_id", "") for row in permit_syncs
    }
    here = Q(connection__in={row.connection_id for row in permit_syncs}, remote_id__in=sent_to)
    zones = list(Zone.objects.filter(here | Q(pk__in={mapping.zone_id for mapping in mappings})))
    return Evidence(
        versions,
        events,
        permit_syncs,
        mappings,
        names,
        {zone.pk: str(zone) for zone in zones},
        {zone.remote_id: zone.number for zone in zones},
    )


def timeline(permit: Permit, evidence: Evidence) -> list[Happened]:
    """Return what happened to a permit, oldest first."""
    tz = permit.location.tz
    found = [
        *_saves(evidence.versions, evidence.locations, tz),
        *_moves(permit, evidence),
        *_pushes(evidence, tz),
        *_open_ends(evidence, tz),
    ]
    saves = [entry.at for entry in found if entry.rank < _DUE]
    return sorted(found, key=lambda entry: (_place(entry, saves), entry.rank))


def _place(entry: Happened, saves: Iterable[datetime]) -> datetime:
    """Return where an entry stands: at its time, but what was noted for delivery never before the save it was noted with.

    The two times are of two clocks, the web's and the database's, and SQLite's has no more than milliseconds.
    """
    if entry.rank != _DUE:
        return entry.at
    around = [at for at in saves if abs(at - entry.at) < CLOCKS_APART]
    if any(at <= entry.at for at in around):
        return entry.at
    return min(around, default=entry.at)


# --- What people did ---------------------------------------------------------------------------------------------


def _saves(versions: Sequence[Any], locations: Mapping[int, str], tz: tzinfo) -> list[Happened]:
    entries = []
    older: Any = None
    for version in versions:
        who = version.history_user.label if version.history_user else ""
        if older is None:
            text = _("%(where)s · revision %(number)d") % {
                "where": _where(version.source),
                "number": version.revision,
            }
            entries.append(Happened(version.history_date, _("Registered"), "success", "car", text, who))
        else:
            title, icon, tone = change_title(older, version)
            what = "; ".join(changes(older, version, locations, tz)) or _("nothing else changed")
            if version.history_change_reason in Permit.Source.values:
                what = f"{what} · {_where(version.history_change_reason)}"
            text = _("%(what)s · revision %(number)d") % {"what": what, "number": version.revision}
            entries.append(Happened(version.history_date, title, tone, icon, text, who))
        older = version
    return entries


def _where(source: str) -> str:
    """Say where a permit was registered."""
    return {
        Permit.Source.DASHBOARD: _("in the dashboard"),
        Permit.Source.ADMIN: _("in the admin"),
        Permit.Source.COMMAND: _("on the command line"),
        Permit.Source.IMPORT: _("in an import"),
        Permit.Source.API: _("through the API"),
        Permit.Source.TEST: _("as a test plate"),
    }.get(Permit.Source(source), _("by a script"))


def change_title(older: Any, newer: Any) -> tuple[str, str, str]:
    """Return title, icon and tone for one revision."""
    if older.status != newer.status:
        if newer.status == Permit.Status.CANCELLED:
            return _("Cancelled"), "ban", "neutral"
        return _("Cancellation undone"), "arrow-back-up", "info"
    if older.plate != newer.plate:
        return _("Plate changed"), "pencil", "info"
    if older.location_id != newer.location_id:
        return _("Moved"), "map-pin", "info"
    if older.end != newer.end:
        return (_("Extended") if newer.end > older.end else _("Shortened")), "clock", "info"
    return _("Changed"), "pencil", "info"


def changes(older: Any, newer: Any, locations: Mapping[int, str], tz: tzinfo) -> list[str]:
    """Say what differs between two revisions, each as “plate from ABC 123 to ABC 124”."""
    told = []

    def tell(name: str, was: str, now: str) -> None:
        if was != now:
            told.append(
                _("%(name)s from %(was)s to %(now)s")
                % {"name": name, "was": was or _("nothing"), "now": now or _("nothing")}
            )

    if older.status != newer.status:
        cancelled = newer.status == Permit.Status.CANCELLED
        told.append(_("ended right away") if cancelled else _("valid again as before"))
    tell(_("plate"), older.plate_typed, newer.plate_typed)
    tell(
        _("state"),
        region_label(older.country, older.subdivision),
        region_label(newer.country, newer.subdivision),
    )
    tell(
        _("location"),
        locations.get(older.location_id, str(older.location_id)),
        locations.get(newer.location_id, str(newer.location_id)),
    )
    tell(_("start"), say_time(older.start, tz), say_time(newer.start, tz))
    tell(_("end"), say_time(older.end, tz), say_time(newer.end, tz))
    tell(_("space"), older.space_number, newer.space_number)
    tell(_("type"), older.type, newer.type)
    tell(_("unit"), older.unit, newer.unit)
    tell(_("your reference"), older.external_id, newer.external_id)
    return told


def _moves(permit: Permit, evidence: Evidence) -> list[Happened]:
    """Tell of the mappings of the permit's location made during its life."""
    entries = []
    for mapping in evidence.mappings:
        if mapping.location_id != permit.location_id or mapping.history_date < permit.created_at:
            continue
        who = mapping.history_user.label if mapping.history_user else ""
        zone = evidence.zones.get(mapping.zone_id, "")
        if mapping.history_type == "-":
            text = _("the location no longer has a zone; it was %(zone)s") % {"zone": zone}
            entries.append(
                Happened(
                    mapping.history_date, _("Zone removed"), "warning", "unlink", text, who, rank=_MAPPED
                )
            )
        else:
            text = _("the location now sends to %(zone)s") % {"zone": zone}
            entries.append(
                Happened(mapping.history_date, _("Zone chosen"), "info", "link", text, who, rank=_MAPPED)
            )
    return entries


# --- What was sent -----------------------------------------------------------------------------------------------

_ACCEPTED_TITLES: dict[str, Callable[[VendorNames], str]] = {
    "started": lambda names: _("Accepted by %(vendor)s") % names.words,
    "extended": lambda _names: _("New end accepted"),
    "stopped": lambda names: _("Removed from %(vendor)s") % names.words,
}
_KINDS = {
    "started": lambda: _("started"),
    "extended": lambda: _("extended"),
    "stopped": lambda: _("stopped"),
}


def _pushes(evidence: Evidence, tz: tzinfo) -> list[Happened]:
    """Tell of each try that it was due, what was sent, and what came of it."""
    entries: list[Happened] = []
    dues: set[tuple[int, datetime]] = set()
    tries: dict[tuple[int, datetime, str], int] = {}
    for (permit_sync, due_since, kind, failed), group in groupby(evidence.events, _run):
        run = list(group)
        if (permit_sync, due_since) not in dues:
            dues.add((permit_sync, due_since))
            entries.append(
                Happened(due_since, _("Due"), "neutral", "clock", _("queued for delivery"), rank=_DUE)
            )
        key = (permit_sync, due_since, kind)
        first = tries.get(key, 0) + 1
        tries[key] = last = first + len(run) - 1
        if not failed or len(run) <= MOST_TRIES:
            told = list(enumerate(run, first))
        else:
            told = [(first, run[0]), (last, run[-1])]
            entries.append(_between(run[1:-1], first + 1, last - 1, tz))
        for attempt, event in told:
            entries += _try(event, attempt, evidence, tz)
    return entries


def _run(event: PushEvent) -> tuple[int, datetime, str, bool]:
    """Return what tries in a row have in common that are told together."""
    return event.permit_sync_id, event.due_since, event.kind, event.result == PushEvent.Result.LATER


def _what(event: PushEvent, numbers: Mapping[str, str], tz: tzinfo, *, short: bool = False) -> str:
    """Say what was sent: “started · ABC1234 · US-NC · zone Z123 · until 5 Dec 2026, 18:00 EST”; `short` without the car."""
    kind = _KINDS.get(event.kind, lambda: event.kind)()
    until = None if event.kind == "stopped" else event.until
    plate, subdivision = ("", "") if short else (event.plate, event.subdivision)
    return " · ".join([kind, *_session(plate, subdivision, event.zone, until, numbers, tz)])


def _session(
    plate: str, subdivision: str, zone: str, until: datetime | None, numbers: Mapping[str, str], tz: tzinfo
) -> list[str]:
    """Say what is known of a session, part by part."""
    parts = [plate, subdivision]
    if zone:
        number = numbers.get(zone)
        parts.append(_("zone %(zone)s") % {"zone": number} if number else zone_label(numbers, zone))
    if until is not None:
        parts.append(_("until %(time)s") % {"time": say_time(until, tz)})
    return [part for part in parts if part]


def _try(event: PushEvent, attempt: int, evidence: Evidence, tz: tzinfo) -> list[Happened]:
    push, numbers = event.push, evidence.numbers
    title, tone, icon = _answer(event, attempt, evidence.names(event))
    status = f"{push.status}" if push.status else ""
    what = _what(event, numbers, tz, short=True)
    text = " · ".join(part for part in (status, what, fragment(event.error)) if part)
    return [
        Happened(
            push.sent_at,
            _("Sent"),
            "neutral",
            "send",
            _what(event, numbers, tz),
            trace_id=push.trace_id,
            rank=_SENT,
        ),
        Happened(
            push.answered_at,
            title,
            tone,
            icon,
            text,
            trace_id=push.trace_id,
            session_id=event.session_id,
            rank=_ANSWERED,
        ),
    ]


def _between(run: Sequence[PushEvent], first: int, last: int, tz: tzinfo) -> Happened:
    """Tell in one line of tries that came to nothing, between the first and the last."""
    began, ended = run[0].push.answered_at, run[-1].push.answered_at
    words = {"first": ordinal(first), "last": ordinal(last)}
    title = _("Not reached, %(first)s to %(last)s attempt") % words if first < last else _not_reached(first)
    until = _("until %(time)s") % {"time": say_clock(ended, tz, began)}
    text = " · ".join(part for part in (until, fragment(run[-1].error)) if part)
    return Happened(began, title, "danger", "x", text, rank=_ANSWERED)


def _not_reached(attempt: int) -> str:
    return _("Not reached, %(nth)s attempt") % {"nth": ordinal(attempt)}


def _answer(event: PushEvent, attempt: int, names: VendorNames) -> tuple[str, str, str]:
    if event.result == PushEvent.Result.ACCEPTED:
        title = _ACCEPTED_TITLES.get(event.kind, _ACCEPTED_TITLES["started"])(names)
        return title, "success" if event.kind != "stopped" else "neutral", "check"
    if event.result == PushEvent.Result.REFUSED:
        return _("Refused"), "danger", "x"
    return _not_reached(attempt), "danger", "x"


def _open_ends(evidence: Evidence, tz: tzinfo) -> list[Happened]:
    """Tell what is known beyond the events: noted and not sent yet, seen by enforcement, and missing there."""
    entries = []
    told = {(event.permit_sync_id, event.due_since) for event in evidence.events}
    for row in evidence.permit_syncs:
        waits = row.state == PermitSync.State.DUE
        if waits and (row.pk, row.due_since) not in told:
            text = _("queued for delivery, not sent yet")
            entries.append(Happened(row.due_since, _("Due"), "warning", "clock", text, rank=_DUE))
        if row.seen_at is not None and (seen := _seen(row, row.seen_at, evidence, tz)):
            title = _("Seen in the parking rights")
            entries.append(Happened(row.seen_at, title, "success", "eye", " · ".join(seen), rank=_SEEN))
        if row.is_drifting and (since := row.drift_since or row.error_since) is not None:
            title, text = _("Different in the parking rights"), row.error
            if row.error_code == NOT_LISTED or not text:
                title, text = _("Missing from the parking rights"), row.remedy
            entries.append(Happened(since, title, "danger", "alert-triangle", fragment(text), rank=_SEEN))
    return entries


def _seen(row: PermitSync, at: datetime, evidence: Evidence, tz: tzinfo) -> list[str]:
    """Say what was seen at `at`: what had been accepted by then. Empty where nobody knows that any more."""
    for event in reversed(evidence.events):
        accepted = event.permit_sync_id == row.pk and event.result == PushEvent.Result.ACCEPTED
        if accepted and event.plate and event.kind != "stopped" and event.push.answered_at <= at:
            return _session(event.plate, event.subdivision, event.zone, None, evidence.numbers, tz)
    held = row.remote_state
    if held is None or not row.is_seen or row.state != PermitSync.State.DONE:
        return []
    plate, subdivision, zone = (str(held.get(name, "")) for name in ("plate", "subdivision", "zone_id"))
    return _session(plate, subdivision, zone, None, evidence.numbers, tz)
